"""Where in a stream a client was, as the last `id:` that it read says. Pure.

12                    it has all that event 12 shows …
12/2                  … or all but the last two things of it
3.1.7.42              frame 7 of attempt 1 after event 3, up to which that attempt had written 42 characters
5:3.1.7.42~6~4:9      the same, of the child agent that event 5 asked for; it has all of event 6 of the turn itself, and
                      of the child agent that event 4 asked for all up to event 9 of that one's log

Of several places the one that was reached last stands first. A child agent is named while it runs and something of it
was told: of one whose outcome the client has, it has everything.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, Self, TypeVar

from stenograph_events import StoredEvent
from stenograph_events.frames import AnyFrame
from stenograph_events.types import Event
from stenograph_services.gateway.http.refusals import Refusal

_DIGITS = r"[0-9]{1,16}"  # what every JSON reader holds exactly
_ID = re.compile(rf"({_DIGITS})(?:/({_DIGITS})|\.({_DIGITS})\.({_DIGITS})(?:\.({_DIGITS}))?)?")
_CHILD = re.compile(rf"({_DIGITS}):({_DIGITS}(?:/{_DIGITS}|(?:\.{_DIGITS}){{3}})?)")

BESIDE = "~"
"""Stands between the places of one id."""

T = TypeVar("T")

Place = tuple[int, int, int]
"""The order of a stream: an event, the frames after it by attempt and count, the next event."""


class Cursor(NamedTuple):
    """The last thing that a client has. `children`: of child agents that run, by the event that asked for each."""

    n: int
    attempt: int = 0
    k: int = 0
    characters: int | None = None
    step: int = 0
    children: "Mapping[int, Cursor]" = MappingProxyType({})

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the cursor that `text` writes; raise `Refusal` if it is none."""
        pieces = text.split(BESIDE)
        children = {int(found[1]): cls._read(found[2]) for piece in pieces if (found := _CHILD.fullmatch(piece))}
        own = [cls._read(piece) for piece in pieces if _ID.fullmatch(piece)]
        if len(own) != 1 or 1 + len(children) != len(pieces) or not all(one.n for one in (*own, *children.values())):
            raise Refusal(400, f"Last-Event-ID is an id of a stream, such as 12 or 3.1.7.42, not {text[:80]!r}")
        return own[0]._replace(children=children)

    @classmethod
    def _read(cls, text: str) -> Self:
        found = _ID.fullmatch(text)
        assert found is not None, "whoever calls has looked"
        n, step, attempt, k, characters = found.groups()
        return cls(int(n), int(attempt or 0), int(k or 0), int(characters) if characters else None, int(step or 0))

    @property
    def place(self) -> Place:
        return self.n, self.attempt, self.k

    @property
    def own(self) -> str:
        """How it is written, without its children."""
        if self.k:
            return f"{self.n}.{self.attempt}.{self.k}" + ("" if self.characters is None else f".{self.characters}")
        return f"{self.n}/{self.step}" if self.step else str(self.n)

    def unread(self, item: StoredEvent | AnyFrame, events: list[T]) -> list[T]:
        """Return those of `events`, which `item` shows, that the client does not have."""
        if place_of(item) == self.place and self.step:
            return events[-self.step :]
        return events if place_of(item) > self.place else []


def place_of(item: StoredEvent | AnyFrame) -> Place:
    return (item.n, 0, 0) if isinstance(item, Event) else (item.after, item.attempt, item.k)
