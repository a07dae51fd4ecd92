"""The gateway: HTTP and server-sent events for applications, and the making of sessions for those who speak NATS.

    POST /api/agent-sessions                 → session.created, the one event that it writes
    POST /api/agent-sessions/{id}/trigger    → a trigger into TRIG; the turn's events and frames out, as they happen
                                             → the results of a client's own tools into RES, as a worker's answers
    api.<tenant>.sessions.create             → session.created, too
    as.<tenant>.…, log.<tenant>.…            → the same for clients over NATS, which may use no stream: see `clients`

It holds nothing that it could lose: a turn goes on without it.
"""

from collections.abc import Awaitable, Callable

import structlog
from fastapi import APIRouter, Depends, FastAPI
from faststream.nats import NatsBroker, NatsMessage
from nats.aio.client import Client

from stenograph_events.subjects import Pattern
from stenograph_services.gateway.clients.door import Door
from stenograph_services.gateway.documents.openapi import serve_documents
from stenograph_services.gateway.http.auth import Doorkeeper, check_exposure
from stenograph_services.gateway.http.edge import edged, refuse_flat
from stenograph_services.gateway.http.health import health_routes
from stenograph_services.gateway.http.limits import Limits
from stenograph_services.gateway.http.permissions import Grants
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.gateway.http.server import HttpServer
from stenograph_services.gateway.http.tokens import Tokens
from stenograph_services.gateway.routes.agents import agent_routes
from stenograph_services.gateway.routes.approvals import approval_routes
from stenograph_services.gateway.routes.files import file_routes, upload_routes
from stenograph_services.gateway.routes.lifecycle import lifecycle_routes
from stenograph_services.gateway.routes.listing import Listing, listing_routes
from stenograph_services.gateway.routes.logs import log_routes
from stenograph_services.gateway.routes.observe import observe_routes
from stenograph_services.gateway.routes.resolutions import resolution_routes
from stenograph_services.gateway.routes.sessions import session_routes
from stenograph_services.gateway.routes.tokens import token_routes
from stenograph_services.gateway.routes.turns import turn_routes
from stenograph_services.gateway.stored.creating import Creator
from stenograph_services.gateway.stored.lifecycle import Lifecycle
from stenograph_services.gateway.stored.log_pages import LogPages
from stenograph_services.gateway.stored.log_stream import LogStreams
from stenograph_services.gateway.stored.reading import Reader
from stenograph_services.gateway.turns.approvals import Approvals
from stenograph_services.gateway.turns.child_streams import ChildStreams
from stenograph_services.gateway.turns.continuing import Continuations
from stenograph_services.gateway.turns.observing import Observers
from stenograph_services.gateway.turns.resolutions import Resolutions
from stenograph_services.gateway.turns.resuming import Resumptions
from stenograph_services.gateway.turns.starting import Starter
from stenograph_services.gateway.turns.streams import Streams
from stenograph_services.gateway.turns.telling import Teller
from stenograph_services.gateway.turns.triggering import Triggers
from stenograph_services.gateway.turns.words import Words
from stenograph_services.runtime.agents import Agents
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.errors import InvalidSetting
from stenograph_services.runtime.files import Files
from stenograph_services.runtime.keyring import Keyring
from stenograph_services.runtime.secrets import Secrets

log = structlog.get_logger()

DRAIN_SECONDS = 8.0  # a turn that takes longer is told that the gateway restarts; it goes on all the same


class Gateway:
    """The service."""

    name = "gateway"

    def __init__(self, broker: NatsBroker, settings: Settings) -> None:
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
        app = self.app(nc)
        await self._keyring.start()
        try:
            check_exposure(settings, locked=self._keyring.locked)
            self._server = HttpServer(edged(app, settings), settings.host, settings.port)
        except InvalidSetting:
            await self._keyring.stop()
            raise
        await self._streams.start()
        await self._door.start()
        await self._server.start()
        log.info("http.listening", host=settings.host, port=self.port)

    def app(self, nc: Client) -> FastAPI:
        """Return the application, with every route; nothing is asked of `nc` before a request comes."""
        settings = self._settings
        agents = Agents(nc)
        reader = Reader(nc, settings, agents)
        self._creator = Creator(nc, settings, agents)
        secrets = Secrets(reader.sessions.log, agents)
        self._streams = Streams(nc, settings, reader.sessions.log.seals, secrets)
        starter = Starter(settings.tenant, self._creator, reader, agents)
        teller = Teller(self._streams, nc)
        children = ChildStreams(teller, reader, self._streams)
        continuations = Continuations(self._streams, nc, settings, reader, teller, children)
        observers = Observers(self._streams, reader, teller, children)
        triggers = Triggers(self._streams, settings, reader, children, observers)
        resumptions = Resumptions(reader, observers)
        self._listing = Listing(settings)
        pages = LogPages(reader)
        self._log_streams = LogStreams(pages, settings.sse_heartbeat_seconds)
        limits = Limits(settings)
        self._door = Door(nc, settings, agents, self._creator, reader.sessions, secrets, limits)
        app = FastAPI(openapi_url=None)
        refuse_flat(app)
        app.include_router(health_routes(nc, settings))
        self._keyring = Keyring(nc, settings)
        tokens = Tokens(self._keyring, settings.tenant)
        grants = Grants(settings.tenant, agents, reader.agent_of)
        doorkeeper = Doorkeeper(self._keyring, tokens, limits, grants)
        guarded = APIRouter(dependencies=[Depends(_connected(nc)), Depends(doorkeeper)])
        guarded.include_router(token_routes(settings.tenant, tokens, agents, grants))
        guarded.include_router(agent_routes(settings.tenant, agents))
        guarded.include_router(listing_routes(settings.tenant, self._listing, agents))
        guarded.include_router(log_routes(reader, pages, self._log_streams))
        guarded.include_router(turn_routes(starter, triggers, continuations, resumptions))
        guarded.include_router(observe_routes(observers))
        words = Words(reader)
        guarded.include_router(approval_routes(Approvals(words, self._streams)))
        guarded.include_router(resolution_routes(Resolutions(words, self._streams)))
        guarded.include_router(lifecycle_routes(Lifecycle(nc, settings, reader)))
        guarded.include_router(session_routes(settings.tenant, self._creator, reader))
        guarded.include_router(upload_routes(settings, self._keyring, reader))
        app.include_router(guarded)
        app.include_router(
            file_routes(settings.tenant, self._keyring, Files(nc, settings.tenant, reader.sessions.log.seals)),
            dependencies=[Depends(_connected(nc))],
        )
        serve_documents(app)
        return app

    async def stop(self) -> None:
        if self._server is not None:
            self._server.refuse_new()
            self._log_streams.close()
            await self._door.stop()
            await self._streams.drain(DRAIN_SECONDS)
            await self._server.stop()
            await self._keyring.stop()
            await self._listing.close()

    async def reconnected(self) -> None:
        self._keyring.refresh()
        self._streams.connection.restored()

    async def _create(self, message: NatsMessage) -> bytes:
        tenant = message.raw_message.subject.split(".")[1]
        return await self._creator.answer(tenant, message.body)


def build(broker: NatsBroker, settings: Settings) -> Gateway:
    """Return the service."""
    return Gateway(broker, settings)


def _connected(nc: Client) -> Callable[[], Awaitable[None]]:
    """Return a dependency that answers at once what would otherwise wait for timeouts."""

    async def check() -> None:
        if not nc.is_connected:
            raise Refusal(503, "the event log cannot be reached now; try again")

    return check
