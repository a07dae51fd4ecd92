"""Observing: the stream of a turn for whoever wants to see it, from its beginning or from where a client was.

    Last-Event-ID: 3.1.7.42    what came after frame 7 of attempt 1 after event 3

The turn is played again from its beginning, and what the client has is left out. Its events come from the log, its
frames from the server's memory while they are there; after that the rest of a text comes with its message. What an
observer does changes nothing: a turn is cancelled only by those who drive it.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import NamedTuple

from nats.aio.client import Client

from stenograph_events import InvalidId, TurnId, checked_id
from stenograph_events.frames import AnyFrame, decode_frame
from stenograph_events.subjects import frame_subject
from stenograph_events.types import (
    BudgetExceeded,
    BudgetRaised,
    Event,
    MessageAdded,
    TurnFinished,
    TurnStarted,
)
from stenograph_sdk.following import TurnWatch
from stenograph_services.gateway.callees import callees
from stenograph_services.gateway.cursor import Cursor
from stenograph_services.gateway.legs import Leg, Pending
from stenograph_services.gateway.live import Item
from stenograph_services.gateway.past import Past, past_of, turn_at
from stenograph_services.gateway.reading import Reader
from stenograph_services.gateway.refusals import Refusal
from stenograph_services.gateway.repeats import Wanted
from stenograph_services.gateway.response import TurnResponse
from stenograph_services.gateway.retelling import Retelling
from stenograph_services.gateway.sse import TurnStream
from stenograph_services.gateway.streams import Streams
from stenograph_services.runtime.batches import BatchReader
from stenograph_services.runtime.sessions import Loaded
from stenograph_services.runtime.streams import TOK

FRAMES_MAX = 100_000  # of a session, in the minutes that they are kept


class Observed(NamedTuple):
    """One turn of a session, and where its reader was."""

    loaded: Loaded
    past: Past
    turn: TurnId
    cursor: Cursor | None


class Observers:
    """Streams turns to those who did not trigger them, or did and come back."""

    def __init__(self, streams: Streams, nc: Client, reader: Reader) -> None:
        self._streams = streams
        self._reader = reader
        self._batches = BatchReader(nc)

    async def observe(
        self, session: str, turn: str | None, last_event_id: str | None, *, wanted: Wanted | None = None
    ) -> TurnResponse:
        """Return the stream of `turn`, by default the one of `last_event_id`, else the one that runs or ran last.

        Raises `Refusal` if there is no such turn, or `last_event_id` is not of its stream. `wanted`: the trigger that
        is repeated; whoever repeats it drives the turn.
        """
        cursor = None if last_event_id is None else Cursor.read(last_event_id)
        observed = await self._found(session, turn, cursor)
        kept = await self._kept(observed.loaded)
        retelling = Retelling(observed.turn, kept, cursor)
        if cursor is not None and cursor.characters is None and retelling.is_lost:
            raise Refusal(400, f"Last-Event-ID: the frames up to {last_event_id} are gone; ask without it")
        self._streams.repeats.take_up(session, observed.turn)
        stream = await self._stream(observed)
        live = self._streams.live(observed.turn, self._reader.with_results(self._told(observed, retelling)))
        return self._streams.response(session, live, stream, wanted, drives=wanted is not None)

    async def resume(self, wanted: Wanted, last_event_id: str) -> TurnResponse:
        """Return the rest of the turn of `wanted`, a trigger that its client has sent before. Raises as `observe`."""
        wanted = self._streams.repeats.known(wanted)
        return await self.observe(wanted.session, wanted.turn if wanted.key else None, last_event_id, wanted=wanted)

    async def _found(self, session: str, execution: str | None, cursor: Cursor | None) -> Observed:
        loaded = await self._reader.session(session)
        await self._reader.sessions.at_head(loaded)  # the request may be younger than what a replica shows
        if cursor is not None and cursor.n > loaded.head.n:
            raise Refusal(400, f"Last-Event-ID: session {loaded.id} has no event {cursor.n} yet")
        log = self._reader.sessions.log
        turn = _checked(execution) if execution else await turn_at(log, loaded, cursor.n if cursor else None)
        past = await past_of(log, loaded, turn) if turn is not None else None
        if turn is None or past is None or not past.events:
            sentence = f"session {loaded.id} has no execution {execution!r}" if execution else "no turn has begun yet"
            raise Refusal(404 if cursor is None or execution else 400, sentence)
        if cursor is not None and not _is_of(past, cursor):
            raise Refusal(400, f"Last-Event-ID: the stream of execution {turn} has nothing at event {cursor.n}")
        return Observed(loaded, past, turn, cursor)

    async def _kept(self, loaded: Loaded) -> list[AnyFrame]:
        messages, _ = await self._batches.read(TOK, frame_subject(loaded.tenant, loaded.id), 1, FRAMES_MAX)
        return [decode_frame(data) for _, _, data in messages]

    async def _stream(self, observed: Observed) -> TurnStream:
        state, past = observed.loaded.state, observed.past
        agent = await self._reader.agent(state.agent, state.agent_version)
        pending = Pending()
        for event in past.events:
            pending.see(event)
        trigger = next((event.trigger for event in past.events if isinstance(event, TurnStarted)), "")
        return TurnStream(
            observed.turn,
            agent.handlers.get(trigger, ()) if agent else (),
            callees(agent),
            since=_since(past),
            leg=Leg(head=past.head.n, open=frozenset(pending.open)),
            cursor=observed.cursor,
        )

    async def _told(self, observed: Observed, retelling: Retelling) -> AsyncIterator[Item]:
        watch = TurnWatch(observed.turn)
        async with aclosing(self._ordered(observed, retelling)) as ordered:
            async for item in ordered:
                if isinstance(item, MessageAdded) and item.turn == observed.turn:
                    for frame in retelling.instead(item):
                        yield frame
                if watch.shows(item):
                    yield item
                if watch.over:
                    return

    async def _ordered(self, observed: Observed, retelling: Retelling) -> AsyncGenerator[Item, None]:
        """Yield the turn's events and frames as a stream shows them, then whatever happens to the session."""
        for event in observed.past.events:
            for frame in retelling.due(event.n):
                yield frame
            yield event
        for frame in retelling.due(observed.past.head.n + 1):
            yield frame
        async with aclosing(self._streams.session(observed.loaded.id).watch_from(observed.past.head)) as following:
            async for item in following:
                if not isinstance(item, Event) and retelling.is_gap(item):
                    retelling.keep(await self._kept(observed.loaded))
                for frame in retelling.due(item.n) if isinstance(item, Event) else retelling.until(item):
                    yield frame
                if isinstance(item, Event):
                    yield item


def _since(past: Past) -> int:
    """Return the event at which the turn waits for a budget now, else the one after the head."""
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
