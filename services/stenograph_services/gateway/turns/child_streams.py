"""Child agents live: what they do goes into the stream of the turn that runs them, for clients that know workers.

Told of is a child whose display is `stream`, while its call is open, to clients beyond version 2.0.0. That it waits for
a person is heard of whatever its display is, and ends any stream that waits for nothing else. Agents without children
are streamed without any of this.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from typing import cast

from stenograph_events import EMPTY, SessionId, StoredEvent, ToolOutcome
from stenograph_events.types import ToolRequested
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.gateway.stored.reading import Reader
from stenograph_services.gateway.stream.cursor import Cursor
from stenograph_services.gateway.stream.sse import TurnStream
from stenograph_services.gateway.turns.child_runs import ChildRun
from stenograph_services.gateway.turns.child_waits import ChildWaits
from stenograph_services.gateway.turns.live import Item, Told
from stenograph_services.gateway.turns.streams import Streams
from stenograph_services.gateway.turns.telling import Teller
from stenograph_services.gateway.turns.weaving import woven
from stenograph_services.gateway.wire.versions import Wire


class ChildStreams:
    """Follows the child agents of turns."""

    def __init__(self, teller: Teller, reader: Reader, streams: Streams) -> None:
        self._teller = teller
        self._reader = reader
        self._streams = streams

    def beside(
        self,
        items: AsyncIterator[Item],
        stream: TurnStream,
        wire: Wire,
        cursor: Cursor | None = None,
        past: Iterable[StoredEvent] = (),
    ) -> AsyncIterator[Told]:
        """Return `items` of a turn, and between them what the child agents do that `stream` tells of.

        `cursor`: what the client has; then `past` is the turn so far.
        """
        if not stream.may_wait_for_children:
            return items
        told = cast("AsyncGenerator[Told, None]", items)
        if wire is not Wire.FIRST and stream.may_tell_of_children:
            told = self._with_runs(told, stream, cursor, past)
        answered = frozenset(event.call for event in past if isinstance(event, ToolOutcome))

        def wait(request: ToolRequested) -> ChildWaits | None:
            if request.child is None or request.call in answered:
                return None
            return ChildWaits(self._follow, self._reader, request, request.child)

        return woven(told, wait)

    def _with_runs(
        self, items: AsyncGenerator[Told, None], stream: TurnStream, cursor: Cursor | None, past: Iterable[StoredEvent]
    ) -> AsyncGenerator[Told, None]:
        had = _answered(past, cursor.n) if cursor else frozenset[str]()

        def begin(request: ToolRequested) -> ChildRun | None:
            if request.child is None or request.call in had or not stream.tells_of(request):
                return None
            place = cursor.children.get(request.n) if cursor else None
            return ChildRun(self._teller, self._reader, request, request.child, place)

        return woven(items, begin)

    def _follow(self, session: SessionId) -> AsyncGenerator[Item, None]:
        return self._streams.session(session).watch_from(EMPTY)

    async def check(self, cursor: Cursor, past: Iterable[StoredEvent]) -> None:
        """Raise `Refusal` if `cursor` names a child that the turn did not ask for, or a place that it has not."""
        requests = {event.n: event for event in past if isinstance(event, ToolRequested)}
        for n, place in cursor.children.items():
            request = requests.get(n)
            if request is None or request.child is None:
                raise Refusal(400, f"Last-Event-ID: event {n} of this execution asks for no child agent")
            child = await self._reader.sessions.get(request.tenant, request.child.session, fresh=True)
            if place.n > child.head.n:
                raise Refusal(400, f"Last-Event-ID: the child agent that event {n} asks for has no event {place.n} yet")


def _answered(past: Iterable[StoredEvent], n: int) -> frozenset[str]:
    """Return the calls whose outcomes stand at event `n` or before it: whoever has those has all of their runs."""
    return frozenset(event.call for event in past if isinstance(event, ToolOutcome) and event.n <= n)
