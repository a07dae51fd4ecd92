"""What a child agent does, on its way into the stream of its parent, and the ids of a stream that tells of both. Pure.

    id: 5                   {"type":"worker-start","workerId":"7e1f…",…}           the parent's event 5 asked for it
    id: 5:3.1.7.42~5        {"type":"text-delta",…,"workerId":"7e1f…"}             frame 7 in the child's own log
    id: 6~5:3.1.7.42        {"type":"tool-output-available",…}                     of the parent, beside the child
    id: 8                   {"type":"worker-result","workerId":"7e1f…",…}          the child's part is told

So whichever came last, an id says how far its reader is in the turn itself and in each child agent that runs.
"""

from typing import NamedTuple

from stenograph_events import StoredEvent, ToolOutcome
from stenograph_events.types import ToolRequested
from stenograph_services.gateway.stream.cursor import BESIDE, Cursor
from stenograph_services.gateway.wire.stream_events import StreamEvent


class OfChild(NamedTuple):
    """What one item of a child's turn shows. `request`: the event that asked for the child, to answer `call`.

    `id` is the one of the child's own stream; what has none has no place of its own. `steps`: as `framed` says.
    """

    call: str
    request: int
    events: list[StreamEvent]
    id: str | None = None
    steps: bool = False


class ChildPlaces:
    """How far a client has got in each child agent that runs."""

    def __init__(self, cursor: Cursor | None) -> None:
        children = cursor.children if cursor else {}
        self._places = {request: place.own for request, place in children.items()}
        self._requests: dict[str, int] = {}

    def see(self, event: StoredEvent) -> None:
        """Move on by one event of the parent's turn."""
        if isinstance(event, ToolRequested):
            if event.child is not None:
                self._requests[event.call] = event.n
        elif isinstance(event, ToolOutcome) and event.call in self._requests:
            self._places.pop(self._requests.pop(event.call), None)

    def beside(self, own: str) -> str:
        """Return the id of something of the parent's that is `own` without its children."""
        return _joined(own, self._places) if self._places else own

    def id_of(self, item: OfChild, own: str) -> str:
        """Return the id of something of a child's. `own`: how far the parent's turn was told."""
        if item.id is None:
            return self.beside(own)
        self._places[item.request] = item.id
        others = {request: place for request, place in self._places.items() if request != item.request}
        return _joined(f"{item.request}:{item.id}{BESIDE}{own}", others)


def _joined(first: str, children: dict[int, str]) -> str:
    return BESIDE.join([first, *(f"{request}:{place}" for request, place in children.items())])
