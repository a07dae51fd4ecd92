"""The streams as the services declare them, on a server with nothing else in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from nats.aio.client import Client
from tests.projector.parts import Made, Written

from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.streams import declare


@pytest.fixture
async def settings(nc: Client, nats_url: str, tmp_path: Path) -> Settings:
    settings = Settings(nats_url=nats_url, data_dir=tmp_path, snapshot_idle_seconds=0.1)
    await declare(nc, settings)
    return settings


@pytest.fixture
def log(nc: Client, settings: Settings) -> Written:
    """The log of one session, empty."""
    return Written(nc, settings)


@pytest.fixture
def made(nc: Client, settings: Settings) -> Iterator[Made]:
    made = Made(nc, settings)
    yield made
    made.close()
