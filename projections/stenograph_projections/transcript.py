"""The transcript: what was said in a session, in log order, for models and for people.

One list serves both: `thread(entries, "main")` is what a model reads, `messages.py` makes of the same list what a
person reads. The list only grows, so it is folded into in place; an entry is frozen and never changes.

    ["m",3,"2026-11-22T10:00:00Z","91d2…","5b3f…","main","user",[{"type":"text","text":"Hello"}],[],true]
    ["r",6,"2026-11-22T10:00:02Z","91d2…","7e1f…","succeeded",{"plan":"pro"},null]
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Raw

from stenograph_events import StoredEvent
from stenograph_events.types import (
    NULL,
    BlobRef,
    Call,
    MessageAdded,
    Part,
    Role,
    ToolCancelled,
    ToolFailed,
    ToolOutcomeUnknown,
    ToolRefused,
    ToolRequested,
    ToolSucceeded,
    ToolTimedOut,
)

Outcome = Literal["succeeded", "failed", "timed-out", "unknown", "refused", "cancelled"]


class Message(msgspec.Struct, frozen=True, array_like=True, tag="m"):
    """A message of a thread, as event `id` added it."""

    n: int
    at: datetime
    turn: str
    id: str
    thread: str
    role: Role
    parts: tuple[Part, ...]
    calls: tuple[Call, ...] = ()
    visible: bool = True


class BlockCall(msgspec.Struct, frozen=True, array_like=True, tag="b"):
    """A call that a block of the protocol made, not a model; no thread holds it."""

    n: int
    at: datetime
    turn: str
    call: str
    tool: str
    arguments: Raw


class Reply(msgspec.Struct, frozen=True, array_like=True, tag="r"):
    """What answered a call: a JSON value when it succeeded, otherwise a JSON text that says why not."""

    n: int
    at: datetime
    turn: str
    call: str
    outcome: Outcome
    value: Raw = NULL
    ref: BlobRef | None = None


Entry = Message | BlockCall | Reply


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
            )
        case ToolSucceeded():
            return Reply(event.n, event.at, event.turn or "", event.call, "succeeded", event.result, event.result_ref)
        case ToolRequested() if event.block is not None:
            return BlockCall(event.n, event.at, event.turn or "", event.call, event.tool, event.arguments)
        case ToolFailed():
            return _why_not(event, "failed", event.error)
        case ToolTimedOut():
            return _why_not(event, "timed-out", "The tool did not answer before its deadline.")
        case ToolOutcomeUnknown():
            return _why_not(event, "unknown", "The tool began and did not answer. Whether it took effect is unknown.")
        case ToolRefused():
            return _why_not(event, "refused", event.error)
        case ToolCancelled():
            return _why_not(event, "cancelled", "The call was cancelled.")
        case _:
            return None


def thread(entries: Iterable[Entry], name: str) -> list[Message | Reply]:
    """Return the messages of thread `name` and the replies to their calls, in order: what a model reads."""
    view: list[Message | Reply] = []
    asked: set[str] = set()
    for entry in entries:
        if isinstance(entry, Message):
            if entry.thread == name:
                view.append(entry)
                asked.update(call.call for call in entry.calls)
        elif isinstance(entry, Reply) and entry.call in asked:
            asked.discard(entry.call)
            view.append(entry)
    return view


_Failure = ToolFailed | ToolTimedOut | ToolOutcomeUnknown | ToolRefused | ToolCancelled


def _why_not(event: _Failure, outcome: Outcome, why: str) -> Reply:
    return Reply(event.n, event.at, event.turn or "", event.call, outcome, Raw(msgspec.json.encode(why)))
