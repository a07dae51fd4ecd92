"""The gateway: HTTP and server-sent events for applications, and the making of sessions for those who speak NATS.

    POST /api/agent-sessions                 → session.created, the one event that it writes
    POST /api/agent-sessions/{id}/trigger    → a trigger into TRIG; the turn's events and frames out, as they happen
    api.<tenant>.sessions.create             → session.created, too

It holds nothing that it could lose: a turn goes on without it.
"""

from collections.abc import Awaitable, Callable

import structlog
from fastapi import APIRouter, Depends, FastAPI
from faststream.nats import NatsBroker, NatsMessage
from nats.aio.client import Client

from stenograph_events.subjects import Pattern
from stenograph_services.gateway.auth import Doorkeeper, check_exposure
from stenograph_services.gateway.creating import Creator
from stenograph_services.gateway.edge import Edge, refuse_flat
from stenograph_services.gateway.health import health_routes
from stenograph_services.gateway.reading import Reader
from stenograph_services.gateway.refusals import Refusal
from stenograph_services.gateway.routes import agent_routes, session_routes
from stenograph_services.gateway.server import HttpServer
from stenograph_services.gateway.triggering import Triggers
from stenograph_services.runtime.agents import Agents
from stenograph_services.runtime.config import Settings

log = structlog.get_logger()

DRAIN_SECONDS = 8.0  # a turn that takes longer is told that the gateway restarts; it goes on all the same


class Gateway:
    """The service."""

    name = "gateway"

    def __init__(self, broker: NatsBroker, settings: Settings) -> None:
        check_exposure(settings)
        self._settings = settings
        self._server: HttpServer | None = None
        broker.subscriber(Pattern.api("sessions.create"), queue=self.name)(self._create)

    @property
    def port(self) -> int:
        """The port that it listens on, once it is started."""
        assert self._server is not None, "the port is known once the gateway is started"
        return self._server.port

    async def start(self, nc: Client) -> None:
        settings = self._settings
        agents = Agents(nc)
        reader = Reader(nc, settings, agents)
        self._creator = Creator(nc, settings, agents)
        self._triggers = Triggers(nc, settings, reader)
        app = FastAPI(openapi_url=None)
        refuse_flat(app)
        app.include_router(health_routes(nc, settings))
        guarded = APIRouter(dependencies=[Depends(Doorkeeper(settings)), Depends(_connected(nc))])
        guarded.include_router(agent_routes(settings.tenant, agents))
        guarded.include_router(session_routes(settings.tenant, self._creator, reader, self._triggers))
        app.include_router(guarded)
        self._server = HttpServer(Edge(app, settings.body_max_bytes), settings.host, settings.port)
        await self._server.start()
        log.info("http.listening", host=settings.host, port=self.port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.refuse_new()
            await self._triggers.drain(DRAIN_SECONDS)
            await self._server.stop()

    async def reconnected(self) -> None:
        self._triggers.connection.restored()

    async def _create(self, message: NatsMessage) -> bytes:
        tenant = message.raw_message.subject.split(".")[1]
        return await self._creator.answer(tenant, message.body)


def build(broker: NatsBroker, settings: Settings) -> Gateway:
    """Return the service; raise `InvalidSetting` if it would stand open to everybody."""
    return Gateway(broker, settings)


def _connected(nc: Client) -> Callable[[], Awaitable[None]]:
    """Return a dependency that answers at once what would otherwise wait for timeouts."""

    async def check() -> None:
        if not nc.is_connected:
            raise Refusal(503, "the event log cannot be reached now; try again")

    return check
