"""The streams that the services declare, a client, and the services' side of the wire."""

from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client as Nats
from tests.sdk.services import Gateway, Log, ToolGateway, declared

from stenograph_events.testing import session_created
from stenograph_sdk import Client


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
