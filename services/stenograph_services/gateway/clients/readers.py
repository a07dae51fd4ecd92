"""Reading for clients over NATS: a page of a log, in the bytes that the client checks the hash chain with."""

from typing import NamedTuple

from nats.aio.client import Client

from stenograph_events.chain import digest
from stenograph_events.subjects import client_requests
from stenograph_events.types import ToolRequested
from stenograph_events.wire import DIGEST, KIND, SEQUENCE, ClientAnswer, LogEnd
from stenograph_projections.session import PendingCall
from stenograph_projections.transcript import cleared_by
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.gateway.stored.log_pages import number_of
from stenograph_services.gateway.stored.reading import Reader
from stenograph_services.runtime.agents import Agents
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.eventlog import Stored
from stenograph_services.runtime.sessions import Loaded, Sessions

PAGE_MAX = 500
PAGE_MAX_BYTES = 4 * 1024 * 1024  # what waits for one client at once: an event is at most 1 MiB
PIECE = 64  # events of one direct read


class Out(NamedTuple):
    """A message to a client."""

    data: bytes
    headers: dict[str, str]


def readable(stored: Stored) -> Out:
    """Return the message in which an event goes out to a client. Every event that leaves here passes through this.

    One that lies sealed goes out opened, with the hash of the bytes that lie there: the next event's `prev`.
    """
    sealed = {} if stored.opened is None else {DIGEST: digest(stored.data)}
    return Out(stored.plain, {KIND: "event", SEQUENCE: str(stored.sequence)} | sealed)


class Readers:
    """A reader for each tenant; they share what is folded."""

    def __init__(self, nc: Client, settings: Settings, agents: Agents, sessions: Sessions) -> None:
        self._nc = nc
        self._settings = settings
        self._agents = agents
        self._sessions = sessions

    def of(self, tenant: str) -> "LogReader":
        settings = self._settings.model_copy(update={"tenant": tenant})
        return LogReader(Reader(self._nc, settings, self._agents, self._sessions))


class LogReader:
    """Reads the logs of one tenant's sessions. Every method raises `Refusal` if there is no such session."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def page(self, session: str, after: int, limit: int) -> tuple[list[Stored], LogEnd]:
        """Return at most `limit` events beyond sequence `after`, and where the log stands, as its leader knows it."""
        loaded = await self._standing(session)
        hidden = max(0, cleared_by(loaded.entries) - 1)
        events, more = await self._events(loaded, after, min(limit, PAGE_MAX), hidden) if limit > 0 else ([], True)
        head = loaded.head
        return events, LogEnd(len(events), more, head.sequence, head.n, head.hash, hidden)

    async def is_clients_call(self, session: str, answer: ClientAnswer) -> bool:
        """Return whether clients were asked for the call of `answer`. It may be answered: whoever asks may not know."""
        loaded = await self._standing(session)
        turn = loaded.state.turn
        if turn and any(call.call == answer.call and _is_asked(call, answer) for call in turn.calls):
            return True
        where = client_requests(loaded.tenant, session, answer.tool)
        async for stored in self._reader.sessions.log.on(loaded.tenant, session, where):
            event = stored.event
            if isinstance(event, ToolRequested) and (event.call, event.attempt) == (answer.call, answer.attempt):
                return True
        return False

    async def _standing(self, session: str) -> Loaded:
        loaded = await self._reader.session(session)
        await self._reader.sessions.at_head(loaded)
        return loaded

    async def _events(self, loaded: Loaded, after: int, limit: int, hidden: int) -> tuple[list[Stored], bool]:
        """Return the events beyond sequence `after` whose number is over `hidden`, and whether there are more."""
        log, found, size, more = self._reader.sessions.log, list[Stored](), 0, True
        while more and len(found) < limit and size < PAGE_MAX_BYTES:
            piece, more = await log.page(loaded.tenant, loaded.id, after, min(PIECE, limit - len(found)))
            for stored in piece:
                after = stored.sequence
                if not hidden or number_of(stored) > hidden:
                    found.append(stored)
                    size += len(stored.data)
            more = more and bool(piece)
        return found, more


def _is_asked(call: PendingCall, answer: ClientAnswer) -> bool:
    return call.client and call.served_as == answer.tool and call.attempt == answer.attempt and call.status == "open"


def checked_range(after: int, limit: int) -> None:
    """Raise `Refusal` for a page that is none."""
    if not 0 <= after < 1 << 63 or limit < 0:
        raise Refusal(400, f"no page begins after {after} and has {limit} events")
