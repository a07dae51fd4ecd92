"""A log to write to: on the run's one server, and on a cluster of three, where much is different."""

from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
from nats.aio.client import Client
from tests.support.nats import Endpoint, connect, delete_streams

from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.eventlog import EventLog
from stenograph_services.runtime.nats_cluster import NatsCluster
from stenograph_services.runtime.streams import declare


class Store(NamedTuple):
    """A connection to a server on which everything is declared."""

    nc: Client
    settings: Settings
    log: EventLog


async def _opened(url: str, replicas: int) -> Store:
    nc = await connect(url)
    await delete_streams(nc.jetstream())
    settings = Settings(nats_url=url, shards=1, replicas=replicas)
    await declare(nc, settings)
    return Store(nc, settings, EventLog(nc, settings))


@pytest.fixture(scope="module")
async def single(shared_nats: Endpoint) -> AsyncIterator[Store]:
    store = await _opened(shared_nats.url, 1)
    yield store
    await store.nc.close()


@pytest.fixture(scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Store]:
    async with NatsCluster(tmp_path_factory.mktemp("cluster")) as servers:
        store = await _opened(servers.urls[0], 3)
        yield store
        await store.nc.close()


@pytest.fixture(params=["single", "cluster"])
def store(request: pytest.FixtureRequest) -> Store:
    """Each of the two in turn."""
    found: Store = request.getfixturevalue(request.param)
    return found
