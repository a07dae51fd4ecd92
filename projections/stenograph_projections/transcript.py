"""The transcript: what was said in a session, in log order, for models and for people.

One list serves both: `thread(entries, "main")` is what a model reads, `messages.py` makes of the same list what a
person reads. The list only grows, so it is folded into in place; an entry is frozen and never changes.

    ["m",3,"2026-11-22T10:00:00Z","91d2…","5b3f…","main","user",[{"type":"text","text":"Hello"}],[],true]
    ["r",6,"2026-11-22T10:00:02Z","91d2…","7e1f…","succeeded",{"plan":"pro"},null]
"""

from collections.abc import Iterable
from datetime import datetime
from itertools import islice
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
    return Threads(list(entries)).view(name)


class Threads:
    """The threads of `entries`, which may grow: each view reads on where the last one stopped.

    A model is asked twice in a turn; to read the whole transcript each time took most of turn 1,000.
    """

    def __init__(self, entries: list[Entry]) -> None:
        self.refer_to_blobs = False
        """Whether the value of some reply, among those read so far, lies in BLOB."""
        self._entries = entries
        self._read = 0
        self._views: dict[str, list[Message | Reply]] = {}
        self._asked_in: dict[str, list[Message | Reply]] = {}

    def view(self, name: str) -> list[Message | Reply]:
        """Return the messages of thread `name` and the replies to their calls, in order, as a list of the caller's."""
        for entry in islice(self._entries, self._read, None):
            self._sort(entry)
        self._read = len(self._entries)
        return list(self._views.get(name, ()))

    def _sort(self, entry: Entry) -> None:
        if isinstance(entry, Message):
            view = self._views.setdefault(entry.thread, [])
            view.append(entry)
            for call in entry.calls:
                self._asked_in[call.call] = view
        elif isinstance(entry, Reply) and (asked_in := self._asked_in.pop(entry.call, None)) is not None:
            asked_in.append(entry)
            self.refer_to_blobs |= entry.ref is not None


_Failure = ToolFailed | ToolTimedOut | ToolOutcomeUnknown | ToolRefused | ToolCancelled


def _why_not(event: _Failure, outcome: Outcome, why: str) -> Reply:
    return Reply(event.n, event.at, event.turn or "", event.call, outcome, Raw(msgspec.json.encode(why)))
