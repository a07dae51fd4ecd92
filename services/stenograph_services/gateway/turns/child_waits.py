"""What people are asked in the sessions of child agents, for the stream of the turn that waits for these.

    the parent's turn   tool.requested{child} ───────────────────────── waits for people alone: its stream ends
    the child's log       approval.requested ──── nothing else is open: `WaitsBelow`

A child agent is followed for this whatever clients are shown of it, and so are those that it runs itself. Only how it
stands is told, never how it stood: what was asked and said before somebody followed it is passed over.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable

import structlog

from stenograph_events import SessionId, StoredEvent, ToolOutcome
from stenograph_events.frames import AnyFrame
from stenograph_events.types import Event, ToolRequested
from stenograph_events.values import Child
from stenograph_services.gateway.stored.reading import Reader
from stenograph_services.gateway.stream.legs import Pending, Question, WaitsBelow
from stenograph_services.gateway.turns.live import Told
from stenograph_services.gateway.turns.weaving import woven

log = structlog.get_logger()

Follow = Callable[[SessionId], AsyncGenerator[StoredEvent | AnyFrame, None]]
"""Yields what happens in a session, from its first event on."""


class ChildWaits:
    """What the child agent that `request` asks for waits for."""

    def __init__(self, follow: Follow, reader: Reader, request: ToolRequested, child: Child) -> None:
        self._follow = follow
        self._reader = reader
        self._request = request
        self._child = child

    async def events(self) -> AsyncGenerator[Told, None]:
        """Yield what it waits for whenever that is something else, for as long as somebody asks."""
        try:
            async for waits in self._changes(await self._known()):
                yield waits
        except Exception as error:  # the parent's turn is told all the same
            log.warning("child.not_followed", child=self._child.session, error=str(error))

    async def settled(self, outcome: ToolOutcome) -> None:
        """Return at once: what it waited for is of no interest any more."""

    def end(self) -> None:
        """Return nothing: the call's outcome says it."""

    async def _changes(self, known: int) -> AsyncIterator[WaitsBelow]:
        pending, told, n = Pending(), tuple[Question, ...](), 0
        async for item in woven(self._follow(self._child.session), self._below):
            if isinstance(item, WaitsBelow):
                pending.see_below(item)
            elif isinstance(item, Event):
                pending.see(item)
                n = item.n
            else:
                continue
            now = tuple(pending.questions) if pending.held else ()
            if n >= known and now != told:
                told = now
                yield WaitsBelow(self._request.call, now)

    def _below(self, request: ToolRequested) -> "ChildWaits | None":
        return ChildWaits(self._follow, self._reader, request, request.child) if request.child is not None else None

    async def _known(self) -> int:
        """Return the last event that its log has now, 0 if there is none."""
        stored = await self._reader.sessions.log.read(self._request.tenant, self._child.session)
        return stored[-1].event.n if stored else 0
