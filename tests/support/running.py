"""Fixtures: the services, started once for each module, and sessions whose logs are checked when the test ends.

A `conftest.py` takes them in: `from tests.support.running import services, stage`.
"""

from collections.abc import AsyncIterator

import pytest
from tests.support.nats import Endpoint
from tests.support.services import Stage


@pytest.fixture(scope="module")
async def services(shared_nats: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with Stage(shared_nats.url, tmp_path_factory.mktemp("services")) as stage:
        yield stage


@pytest.fixture
async def stage(services: Stage) -> AsyncIterator[Stage]:
    """The services, and at the end of the test: every turn of its sessions is over and no invariant is broken."""
    services.talks.clear()
    yield services
    for talk in services.talks:
        await talk.check()
