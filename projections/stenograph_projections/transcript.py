"""The transcript: what was said in a session, in log order, for models and for people.

One list serves both: `threads.py` makes of it what a model reads, `messages.py` what a person reads. The list only
grows, so it is folded into in place; an entry is frozen and never changes.

    ["m",3,"2026-11-22T10:00:00Z","91d2…","5b3f…","main","user",[{"type":"text","text":"Hello"}],[],true]
    ["r",6,"2026-11-22T10:00:02Z","91d2…","7e1f…","succeeded",{"plan":"pro"},null]

What takes messages away, or brings some back, is an entry as well; `standing` says what is left.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Raw
from msgspec.structs import force_setattr

from stenograph_events import SessionId, StoredEvent
from stenograph_events.secrets import shown_json
from stenograph_events.types import (
    BlockFinished,
    MessageAdded,
    MessagesRolledBack,
    SessionCleared,
    SessionRestored,
    ThreadCompacted,
    ThreadStarted,
    ToolAnswered,
    ToolCancelled,
    ToolFailed,
    ToolOutcomeUnknown,
    ToolRefused,
    ToolRequested,
    ToolResolved,
    ToolSucceeded,
    ToolTimedOut,
)
from stenograph_events.values import (
    NULL,
    BlobRef,
    Call,
    Child,
    OptionalRaw,
    Part,
    Role,
    Sender,
)
from stenograph_projections.effects import resolved_error

Outcome = Literal["succeeded", "failed", "timed-out", "unknown", "refused", "cancelled"]


class Message(msgspec.Struct, frozen=True, array_like=True, tag="m"):
    """A message of a thread, as event `id` added it.

    People see `ui`, if there is one, in place of the parts. `response_type`: its text is one JSON value. `rejected`: it
    should have been one, and this is why it is not.
    """

    n: int
    at: datetime
    turn: str
    id: str
    thread: str
    role: Role
    parts: tuple[Part, ...]
    calls: tuple[Call, ...] = ()
    visible: bool = True
    ui: OptionalRaw = None
    response_type: str | None = None
    rejected: str | None = None
    independent: bool = False
    sender: Sender | None = None

    def __post_init__(self) -> None:
        if self.ui == NULL:  # an array has a place for each field: None comes back from its bytes as null
            force_setattr(self, "ui", None)


class BlockCall(msgspec.Struct, frozen=True, array_like=True, tag="b"):
    """A call that a block of the protocol made, not a model; no thread holds it."""

    n: int
    at: datetime
    turn: str
    call: str
    tool: str
    arguments: Raw


class Operation(msgspec.Struct, frozen=True, array_like=True, tag="o"):
    """Block `block` of the handler `trigger` set a variable or a resource; people may see that it did."""

    n: int
    turn: str
    trigger: str
    block: int


class ChildCall(msgspec.Struct, frozen=True, array_like=True, tag="w"):
    """A call that a child agent answers in its own `session`; `by_model`, or by a block of the protocol."""

    n: int
    at: datetime
    turn: str
    call: str
    agent: str
    session: SessionId
    arguments: Raw
    by_model: bool = False


class Started(msgspec.Struct, frozen=True, array_like=True, tag="t"):
    """A thread begins anew: what was said in it before is no part of it."""

    n: int
    at: datetime
    turn: str
    thread: str


class Compacted(msgspec.Struct, frozen=True, array_like=True, tag="c"):
    """Models read `summary` in place of what the thread held up to event `through`."""

    n: int
    at: datetime
    turn: str
    thread: str
    through: int
    summary: str


class Reply(msgspec.Struct, frozen=True, array_like=True, tag="r"):
    """What answered a call: a JSON value when it succeeded, otherwise a JSON text that says why not."""

    n: int
    at: datetime
    turn: str
    call: str
    outcome: Outcome
    value: Raw = NULL
    ref: BlobRef | None = None


class RolledBack(msgspec.Struct, frozen=True, array_like=True, tag="x"):
    """What comes after event `through` counts no more; of the messages that it restored the first `kept` stay."""

    n: int
    through: int
    kept: int | None = None


class Cleared(msgspec.Struct, frozen=True, array_like=True, tag="z"):
    """Nothing that comes before counts any more."""

    n: int


class Restored(msgspec.Struct, frozen=True, array_like=True, tag="s"):
    """What a client brought back after a clear: messages of `main`, each as if of a turn of its own."""

    n: int
    messages: tuple[Message, ...]


Content = Message | BlockCall | Operation | ChildCall | Started | Compacted | Reply
"""What says or does something."""

Revision = RolledBack | Cleared | Restored
"""What changes which entries count."""

Entry = Content | Revision


def standing(entries: Iterable[Entry]) -> list[Content]:
    """Return what counts of `entries`: without what was rolled back or cleared, with what was brought back."""
    counting: list[Content] = []
    for entry in entries:
        match entry:
            case Restored():
                counting += entry.messages
            case Cleared():
                counting.clear()
            case RolledBack():
                earlier = [one for one in counting if one.n < entry.through]
                there = [one for one in counting if one.n == entry.through]
                counting = earlier + there[: entry.kept]
            case _:
                counting.append(entry)
    return counting


def cleared_by(entries: Sequence[Entry]) -> int:
    """Return the event that cleared last, 0 if none did: what comes before it is shown to no client."""
    return next((entry.n for entry in reversed(entries) if isinstance(entry, Cleared)), 0)


def entry_of(event: StoredEvent) -> Entry | None:
    """Return the entry that `event` adds to the transcript, if any."""
    match event:
        case MessageAdded():
            return Message(
                event.n,
                event.at,
                event.turn or "",
                event.id,
                event.thread,
                event.role,
                event.parts,
                event.calls,
                event.visible,
                event.ui,
                event.response_type,
                event.rejected,
                event.independent,
                event.sender,
            )
        case ToolSucceeded():
            return Reply(event.n, event.at, event.turn or "", event.call, "succeeded", event.result, event.result_ref)
        case ToolAnswered():
            return Reply(event.n, event.at, event.turn or "", event.call, "succeeded", event.result)
        case ToolRequested(child=Child(session=session), compacts=None):
            by_model = event.block is None
            whose = (event.n, event.at, event.turn or "", event.call)
            return ChildCall(*whose, event.tool, session, shown_json(event.arguments), by_model)
        case ThreadStarted():
            return Started(event.n, event.at, event.turn or "", event.thread)
        case ThreadCompacted():
            return Compacted(event.n, event.at, event.turn or "", event.thread, event.through, event.summary)
        case ToolRequested() if event.block is not None and event.compacts is None:
            return BlockCall(event.n, event.at, event.turn or "", event.call, event.tool, shown_json(event.arguments))
        case BlockFinished(trigger=str(trigger)):
            return Operation(event.n, event.turn or "", trigger, event.block)
        case MessagesRolledBack():
            return RolledBack(event.n, event.through, event.kept)
        case SessionCleared():
            return Cleared(event.n)
        case SessionRestored() if event.messages:
            return Restored(event.n, _brought_back(event))
        case ToolFailed(again=True) | ToolTimedOut(again=True):
            return None
        case ToolFailed():
            return _why_not(event, "failed", event.error)
        case ToolTimedOut(attempt=0):
            return _why_not(event, "timed-out", "Nobody approved of the call in time.")
        case ToolTimedOut():
            return _why_not(event, "timed-out", "The tool did not answer before its deadline.")
        case ToolOutcomeUnknown(then=str()):
            return None
        case ToolResolved(outcome="succeeded"):
            return Reply(event.n, event.at, event.turn or "", event.call, "succeeded", event.result)
        case ToolResolved():
            return _why_not(event, event.outcome, resolved_error(event))
        case ToolOutcomeUnknown():
            return _why_not(event, "unknown", "The tool began and did not answer. Whether it took effect is unknown.")
        case ToolRefused():
            return _why_not(event, "refused", event.error)
        case ToolCancelled():
            return _why_not(event, "cancelled", "The call was cancelled.")
        case _:
            return None


def _brought_back(event: SessionRestored) -> tuple[Message, ...]:
    return tuple(
        Message(event.n, one.at, one.id, one.id, "main", one.role, one.parts, sender=one.sender)
        for one in event.messages
    )


_Failure = ToolFailed | ToolTimedOut | ToolOutcomeUnknown | ToolRefused | ToolCancelled | ToolResolved


def _why_not(event: _Failure, outcome: Outcome, why: str) -> Reply:
    return Reply(event.n, event.at, event.turn or "", event.call, outcome, Raw(msgspec.json.encode(why)))
