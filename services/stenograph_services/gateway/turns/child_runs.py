"""The run of one child agent, told to the client of its parent: its own turn as a stream of its own, every event of
which names the run.

What that stream says of its own beginning and end is left out: the parent's says it. A child of the child is told as
clients are told that know no workers, as a call, because no run is shown inside another one.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

import structlog
from msgspec.structs import replace

from stenograph_events import EMPTY, StoredEvent, ToolOutcome, child_request_id, turn_id
from stenograph_events.types import Event, ToolFailed, ToolRequested, ToolSucceeded
from stenograph_events.values import Child
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.gateway.stored.reading import Reader
from stenograph_services.gateway.stream.callees import callees
from stenograph_services.gateway.stream.child_places import OfChild
from stenograph_services.gateway.stream.cursor import Cursor
from stenograph_services.gateway.stream.sse import TurnStream
from stenograph_services.gateway.turns.live import Item, Told
from stenograph_services.gateway.turns.past import Past
from stenograph_services.gateway.turns.telling import Teller
from stenograph_services.gateway.wire.stream_events import Finish, StreamError, StreamEvent, Unsaid
from stenograph_services.gateway.wire.versions import UNSAID, Wire
from stenograph_services.protocol.agent import CHILD_TRIGGER
from stenograph_services.runtime.sessions import LAG_SECONDS, Loaded

log = structlog.get_logger()

NOTHING_YET = Past([], EMPTY)
NEVER = 2**63  # the number of no event: a child that waits for a budget is a child that runs


class ChildRun:
    """What child agent `child` does to answer `request`. `cursor`: what the client has of it."""

    def __init__(
        self, teller: Teller, reader: Reader, request: ToolRequested, child: Child, cursor: Cursor | None
    ) -> None:
        self._teller = teller
        self._reader = reader
        self._request = request
        self._child = child
        self._cursor = cursor
        self._turn = turn_id(child.session, child_request_id(request.call, request.attempt))
        self._stream: TurnStream | None = None
        self._told = 0  # the last event that was told
        self._over = False
        self._moved = asyncio.Event()

    async def events(self) -> AsyncGenerator[Told, None]:
        """Yield what the run shows, from its beginning to its end or for as long as somebody asks."""
        try:
            self._stream = stream = await self._begun()
            session = Loaded(self._request.tenant, self._child.session)  # there may be none yet: it is read as it grows
            told = await self._teller.tell(session, NOTHING_YET, self._turn, self._cursor)
            async with aclosing(cast("AsyncGenerator[Item, None]", self._reader.with_results(told))) as following:
                async for item in following:
                    if shown := self._shown(stream.show(item)):
                        yield self._of_child(shown, stream.id_of(item), steps=isinstance(item, Event))
                    self._move(item)
        except Exception as error:  # the parent's turn is told all the same, and what the child came to with it
            log.warning("child.not_followed", child=self._child.session, error=str(error))
        finally:
            self._over = True
            self._moved.set()

    async def settled(self, outcome: ToolOutcome) -> None:
        """Return when all is told that the child had done when `outcome` answered for it, at most 5 s later."""
        try:
            async with asyncio.timeout(LAG_SECONDS):
                n = NEVER if self._is_its_end(outcome) else await self._last()
                while not self._over and self._told < n:
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            log.warning("child.told_in_part", child=self._child.session, event=self._told)

    def end(self) -> OfChild | None:
        """Return what closes the parts of a run that is told no further; None if none is open."""
        if self._stream is None:
            return None
        shown = self._shown(self._stream.fail(Refusal(503, "it is told no further")))
        return self._of_child(shown) if shown else None

    # ---- the child's own stream

    async def _begun(self) -> TurnStream:
        agent = await self._reader.agent(self._child.agent, self._child.version)
        return TurnStream(
            self._turn,
            agent.handlers.get(CHILD_TRIGGER, ()) if agent else (),
            callees(agent),
            since=NEVER,
            cursor=self._cursor,
            parts=f"c{self._request.n}-p",
        )

    def _shown(self, events: list[StreamEvent]) -> list[StreamEvent]:
        """Return `events` as of this run, one for each; none if no client is told of any."""
        shown = [self._named(event) for event in events]
        return [] if all(isinstance(event, Unsaid) for event in shown) else shown

    def _named(self, event: StreamEvent) -> StreamEvent:
        if isinstance(event, Finish | StreamError):
            return UNSAID
        if event.worker_id is not None:
            [event] = Wire.FIRST.events([event])
        return event if isinstance(event, Unsaid) else replace(event, worker_id=self._request.call)

    def _of_child(self, shown: list[StreamEvent], id: str | None = None, *, steps: bool = False) -> OfChild:
        return OfChild(self._request.call, self._request.n, shown, id, steps)

    # ---- how far it was told

    def _move(self, item: Item) -> None:
        if isinstance(item, Event):
            self._told = item.n
            self._moved.set()

    def _is_its_end(self, outcome: ToolOutcome) -> bool:
        """Return whether the child itself answered, so that its log has the end of its turn."""
        return isinstance(outcome, ToolSucceeded | ToolFailed) and outcome.worker == self._child.session

    async def _last(self) -> int:
        """Return the last event of the child's turn that its log has, 0 if there is none."""
        stored = await self._reader.sessions.log.read(self._request.tenant, self._child.session)
        events: list[StoredEvent] = [one.event for one in stored]
        return max((event.n for event in events if event.turn == self._turn), default=0)
