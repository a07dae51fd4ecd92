"""Messages: what a person reads of a session, one for what each user said and one for what each turn answered.

    user       "What plan am I on?"
    assistant  [reasoning] "Let me look." [tool-call get-user-account: done] "You are on the pro plan."

The assistant's messages of one turn become one message with ordered parts, because a person sees one answer, not
the steps that led to it. What only the model reads (system messages, invisible ones) is left out. Text that a model is
still writing is in frames, not here.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Raw

from stenograph_events.types import EMPTY_OBJECT, BlobRef, ReasoningPart, TextPart
from stenograph_projections.session import Session
from stenograph_projections.transcript import BlockCall, Entry, Message, Reply

CallShownStatus = Literal["pending", "running", "done", "error"]


class ShownText(msgspec.Struct, frozen=True, tag="text"):
    text: str
    thread: str = "main"


class ShownReasoning(msgspec.Struct, frozen=True, tag="reasoning"):
    text: str
    thread: str = "main"


class ShownCall(msgspec.Struct, frozen=True, tag="tool-call"):
    """A call: pending until it is requested, running until it is answered, then done with a result or an error."""

    call: str
    tool: str
    arguments: Raw = EMPTY_OBJECT
    status: CallShownStatus = "pending"
    result: Raw | None = None
    ref: BlobRef | None = None
    """Where a result lies that is too large for the log."""
    error: str | None = None
    thread: str = "main"


ShownPart = ShownText | ShownReasoning | ShownCall


class ShownMessage(msgspec.Struct, frozen=True):
    """One message as a person sees it. `id` is the id of the first event, or block's call, that it shows."""

    id: str
    turn: str
    role: Literal["user", "assistant"]
    parts: tuple[ShownPart, ...]
    created_at: datetime
    status: Literal["streaming", "done"] = "done"


def shown(entries: Iterable[Entry], session: Session) -> list[ShownMessage]:
    """Return the messages that a person reads, in order.

    `entries` are the transcript of `session`, both after the same event. At most the last message is streaming: the
    answer of the turn that runs, once there is any of it.
    """
    entries = list(entries)
    replies = {entry.call: entry for entry in entries if isinstance(entry, Reply)}
    calls = session.turn.calls if session.turn else ()
    running = frozenset(call.call for call in calls if call.status == "open")

    messages: list[_Growing] = []
    seen: set[str] = set()  # a block's call that is tried again is one call
    for entry in entries:
        match entry:
            case Message(visible=True, role="user"):
                messages.append(_Growing(entry.id, entry.turn, "user", entry.at, _said(entry)))
            case Message(visible=True, role="assistant"):
                answer = _answer(messages, entry.id, entry)
                answer.parts += _said(entry)
                for call in entry.calls:
                    part = ShownCall(call.call, call.tool, call.arguments, thread=entry.thread)
                    answer.parts.append(_with_reply(part, replies.get(call.call), running))
            case BlockCall() if entry.call not in seen:
                seen.add(entry.call)
                part = ShownCall(entry.call, entry.tool, entry.arguments)
                _answer(messages, entry.call, entry).parts.append(_with_reply(part, replies.get(entry.call), running))
    return _finished(messages, session)


class _Growing(msgspec.Struct):
    """A message while its parts are gathered."""

    id: str
    turn: str
    role: Literal["user", "assistant"]
    at: datetime
    parts: list[ShownPart]


def _answer(messages: list[_Growing], id: str, entry: Message | BlockCall) -> _Growing:
    """Return the answer that `entry` goes on with, or a new one."""
    if not messages or messages[-1].role != "assistant" or messages[-1].turn != entry.turn:
        messages.append(_Growing(id, entry.turn, "assistant", entry.at, []))
    return messages[-1]


def _said(message: Message) -> list[ShownPart]:
    return [_part(part, message.thread) for part in message.parts]


def _part(part: TextPart | ReasoningPart, thread: str) -> ShownPart:
    return ShownText(part.text, thread) if isinstance(part, TextPart) else ShownReasoning(part.text, thread)


def _with_reply(part: ShownCall, reply: Reply | None, running: frozenset[str]) -> ShownCall:
    if part.call in running:  # also while it is tried again after an answer
        return msgspec.structs.replace(part, status="running")
    if reply is None:
        return part
    if reply.outcome == "succeeded":
        return msgspec.structs.replace(part, status="done", result=reply.value, ref=reply.ref)
    return msgspec.structs.replace(part, status="error", error=msgspec.json.decode(reply.value, type=str))


def _finished(messages: list[_Growing], session: Session) -> list[ShownMessage]:
    view = [ShownMessage(m.id, m.turn, m.role, tuple(m.parts), m.at) for m in messages]
    if view and session.turn and view[-1].role == "assistant" and view[-1].turn == session.turn.id:
        view[-1] = msgspec.structs.replace(view[-1], status="streaming")
    return view
