"""Observing: the stream of a turn for whoever wants to see it, from its beginning or from where a client was.

    Last-Event-ID: 3.1.7.42    what came after frame 7 of attempt 1 after event 3

The turn is played again from its beginning, and what the client has is left out. Its events come from the log, its
frames from the server's memory while they are there; after that the rest of a text comes with its message. What an
observer does changes nothing: a turn is cancelled only by those who drive it.
"""

from typing import NamedTuple

from stenograph_events import InvalidId, TurnId, checked_id
from stenograph_events.types import (
    BudgetExceeded,
    BudgetRaised,
    TriggerQueued,
    TurnFinished,
    TurnStarted,
)
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.gateway.stored.reading import Reader
from stenograph_services.gateway.stream.callees import callees
from stenograph_services.gateway.stream.cursor import Cursor
from stenograph_services.gateway.stream.legs import Leg, Pending
from stenograph_services.gateway.stream.sse import TurnStream
from stenograph_services.gateway.turns.anchors import anchored
from stenograph_services.gateway.turns.child_streams import ChildStreams
from stenograph_services.gateway.turns.past import Past, past_of, turn_at
from stenograph_services.gateway.turns.repeats import Wanted
from stenograph_services.gateway.turns.response import TurnResponse
from stenograph_services.gateway.turns.streams import Streams
from stenograph_services.gateway.turns.telling import Teller
from stenograph_services.gateway.wire.stream_events import Opening, Start
from stenograph_services.gateway.wire.versions import Wire
from stenograph_services.runtime.sessions import Loaded


class Observed(NamedTuple):
    """One turn of a session, and where its reader was."""

    loaded: Loaded
    past: Past
    turn: TurnId
    cursor: Cursor | None


class Observers:
    """Streams turns to those who did not trigger them, or did and come back."""

    def __init__(self, streams: Streams, reader: Reader, teller: Teller, children: ChildStreams) -> None:
        self._streams = streams
        self._children = children
        self._reader = reader
        self._teller = teller

    async def observe(self, session: str, turn: str | None, last_event_id: str | None, wire: Wire) -> TurnResponse:
        """Return the stream of `turn`, by default the one of `last_event_id`, else the one that runs or ran last.

        Raises `Refusal` if there is no such turn, or `last_event_id` is not of its stream.
        """
        cursor = None if last_event_id is None else Cursor.read(last_event_id)
        return await self.response(await self.found(session, turn, cursor), wire)

    async def response(
        self, observed: Observed, wire: Wire, wanted: Wanted | None = None, opening: Opening = Start
    ) -> TurnResponse:
        """Return the stream of `observed`. `wanted`: the trigger that is repeated; whoever repeats it drives the turn.

        Raises `Refusal` if the frames up to the cursor are gone and it does not say how much they were, or it is in a
        child agent that is not there.
        """
        loaded, past, turn, cursor = observed
        if cursor is not None:
            await self._children.check(cursor, past.events)
        items = await self._teller.tell(loaded, past, turn, cursor)
        self._streams.repeats.take_up(loaded.id, turn)
        stream = await self._stream(observed, opening(turn))
        told = self._children.beside(self._reader.with_results(items), stream, wire, cursor, past.events)
        live = self._streams.live(turn, told)
        return self._streams.response(loaded.id, live, stream, wanted, drives=wanted is not None)

    async def found(self, session: str, execution: str | None, cursor: Cursor | None) -> Observed:
        """Return the turn that is meant, as the log has it. Raises as `observe`."""
        loaded = await self._reader.session(session)
        await self._reader.sessions.at_head(loaded)  # the request may be younger than what a replica shows
        if cursor is not None:
            check_reached(loaded, cursor)
        log = self._reader.sessions.log
        turn = _checked(execution) if execution else await turn_at(log, loaded, cursor.n if cursor else None)
        past = await past_of(log, loaded, turn) if turn is not None else None
        if turn is None or past is None or not past.events:
            sentence = f"session {loaded.id} has no execution {execution!r}" if execution else "no turn has begun yet"
            raise Refusal(404 if cursor is None or execution else 400, sentence)
        if cursor is not None:
            check_inside(past, turn, cursor)
        return Observed(loaded, past, turn, cursor)

    async def _stream(self, observed: Observed, start: Start) -> TurnStream:
        state, past = observed.loaded.state, observed.past
        agent = await self._reader.agent(state.agent, state.agent_version)
        pending = Pending()
        for event in past.events:
            pending.see(event)
        trigger = next((event.trigger for event in past.events if isinstance(event, TriggerQueued | TurnStarted)), "")
        return TurnStream(
            observed.turn,
            agent.handlers.get(trigger, ()) if agent else (),
            callees(agent),
            since=since(past),
            leg=Leg(head=past.head.n, open=frozenset(pending.open)),
            start=anchored(start, observed.loaded.entries, past.events),
            cursor=observed.cursor,
        )


def check_reached(loaded: Loaded, cursor: Cursor) -> None:
    """Raise `Refusal` if the log has not come as far as `cursor`."""
    if cursor.n > loaded.head.n:
        raise Refusal(400, f"Last-Event-ID: session {loaded.id} has no event {cursor.n} yet")


def check_inside(past: Past, turn: str, cursor: Cursor) -> None:
    """Raise `Refusal` if a stream of the turn has nothing at `cursor`."""
    if not _is_of(past, cursor):
        raise Refusal(400, f"Last-Event-ID: the stream of execution {turn} has nothing at event {cursor.n}")


def since(past: Past) -> int:
    """Return the event at which the turn waits for a budget or a person now, else the one after the head."""
    pending = Pending()
    for event in past.events:
        pending.see(event)
    if pending.held:
        return past.events[-1].n
    for event in reversed(past.events):
        if isinstance(event, BudgetExceeded):
            return event.n
        if isinstance(event, BudgetRaised):
            break
    return past.head.n + 1


def _is_of(past: Past, cursor: Cursor) -> bool:
    """Return whether a stream of the turn has something at `cursor`."""
    first, last = past.events[0], past.events[-1]
    if not cursor.k:
        return any(event.n == cursor.n for event in past.events)
    return first.n <= cursor.n and not (isinstance(last, TurnFinished) and cursor.n >= last.n)


def _checked(execution: str) -> TurnId:
    try:
        return TurnId(checked_id(execution, "executionId"))
    except InvalidId as error:
        raise Refusal(400, str(error)) from error
