"""A session's log by event number: a page of it, all of it as it grows, and the session as it stood at an event.

Events are found by their position in the stream, which grows with `n` but is not it. So where a page ended is
remembered, and the next page, or a reader who comes back, begins there; anybody else is read up to from the beginning.

What a clear took away is not shown here: such a log begins with its `session.cleared`. That event's `prev` is the hash
of one that nobody is shown, so the chain can be checked from there on, and no further back.
"""

from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import NamedTuple, cast

import msgspec

from stenograph_events import EMPTY, Head, StoredEvent, UndecodableEvent, follow
from stenograph_events.chain import digest
from stenograph_events.sealing import with_digest
from stenograph_projections import session as fold
from stenograph_projections.session import Session
from stenograph_projections.transcript import cleared_by
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.gateway.stored.reading import Reader
from stenograph_services.runtime.eventlog import TAIL, Stored
from stenograph_services.runtime.sessions import Loaded

PAGE_MAX_BYTES = 4 * 1024 * 1024  # a page ends after the event that reaches this: one event is at most 1 MiB
REMEMBERED = 10_000  # ends of pages


class Numbered(NamedTuple):
    """An event's number and its bytes: those that are stored, or, opened, with the hash of those that are."""

    n: int
    data: bytes


class LogPage(NamedTuple):
    events: list[Numbered]
    more: bool


class _Number(msgspec.Struct):
    n: int = 0


_number = msgspec.json.Decoder(_Number)


class LogPages:
    """Reads the logs of one tenant's sessions. Every method raises `Refusal` if there is no such session."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._log = reader.sessions.log
        self._ends: OrderedDict[tuple[str, int], int] = OrderedDict()

    async def end(self, session: str) -> int:
        """Return the number of the last event."""
        return (await self._reader.session(session)).head.n

    async def page(self, session: str, after: int, limit: int) -> LogPage:
        """Return at most `limit` events whose number is over `after`, and whether the log holds more."""
        loaded = await self._reader.session(session)
        after = max(after, _hidden(loaded))
        events: list[Numbered] = []
        size = end = 0
        async with aclosing(self._stored(loaded, after)) as reading:
            async for n, stored in reading:
                if len(events) == limit or size >= PAGE_MAX_BYTES:
                    self._remember(loaded.id, events[-1].n, end)
                    return LogPage(events, True)
                events.append(Numbered(n, _told(stored)))
                size, end = size + len(stored.data), stored.sequence
        return LogPage(events, False)

    async def state(self, session: str, at: int | None) -> tuple[Session, Head]:
        """Return the session as it stood after event `at`, now if that is None, and where its log stood then."""
        loaded = await self._reader.session(session)
        if at is None or at == loaded.head.n:
            assert loaded.folded is not None, "the reader refuses a session without a log"
            return loaded.folded, loaded.head
        if at > loaded.head.n:
            raise Refusal(404, f"session {session} has no event {at}: its log ends at event {loaded.head.n}")
        if at <= (hidden := _hidden(loaded)):
            raise Refusal(404, f"event {at} of session {session} was cleared: what is shown begins at {hidden + 1}")
        state, head = None, EMPTY
        async with aclosing(self._stored(loaded, 0)) as reading:
            async for _, stored in reading:
                event = stored.event
                head = follow(head, event, stored.data, stored.sequence)
                state = fold.apply(state, event)
                if head.n == at:
                    return state, head
        raise Refusal(503, f"event {at} of session {session} cannot be read now; try again")

    async def newest(self, session: str, most: int) -> tuple[list[StoredEvent], int]:
        """Return the last `most` events of the log, and how many there are to show."""
        loaded = await self._reader.session(session)
        hidden = _hidden(loaded)
        async with aclosing(self._stored(loaded, max(hidden, loaded.head.n - most))) as reading:
            events = [stored.event async for _, stored in reading]
        return events, loaded.head.n - hidden

    async def follow(self, session: str, after: int) -> AsyncGenerator[Numbered, None]:
        """Yield the events whose number is over `after`, then each one as it is appended, without end."""
        loaded = await self._reader.session(session)
        after = max(after, _hidden(loaded))
        n, sequence = after, self._position(loaded, after)
        events = self._log.follow(loaded.tenant, loaded.id, sequence)
        try:
            async with aclosing(cast("AsyncGenerator[Stored, None]", events)) as following:
                async for stored in following:
                    number = number_of(stored)
                    if number > after:
                        n, sequence = number, stored.sequence
                        yield Numbered(n, _told(stored))
        finally:
            self._remember(loaded.id, n, sequence)  # whoever was cut off comes back for what follows

    async def _stored(self, loaded: Loaded, after: int) -> AsyncGenerator[tuple[int, Stored], None]:
        """Yield the events over `after` as the log stands now, read a piece at a time."""
        position, more = self._position(loaded, after), True
        while more:
            piece, more = await self._log.page(loaded.tenant, loaded.id, position, TAIL)
            more = more and bool(piece)
            for stored in piece:
                position = stored.sequence
                n = number_of(stored)
                if n > after:
                    yield n, stored

    def _position(self, loaded: Loaded, after: int) -> int:
        """Return a stream sequence behind which all events over `after` lie."""
        if after >= loaded.head.n:
            return loaded.head.sequence
        return self._ends.get((loaded.id, after), 0)

    def _remember(self, session: str, n: int, sequence: int) -> None:
        """Keep where event `n` lies, or a position before it."""
        self._ends[session, n] = sequence
        if len(self._ends) > REMEMBERED:
            self._ends.popitem(last=False)


def _told(stored: Stored) -> bytes:
    return stored.data if stored.opened is None else with_digest(stored.opened, digest(stored.data))


def _hidden(loaded: Loaded) -> int:
    """Return the last event that is not shown, 0 if all are: the one before the clear."""
    return max(0, cleared_by(loaded.entries) - 1)


def number_of(stored: Stored) -> int:
    """Return the number of an event; raise `UndecodableEvent`."""
    try:
        return _number.decode(stored.data).n
    except msgspec.MsgspecError as error:
        raise UndecodableEvent(f"at sequence {stored.sequence}: {error}") from error
