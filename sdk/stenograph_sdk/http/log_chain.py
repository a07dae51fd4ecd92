"""Events of a log that came over HTTP, each one checked to follow the one before it."""

from stenograph_events import EMPTY, Head, StoredEvent, decode, follow
from stenograph_events.chain import digest


class LogChain:
    """Decodes events in order. What comes before the first one is not known, unless that is event 1."""

    def __init__(self, after: int) -> None:
        self._head: Head | None = EMPTY if after == 0 else None

    def event(self, data: bytes) -> StoredEvent:
        """Return the event that `data` holds; raise `BrokenChain` if it does not follow the last one."""
        event = decode(data)
        self._head = Head(0, event.n, digest(data)) if self._head is None else follow(self._head, event, data, 0)
        return event
