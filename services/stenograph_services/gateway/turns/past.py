"""A turn as the log has it so far, read from the log's end: a turn is short, whatever the length of its session.

A turn that was cleared is not there any more.
"""

import asyncio
from typing import NamedTuple

from stenograph_events import Head, StoredEvent, TurnId
from stenograph_events.chain import digest
from stenograph_events.types import TurnStarted
from stenograph_projections.transcript import cleared_by
from stenograph_services.runtime.errors import StorageUnavailable
from stenograph_services.runtime.eventlog import EventLog, Stored
from stenograph_services.runtime.sessions import LAG_SECONDS, Loaded

REACH = 1_000  # stream sequences to read at first; the sessions of a shard share them …
FURTHER = 16  # … so each further try reaches this much further back


class Past(NamedTuple):
    """The events of one turn, and where the log of its session stood when they were read."""

    events: list[StoredEvent]
    head: Head


async def past_of(log: EventLog, loaded: Loaded, turn: str) -> Past:
    """Return `turn` up to where `loaded` stands, or further; no events if the session knows of no such turn.

    Raises `StorageUnavailable` if no replica shows as much in 5 s.
    """
    reach, cleared = REACH, cleared_by(loaded.entries)
    while True:
        stored = await _read(log, loaded, max(0, loaded.head.sequence - reach))
        events = [one.event for one in stored]
        found = [event for event in events if event.turn == turn and event.n > cleared]
        whole = events[0].n <= cleared or reach >= loaded.head.sequence
        if whole or any(isinstance(event, TurnStarted) for event in found):
            last = stored[-1]
            return Past(found, Head(last.sequence, events[-1].n, digest(last.data)))
        reach *= FURTHER


async def turn_at(log: EventLog, loaded: Loaded, n: int | None) -> TurnId | None:
    """Return the turn that ran at event `n`, by default the last one; None if there was none. Raises as `past_of`."""
    reach, cleared = REACH, cleared_by(loaded.entries)
    while True:
        stored = await _read(log, loaded, max(0, loaded.head.sequence - reach))
        events = [one.event for one in stored]
        before = [event for event in events if event.n > cleared and (n is None or event.n <= n)]
        for event in reversed(before):
            if (isinstance(event, TurnStarted) or event.n == n) and event.turn is not None:
                return TurnId(event.turn)
        if events[0].n <= cleared or reach >= loaded.head.sequence:
            return None
        reach *= FURTHER


async def _read(log: EventLog, loaded: Loaded, after: int) -> list[Stored]:
    deadline = asyncio.get_running_loop().time() + LAG_SECONDS
    while True:
        stored = await log.read(loaded.tenant, loaded.id, after)
        if stored and stored[-1].sequence >= loaded.head.sequence:
            return stored
        if asyncio.get_running_loop().time() > deadline:
            raise StorageUnavailable(f"no replica has shown event {loaded.head.n} of session {loaded.id} yet")
        await asyncio.sleep(0.02)
