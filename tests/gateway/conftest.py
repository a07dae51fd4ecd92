"""The gateway beside the other services, and an HTTP client that speaks to it."""

from collections.abc import AsyncIterator

import httpx
import pytest
from tests.support.nats import Endpoint
from tests.support.running import stage
from tests.support.services import Stage

from stenograph_services.gateway import app as gateway
from stenograph_services.gateway.app import Gateway

__all__ = ["stage"]


@pytest.fixture(scope="module")
async def services(shared_nats: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    directory = tmp_path_factory.mktemp("services")
    limits = {"body_max_bytes": 400_000, "trigger_max_bytes": 10_000}
    async with Stage(shared_nats.url, directory, port=0, sse_heartbeat_seconds=0.3, **limits) as stage:
        yield stage


@pytest.fixture(scope="module")
async def base_url(services: Stage) -> str:
    running = await services.start(gateway.build)
    assert isinstance(running.service, Gateway)
    return f"http://127.0.0.1:{running.service.port}"


@pytest.fixture
async def http(base_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client that sends what the application SDK sends: a JSON content type with every request."""
    headers = {"Content-Type": "application/json"}
    async with httpx.AsyncClient(base_url=base_url, headers=headers, timeout=30) as client:
        yield client


@pytest.fixture
async def full(base_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the full shape: it knows workers."""
    headers = {"Content-Type": "application/json", "X-Octavus-Sdk-Version": "4"}
    async with httpx.AsyncClient(base_url=base_url, headers=headers, timeout=30) as client:
        yield client
