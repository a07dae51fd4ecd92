"""The streams that the services declare, a client, and the services' side of the wire: for a test, and whole."""

from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client as Nats
from tests.sdk.services import Gateway, Log, ToolGateway, declared
from tests.support.nats import Endpoint
from tests.support.services import Stage

from stenograph_events.testing import session_created
from stenograph_sdk import Client
from stenograph_services.gateway import app as gateway_app
from stenograph_services.projector import app as projector


@pytest.fixture
async def streams(nc: Nats) -> Nats:
    """The product's own streams, as the services declare them."""
    await declared(nc)
    return nc


@pytest.fixture
async def gateway(streams: Nats) -> Gateway:
    gateway = Gateway(streams)
    await gateway.start()
    return gateway


@pytest.fixture
async def tool_gateway(streams: Nats) -> ToolGateway:
    tool_gateway = ToolGateway(streams)
    await tool_gateway.start()
    return tool_gateway


@pytest.fixture
async def log(streams: Nats) -> Log:
    """The log of a session that exists and does nothing yet."""
    log = Log(streams)
    await log.append(session_created())
    return log


@pytest.fixture
async def client(streams: Nats, nats_url: str) -> AsyncIterator[Client]:
    async with Client.connect(nats_url) as client:
        yield client


@pytest.fixture(scope="module")
async def services(shared_nats: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    directory = tmp_path_factory.mktemp("services")
    async with Stage(shared_nats.url, directory, port=0, snapshot_idle_seconds=0.1) as stage:
        await stage.start(projector.build)
        yield stage


@pytest.fixture(scope="module")
async def url(services: Stage) -> str:
    """The address of a real gateway."""
    running = await services.start(gateway_app.build)
    assert isinstance(running.service, gateway_app.Gateway)
    return f"http://127.0.0.1:{running.service.port}"
