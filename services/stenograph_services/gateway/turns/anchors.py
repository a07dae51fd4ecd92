"""Where a client may go back to: the last message that it saw before a turn, named when the turn is streamed. Pure.

    u1 a1 (t1)   u2 a2 (t2)        the stream of t2 begins with {"type":"start","lastMessageId":"a1",…}

It is read from the end, so it takes as long for a long session as for a short one.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from stenograph_events import StoredEvent
from stenograph_events.types import TriggerQueued
from stenograph_projections.messages import read_by_people
from stenograph_projections.session import Session, idle
from stenograph_projections.transcript import (
    BlockCall,
    ChildCall,
    Cleared,
    Entry,
    Message,
    Restored,
    RolledBack,
    standing,
)
from stenograph_services.gateway.turns.repeats import Wanted
from stenograph_services.gateway.wire.stream_events import Start


def anchored(start: Start, entries: Sequence[Entry], past: Sequence[StoredEvent]) -> Start:
    """Return `start` with the last message before the turn whose events are `past`.

    One that waited for another turn has none: when its stream began, nobody knew what that would say.
    """
    if any(isinstance(event, TriggerQueued) for event in past):
        return start
    return replace(start, last_message_id=last_before(entries, past[0].turn))


def anchored_at_once(start: Start, entries: Sequence[Entry], state: Session, wanted: Wanted) -> Start:
    """Return the same where the turn of `wanted` is only to begin, in a session that stands at `state`."""
    if wanted.turn in state.outcomes:
        return replace(start, last_message_id=last_before(entries, wanted.turn))
    if wanted.rollback is not None:
        return replace(start, last_message_id=wanted.rollback.after)
    return replace(start, last_message_id=last_before(entries)) if idle(state) else start


def last_before(entries: Sequence[Entry], turn: str | None = None) -> str | None:
    """Return the id of the last message that people see before `turn`, by default of all; None if there is none."""
    before = entries if turn is None else entries[: _beginning(entries, turn)]
    answer: str | None = None
    of = ""
    for entry in reversed(before):
        if isinstance(entry, Cleared | RolledBack | Restored):
            return last_before(standing(before))
        match entry:
            case Message() if not read_by_people(entry):
                continue
            case Message(role="user"):
                return answer or entry.id
            case Message() | BlockCall() | ChildCall(by_model=False):
                if answer is not None and entry.turn != of:
                    return answer
                answer, of = entry.id if isinstance(entry, Message) else entry.call, entry.turn
    return answer


def _beginning(entries: Sequence[Entry], turn: str) -> int:
    """Return the place of the first entry of `turn`; behind all if it has none."""
    begins = len(entries)
    for at in range(len(entries) - 1, -1, -1):
        if getattr(entries[at], "turn", None) == turn:
            begins = at
        elif begins < len(entries):
            break
    return begins
