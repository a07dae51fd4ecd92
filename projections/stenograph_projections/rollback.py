"""Rollback: which event a conversation goes back to, when somebody names the last message that is to stay.

    u1 a1 (t1: asks c1)  reply c1  a2   u2 a3 (t2)      after a1, as people call it   through = the event of a2
                                                        after u2                      through = the event of u2
                                                        after nothing                 through = 0

People see the messages of one answer as one, under the id of the first: whichever is named, the whole answer stays,
so that no call is left without its reply.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from stenograph_events.values import TextPart
from stenograph_projections.threads import Threads
from stenograph_projections.transcript import BlockCall, ChildCall, Content, Entry, Message, Reply, RolledBack, standing


class Place(NamedTuple):
    """The event up to which everything stays; of the messages that it restored, the first `kept`."""

    through: int
    kept: int | None = None


def place_of(entries: Iterable[Entry], after: str | None) -> Place | None:
    """Return where the conversation ends once message `after` is its last; None if there is no such message."""
    if after is None:
        return Place(0)
    counting = standing(entries)
    at = next((at for at, entry in enumerate(counting) if _id(entry) == after), None)
    if at is None:
        return None
    found = counting[at]
    alike = [entry for entry in counting if entry.n == found.n]
    if len(alike) > 1:
        return Place(found.n, alike.index(found) + 1)
    return Place(max(entry.n for entry in _answer(counting[at:])))


def left_of(entries: Sequence[Entry], place: Place) -> dict[str, int]:
    """Return how many bytes of text a model reads of each thread once the conversation ends at `place`."""
    left = [*entries, RolledBack(max((entry.n for entry in entries), default=0) + 1, place.through, place.kept)]
    threads = Threads(left)
    names = {entry.thread for entry in standing(left) if isinstance(entry, Message)}
    return {name: sum(map(_bytes, threads.view(name))) for name in sorted(names)}


def _id(entry: Content) -> str | None:
    """Return the id under which a client knows the message that begins with `entry`, or is it."""
    match entry:
        case Message():
            return entry.id
        case BlockCall() | ChildCall(by_model=False):
            return entry.call
    return None


def _answer(rest: Sequence[Content]) -> list[Content]:
    """Return the message that `rest` begins with, and what goes on with it: the answer of its turn."""
    first, *later = rest
    if isinstance(first, Message) and first.role != "assistant":
        return [first]
    taken = [first]
    for entry in later:
        if entry.turn != first.turn or (isinstance(entry, Message) and entry.role == "user" and entry.visible):
            break
        taken.append(entry)
    return taken


def _bytes(one: Message | Reply) -> int:
    if isinstance(one, Reply):
        return len(bytes(one.value))
    said = sum(len(part.text.encode()) for part in one.parts if isinstance(part, TextPart))
    return said + sum(len(bytes(call.arguments)) for call in one.calls)
