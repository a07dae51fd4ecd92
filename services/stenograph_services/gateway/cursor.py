"""Where in a stream a client was, as the last `id:` that it read says. Pure.

12            it has all that event 12 shows …
12/2          … or the first two things of it
3.1.7.42      frame 7 of attempt 1 after event 3, up to which that attempt had written 42 characters
"""

import re
from typing import NamedTuple, Self

from stenograph_events import StoredEvent
from stenograph_events.frames import AnyFrame
from stenograph_events.types import Event
from stenograph_services.gateway.refusals import Refusal

_DIGITS = r"[0-9]{1,16}"  # what every JSON reader holds exactly
_ID = re.compile(rf"({_DIGITS})(?:/({_DIGITS})|\.({_DIGITS})\.({_DIGITS})(?:\.({_DIGITS}))?)?")

Place = tuple[int, int, int]
"""The order of a stream: an event, the frames after it by attempt and count, the next event."""


class Cursor(NamedTuple):
    """The last thing that a client has."""

    n: int
    attempt: int = 0
    k: int = 0
    characters: int | None = None
    step: int = 0

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the cursor that `text` writes; raise `Refusal` if it is none."""
        found = _ID.fullmatch(text)
        if found is None or int(found[1]) == 0:
            raise Refusal(400, f"Last-Event-ID is an id of a stream, such as 12 or 3.1.7.42, not {text[:80]!r}")
        n, step, attempt, k, characters = found.groups()
        return cls(int(n), int(attempt or 0), int(k or 0), int(characters) if characters else None, int(step or 0))

    @property
    def place(self) -> Place:
        return self.n, self.attempt, self.k

    def known(self, item: StoredEvent | AnyFrame) -> int | None:
        """Return how many of the things that `item` shows the client has; None if all."""
        if place_of(item) == self.place and self.step:
            return self.step
        return 0 if place_of(item) > self.place else None


def place_of(item: StoredEvent | AnyFrame) -> Place:
    return (item.n, 0, 0) if isinstance(item, Event) else (item.after, item.attempt, item.k)
