"""Events of a log that came over HTTP, each one checked to follow the one before it."""

from stenograph_events import EMPTY, Head, StoredEvent, decode
from stenograph_events.chain import digest, follow_hash
from stenograph_events.sealing import stored_digest


class LogChain:
    """Decodes events in order. What comes before the first one is not known, unless that is event 1.

    An event that lies sealed at the service comes with the hash of what lies there: that it is the right one for the
    event, we have the service's word; that the events belong together in this order shows all the same.
    """

    def __init__(self, after: int) -> None:
        self._head: Head | None = EMPTY if after == 0 else None

    def event(self, data: bytes) -> StoredEvent:
        """Return the event that `data` holds; raise `BrokenChain` if it does not follow the last one."""
        event = decode(data)
        hashed = stored_digest(data) or digest(data)
        self._head = Head(0, event.n, hashed) if self._head is None else follow_hash(self._head, event, hashed, 0)
        return event
