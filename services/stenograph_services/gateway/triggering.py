"""Triggering: from the body of a request to the response that streams its turn, or to the refusal that says why not.

at once      the session is not there (404), the body is wrong (400), too large (413)
at once      its turn waits for a budget, so that no trigger can tell when it will be over (429)
within 3 s   the session is busy and its agent says that triggers do not wait (429)
within 5 s   the trigger's outcome: a turn (200 and its stream), a rejection (400, 404, 429)
after 5 s    200 and the stream; what goes wrong from here on is an `error` event in it
"""

import asyncio
import uuid
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, cast

import structlog
from nats.aio.client import Client

from stenograph_events import TurnId, turn_id
from stenograph_events.frames import TriggerUnanswered
from stenograph_events.types import TriggerRejected
from stenograph_projections.session import Session as Folded
from stenograph_projections.session import Turn
from stenograph_sdk import Session, Sessions, StenographSdkError, Unconfirmed
from stenograph_sdk.connection import Connection
from stenograph_services.gateway.callees import callees
from stenograph_services.gateway.endings import refused
from stenograph_services.gateway.live import LiveTurn, Signal
from stenograph_services.gateway.reading import Reader
from stenograph_services.gateway.refusals import Refusal, refusal_of
from stenograph_services.gateway.response import TurnResponse
from stenograph_services.gateway.sse import TurnStream
from stenograph_services.protocol import Agent
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.creating import encoded
from stenograph_services.runtime.eventlog import Stored
from stenograph_services.runtime.sessions import Loaded

log = structlog.get_logger()

BUSY_SECONDS = 3.0  # a client waits this long for a turn before it to end …
OUTCOME_SECONDS = 5.0  # … and this long in all for the headers: clients give up, and send again, after 60 s
KEPT = 2_000  # sessions that are followed, or were lately; the next turn of one finds its subscriptions still there


class SharedConnection(Connection):
    """The SDK's connection over the one that the service has already."""

    def __init__(self, nc: Client, url: str) -> None:
        super().__init__(url)
        self.nats = nc
        self.jetstream = nc.jetstream()

    def restored(self) -> None:
        """Let those who follow sessions look into the log: something may have been missed."""
        for heard in tuple(self.on_reconnect):
            heard()


class _Wanted:
    """A trigger as it came. Without a `request` id of the client's own it is a new turn."""

    def __init__(self, session: str, name: str, input: dict[str, Any], request: str | None) -> None:
        self.session, self.name, self.input, self.request = session, name, input, request
        self.known = request or str(uuid.uuid4())
        self.turn = turn_id(session, self.known)


class Triggers:
    """Sends triggers and streams their turns. Knows every stream that is open, to end them all when asked to."""

    def __init__(self, nc: Client, settings: Settings, reader: Reader) -> None:
        self.connection = SharedConnection(nc, settings.nats_url)
        self._settings = settings
        self._reader = reader
        self._sessions = Sessions(self.connection, settings.tenant)
        self._kept: OrderedDict[str, Session] = OrderedDict()
        self._open: set[LiveTurn] = set()
        self._cancelling: set[asyncio.Task[None]] = set()

    async def trigger(self, session: str, name: str, input: dict[str, Any], request: str | None) -> TurnResponse:
        """Send trigger `name` and return the response that streams its turn; raise `Refusal`.

        The same `request` id means the same turn, however often it comes.
        """
        encoded(input, self._settings.trigger_max_bytes)
        began = asyncio.get_running_loop().time()
        loaded = await self._reader.session(session)
        state, head = loaded.folded, loaded.head
        assert state is not None, "the reader refuses a session without a log"
        agent = await self._reader.agent(state.agent, state.agent_version)
        wanted = _Wanted(session, name, input, request)
        if agent is not None and (state.turn is None or state.turn.id != wanted.turn):
            await self._make_way(loaded, agent)
        told = 0 if state.turn and state.turn.exceeded else head.n
        handler = agent.handlers.get(name, ()) if agent else ()
        stream = TurnStream(wanted.turn, handler, callees(agent), since=told + 1)
        return await self._stream(wanted, stream, began + OUTCOME_SECONDS)

    async def drain(self, seconds: float) -> None:
        """Wait for the streams that are open, then end the rest with an error; their turns go on."""
        if self._open:
            await asyncio.wait([live.closed for live in self._open], timeout=seconds)
        for live in tuple(self._open):
            live.say(Signal.CLOSING)
        if self._cancelling:
            await asyncio.wait(set(self._cancelling), timeout=2)

    # ---- one trigger

    async def _stream(self, wanted: _Wanted, stream: TurnStream, until: float) -> TurnResponse:
        following = self._session(wanted.session)
        items = following.trigger(wanted.name, wanted.input, request=wanted.known, timeout=OUTCOME_SECONDS)
        live = LiveTurn(self._reader.with_results(items), self._open)
        rejection = await live.outcome(max(until - asyncio.get_running_loop().time(), 1.0))
        if rejection is not None and getattr(rejection, "reason", None) != "cancelled":
            await live.close()
            if isinstance(rejection, Unconfirmed) and wanted.request is None:
                # It may be stored all the same, and nobody will read its answer.
                self._cancel_later(following, wanted.turn)
            raise _refusal(rejection)
        return TurnResponse(
            live,
            stream,
            heartbeat_seconds=self._settings.sse_heartbeat_seconds,
            abandoned=lambda: self._cancel_later(following, wanted.turn),
        )

    async def _make_way(self, loaded: Loaded, agent: Agent) -> None:
        """See that a trigger meets no turn that it would wait for in vain; raise `Refusal` if it does."""
        if agent.when_busy == "interrupt":
            return
        if loaded.folded and loaded.folded.turn and loaded.folded.turn.exceeded:
            raise Refusal(429, _busy_with(loaded.folded.turn))
        if agent.when_busy == "reject":
            await self._wait_until_idle(loaded)

    async def _wait_until_idle(self, loaded: Loaded) -> None:
        """Wait for the turn that runs, a little; raise `Refusal` if it goes on."""
        if not _busy(loaded.folded):
            return
        sessions = self._reader.sessions
        try:
            async with asyncio.timeout(BUSY_SECONDS):
                events = sessions.log.follow(loaded.tenant, loaded.id, loaded.head.sequence)
                async with aclosing(cast("AsyncGenerator[Stored, None]", events)) as following:
                    async for _ in following:
                        await sessions.refresh(loaded)
                        if not _busy(loaded.folded):
                            return
        except TimeoutError as error:
            raise Refusal(429, _busy_with(loaded.folded.turn if loaded.folded else None)) from error

    def _cancel_later(self, following: Session, turn: TurnId) -> None:
        """Cancel `turn` beside everything else: a request that is over must not hold its connection."""
        task = asyncio.create_task(_cancel(following, turn))
        self._cancelling.add(task)
        task.add_done_callback(self._cancelling.discard)

    def _session(self, session: str) -> Session:
        if session not in self._kept:
            self._kept[session] = self._sessions.get(session)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(session)
        return self._kept[session]


async def _cancel(following: Session, turn: TurnId) -> None:
    try:
        await following.cancel(turn)
        log.info("turn.abandoned", session=following.id, turn=turn)
    except StenographSdkError as error:
        log.warning("turn.not_cancelled", session=following.id, turn=turn, error=str(error))


def _refusal(rejection: TriggerRejected | TriggerUnanswered | Exception) -> Refusal:
    match rejection:
        case TriggerRejected():
            return refused(rejection)
        case TriggerUnanswered():
            return Refusal(404, rejection.detail)
    return refusal_of(rejection)


def _busy_with(turn: Turn | None) -> str:
    if turn is None:
        return "another turn of this session waits to run; try again when it is over"
    if turn.exceeded is None:
        return f"turn {turn.id} of this session is running; try again when it is over"
    how = f"stenograph sessions raise-budget SESSION --{turn.exceeded}"
    return f"turn {turn.id} waits for the budget of the {turn.exceeded}: raise it with `{how}`, or cancel the turn"


def _busy(session: Folded | None) -> bool:
    return session is not None and (session.turn is not None or bool(session.queue))
