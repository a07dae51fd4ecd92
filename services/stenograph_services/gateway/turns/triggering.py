"""Triggering: from the body of a request to the response that streams its turn, or to the refusal that says why not.

at once      the session is not there (404), the body is wrong (400), too large (413)
at once      its turn waits for a budget, so that no trigger can tell when it will be over (429)
within 3 s   the session is busy and its agent says that triggers do not wait (429)
within 5 s   the trigger's outcome: a turn (200 and its stream), a rejection (400, 404, 429)
after 5 s    200 and the stream; what goes wrong from here on is an `error` event in it
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import cast

from stenograph_events import TurnId
from stenograph_events.frames import TriggerUnanswered
from stenograph_events.types import TriggerRejected
from stenograph_projections.session import Session as Folded
from stenograph_projections.session import Turn, idle, paused
from stenograph_projections.transcript import cleared_by
from stenograph_sdk import Unconfirmed
from stenograph_services.gateway.http.refusals import Refusal, refusal_of
from stenograph_services.gateway.stored.reading import Reader
from stenograph_services.gateway.stream import children
from stenograph_services.gateway.stream.callees import callees
from stenograph_services.gateway.stream.endings import refused
from stenograph_services.gateway.stream.legs import Leg
from stenograph_services.gateway.stream.sse import TurnStream
from stenograph_services.gateway.turns.anchors import anchored_at_once
from stenograph_services.gateway.turns.asked import asks_for, has_begun, other_trigger
from stenograph_services.gateway.turns.child_streams import ChildStreams
from stenograph_services.gateway.turns.observing import Observed, Observers
from stenograph_services.gateway.turns.past import past_of
from stenograph_services.gateway.turns.repeats import Wanted
from stenograph_services.gateway.turns.response import TurnResponse
from stenograph_services.gateway.turns.streams import Streams
from stenograph_services.gateway.wire.stream_events import Opening, Start
from stenograph_services.gateway.wire.versions import Wire
from stenograph_services.protocol import Agent
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.creating import encoded
from stenograph_services.runtime.eventlog import Stored
from stenograph_services.runtime.sessions import Loaded

BUSY_SECONDS = 3.0  # a client waits this long for a turn before it to end …
OUTCOME_SECONDS = 5.0  # … and this long in all for the headers: clients give up, and send again, after 60 s


class Triggers:
    """Sends triggers and streams their turns."""

    def __init__(
        self, streams: Streams, settings: Settings, reader: Reader, children: ChildStreams, observers: Observers
    ) -> None:
        self._streams = streams
        self._observers = observers
        self._children = children
        self._settings = settings
        self._reader = reader

    async def trigger(
        self, wanted: Wanted, wire: Wire, opening: Opening = Start, *, worker: str | None = None
    ) -> TurnResponse:
        """Send `wanted` and return the response that streams its turn; raise `Refusal`.

        The same key means the same turn, however often it comes, until the session is cleared. `opening` makes what
        the stream begins with; `worker` is told as `TurnStream` says.
        """
        most = self._settings.trigger_max_bytes
        wanted.brought.check_size(len(memoryview(encoded(wanted.input, most))), most)
        began = asyncio.get_running_loop().time()
        loaded = await self._reader.session(wanted.session)
        state, head = loaded.folded, loaded.head
        assert state is not None, "the reader refuses a session without a log"
        agent = await self._reader.agent(state.agent, state.agent_version)
        wanted = wanted.after_clear(cleared_by(loaded.entries))
        if repeated := await self._repeated(wanted, loaded, agent):
            return await self._observers.response(repeated, wire, self._streams.repeats.known(wanted), opening)
        if wanted.key is not None:
            await self._check_standing(loaded)
        wanted = self._streams.repeats.resolved(wanted)
        if agent is not None and wanted.turn not in state.outcomes:
            await (self._make_way(loaded, agent) if wanted.rollback is None else self._come_to_rest(loaded, agent))
        told = 0 if state.turn and state.turn.exceeded else head.n
        stream = TurnStream(
            wanted.turn,
            agent.handlers.get(wanted.name, ()) if agent else (),
            callees(agent),
            since=told + 1,
            leg=Leg(head=head.n, open=_open(state, wanted.turn)),
            start=anchored_at_once(opening(wanted.turn), loaded.entries, state, wanted),
            worker=children.alone(worker, state),
        )
        return await self._stream(wanted, stream, wire, began + OUTCOME_SECONDS)

    # ---- one trigger

    async def _check_standing(self, loaded: Loaded) -> None:
        """Raise `Refusal` if the session is to be restored: a key would stand for its rejection after that, too."""
        if loaded.state.standing != "active":
            await self._reader.sessions.at_head(loaded)
        if loaded.state.standing != "active":
            how = "expired" if loaded.state.standing == "expired" else "was cleared"
            raise Refusal(404, f"the session {how}; restore it, then trigger it again")

    async def _repeated(self, wanted: Wanted, loaded: Loaded, agent: Agent | None) -> Observed | None:
        """Return the turn that has begun by this very trigger; raise `Refusal` if its key began another one."""
        turn = self._streams.repeats.known(wanted).turn
        if turn not in loaded.state.outcomes:
            return None
        past = await past_of(self._reader.sessions.log, loaded, turn)
        if not has_begun(past.events):
            return None
        if not asks_for(wanted, past.events, agent):
            raise other_trigger()
        return Observed(loaded, past, turn, None)

    async def _stream(self, wanted: Wanted, stream: TurnStream, wire: Wire, until: float) -> TurnResponse:
        following = self._streams.session(wanted.session)
        items = following.trigger(
            wanted.name,
            wanted.input,
            request=wanted.request,
            timeout=OUTCOME_SECONDS,
            rollback=wanted.rollback,
            tools=wanted.brought.tools,
            sender=wanted.brought.sender,
            traceparent=wanted.traceparent,
            children=False,  # they are followed here by themselves
        )
        told = self._children.beside(self._reader.with_results(items), stream, wire)
        live = self._streams.live(wanted.turn, told)
        rejection = await live.outcome(max(until - asyncio.get_running_loop().time(), 1.0))
        if rejection is not None and getattr(rejection, "reason", None) != "cancelled":
            await live.close()
            if isinstance(rejection, Unconfirmed) and wanted.key is None:
                # It may be stored all the same, and nobody will read its answer.
                self._streams.cancel(wanted.session, wanted.turn)
            raise _refusal(rejection)
        return self._streams.response(wanted.session, live, stream, wanted)

    async def _make_way(self, loaded: Loaded, agent: Agent) -> None:
        """See that a trigger meets no turn that it would wait for in vain; raise `Refusal` if it does."""
        if agent.when_busy == "interrupt":
            return
        if loaded.folded and loaded.folded.turn and loaded.folded.turn.exceeded:
            raise Refusal(429, _busy_with(loaded.folded.turn))
        if agent.when_busy == "reject":
            await self._wait_until_idle(loaded, _busy)

    async def _come_to_rest(self, loaded: Loaded, agent: Agent) -> None:
        """See that no turn runs: a rollback waits for none. One that gives way to triggers is cancelled."""
        state = loaded.folded
        if state and state.turn and (paused(state) or agent.when_busy == "interrupt"):
            self._streams.cancel(loaded.id, TurnId(state.turn.id))
        await self._wait_until_idle(loaded, lambda session: session is not None and not idle(session))

    async def _wait_until_idle(self, loaded: Loaded, busy: Callable[[Folded | None], bool]) -> None:
        """Wait until the session is not `busy` any more, a little; raise `Refusal` if it stays so."""
        if not busy(loaded.folded):
            return
        sessions = self._reader.sessions
        try:
            async with self._streams.awaiting(loaded.id), asyncio.timeout(BUSY_SECONDS):
                events = sessions.log.follow(loaded.tenant, loaded.id, loaded.head.sequence)
                async with aclosing(cast("AsyncGenerator[Stored, None]", events)) as following:
                    async for _ in following:
                        await sessions.refresh(loaded)
                        if not busy(loaded.folded):
                            return
        except TimeoutError as error:
            raise Refusal(429, _busy_with(loaded.folded.turn if loaded.folded else None)) from error


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
    """Return whether a trigger has to wait. A turn that waits for its client alone gives way to it."""
    if session is None or paused(session):
        return session is not None and bool(session.queue)
    return session.turn is not None or bool(session.queue)


def _open(session: Folded, turn: str) -> frozenset[str]:
    """Return the calls of `turn` that wait for their answers."""
    if session.turn is None or session.turn.id != turn:
        return frozenset()
    return frozenset(call.call for call in session.turn.calls if call.status == "open")
