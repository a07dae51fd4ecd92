"""What people are asked about the calls of a session: as its log says, and as those of its child agents do.

approval.requested      may it run?
resolution.requested    what came of it?
"""

from collections.abc import Iterable
from contextlib import aclosing
from typing import NamedTuple

from stenograph_events import EMPTY, ApprovalDecision, EventId, SessionId, StoredEvent, ToolOutcome
from stenograph_events.types import ApprovalRequested, ResolutionRequested, ToolRequested, TurnFinished
from stenograph_sdk.errors import LogUnavailable, Refused, UnknownSession
from stenograph_sdk.families import running_children
from stenograph_sdk.ways import Way

Question = ApprovalRequested | ResolutionRequested


def questions(events: Iterable[StoredEvent]) -> list[Question]:
    """Return what people are asked at the end of a log, in the order in which they were."""
    asked: dict[str, Question] = {}
    for event in events:
        if isinstance(event, Question):
            asked[event.call] = event
        elif isinstance(event, ApprovalDecision | ToolOutcome):
            asked.pop(event.call, None)
        elif isinstance(event, TurnFinished):
            asked.clear()
    return list(asked.values())


class _Read(NamedTuple):
    """What the log of a session said when it ended with `sequence`."""

    sequence: int
    asked: list[Question]
    children: list[SessionId]


class Below:
    """The child agents that a turn waits for, and what people are asked in their sessions."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._running: dict[str, SessionId] = {}
        self._read: dict[SessionId, _Read] = {}
        self._told: set[EventId] = set()

    def see(self, event: StoredEvent) -> None:
        """Move on by one event of the turn."""
        if isinstance(event, ToolRequested) and event.child is not None:
            self._running[event.call] = event.child.session
        elif isinstance(event, ToolOutcome):
            self._running.pop(event.call, None)

    async def news(self) -> list[Question]:
        """Return what people are asked now, and were not when this was called before."""
        asked = [one for child in self._running.values() for one in await self._asked(child)]
        new = [one for one in asked if one.id not in self._told]
        self._told.update(one.id for one in new)
        return new

    async def _asked(self, session: SessionId) -> list[Question]:
        """Return what people are asked in a session and below; nothing where these credentials do not show it."""
        try:
            said = self._read[session] = await self._looked(session)
        except (LogUnavailable, Refused, UnknownSession):
            return []
        return [*said.asked, *[one for child in said.children for one in await self._asked(child)]]

    async def _looked(self, session: SessionId) -> _Read:
        log = self._way.log(session)
        head, known = await log.head(), self._read.get(session)
        if known is not None and known.sequence == head.sequence:
            return known
        async with aclosing(log.read(EMPTY, head.sequence)) as reading:
            events = [event async for event, _ in reading]
        return _Read(head.sequence, questions(events), running_children(events))
