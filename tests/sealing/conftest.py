"""A system that seals, on a nats-server of its own, so that what lies in its folder can be looked through."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.services import Stage

from stenograph_services.accounts.private import write_private
from stenograph_services.runtime.nats_server import NatsServer
from stenograph_services.runtime.sealing.master_keys import new_key_file


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """A new file of sealing keys."""
    path = tmp_path / "sealing.key"
    write_private(path, new_key_file())
    return path


@pytest.fixture
async def stage(nats_url: str, tmp_path: Path, key_file: Path) -> AsyncIterator[Stage]:
    """Services that seal, on the run's one server."""
    async with Stage(nats_url, tmp_path, sealing=True, sealing_key_file=key_file) as made:
        yield made


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """A nats-server whose store is nobody else's."""
    async with NatsServer(tmp_path / "nats") as made:
        yield made
