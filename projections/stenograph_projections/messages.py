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

from stenograph_events.types import MessageAdded
from stenograph_events.values import (
    EMPTY_OBJECT,
    BlobRef,
    Call,
    FilePart,
    Part,
    ReasoningPart,
    Sender,
    TextPart,
)
from stenograph_projections.session import PendingCall, Session
from stenograph_projections.state import UNKNOWN
from stenograph_projections.transcript import BlockCall, ChildCall, Entry, Message, Operation, Reply, standing
from stenograph_projections.typed import is_json

CallShownStatus = Literal["pending", "running", "done", "error", "cancelled"]


class ShownText(msgspec.Struct, frozen=True, tag="text"):
    text: str
    thread: str = "main"


class ShownReasoning(msgspec.Struct, frozen=True, tag="reasoning"):
    text: str
    thread: str = "main"


class ShownCall(msgspec.Struct, frozen=True, tag="tool-call"):
    """A call: pending until it is requested, running until it is answered, then done with a result or an error.

    One that was cancelled has an error, too.
    """

    call: str
    tool: str
    arguments: Raw = EMPTY_OBJECT
    status: CallShownStatus = "pending"
    result: Raw | None = None
    ref: BlobRef | None = None
    """Where a result lies that is too large for the log."""
    error: str | None = None
    thread: str = "main"


class ShownFile(msgspec.Struct, frozen=True, tag="file"):
    file: FilePart
    thread: str = "main"


class ShownObject(msgspec.Struct, frozen=True, tag="object"):
    """A JSON value that a person sees as such: a model's answer of a declared type, or the content of a block."""

    id: str
    type_name: str
    value: Raw
    thread: str = "main"


class ShownChild(msgspec.Struct, frozen=True, tag="child"):
    """What a child agent did, in a session of its own: asked for by a model, or by a block of the protocol."""

    call: str
    agent: str
    session: str
    arguments: Raw = EMPTY_OBJECT
    status: CallShownStatus = "pending"
    result: Raw | None = None
    ref: BlobRef | None = None
    error: str | None = None
    thread: str = "main"
    by_model: bool = True


class ShownOperation(msgspec.Struct, frozen=True, tag="operation"):
    """What block `block` of the handler `trigger` did in `turn`: it set a variable or a resource."""

    turn: str
    trigger: str
    block: int


ShownPart = ShownText | ShownReasoning | ShownCall | ShownFile | ShownObject | ShownChild | ShownOperation


class ShownMessage(msgspec.Struct, frozen=True):
    """One message as a person sees it. `id` is the id of the first event, or block's call, that it shows.

    `steps`: the indexes of the parts with which the messages begin that an answer is made of.
    """

    id: str
    turn: str
    role: Literal["user", "assistant"]
    parts: tuple[ShownPart, ...]
    created_at: datetime
    status: Literal["streaming", "done"] = "done"
    sender: Sender | None = None
    steps: tuple[int, ...] = ()


def read_by_people(message: Message | MessageAdded) -> bool:
    """Return whether `message` is for people, too.

    An answer that is not of the type it had to be is asked for again, and an independent one is no part of the chat;
    of a thread of its own people see it as that thread's.
    """
    if not message.visible or message.role == "system" or message.rejected is not None:
        return False
    return not (message.independent and message.thread == "main")


def shown(entries: Iterable[Entry], session: Session) -> list[ShownMessage]:
    """Return the messages that a person reads, in order.

    `entries` are the transcript of `session`, both after the same event. At most the last message is streaming: the
    answer of the turn that runs, once there is any of it.
    """
    entries = standing(entries)
    replies = {entry.call: entry for entry in entries if isinstance(entry, Reply)}
    calls = session.turn.calls if session.turn else ()
    running = frozenset(call.call for call in calls if _runs(call))

    messages: list[_Growing] = []
    children = {entry.call: entry for entry in entries if isinstance(entry, ChildCall)}
    seen: set[str] = set()  # a block's call that is tried again is one call
    early: list[ShownOperation] = []  # what blocks did before anything was answered: it alone is no answer
    for entry in entries:
        match entry:
            case Message() if not read_by_people(entry):
                continue
            case Message(role="user"):
                messages.append(_Growing(entry.id, entry.turn, "user", entry.at, _said(entry), entry.sender))
            case Message():
                answer = _answer(messages, entry.id, entry, early)
                answer.steps.append(len(answer.parts))
                answer.parts += _said(entry)
                for call in entry.calls:
                    part = _call(call, children.get(call.call), entry.thread)
                    answer.parts.append(_with_reply(part, replies.get(call.call), running))
            case BlockCall() | ChildCall(by_model=False) if entry.call not in seen:
                seen.add(entry.call)
                part = _child(entry) if isinstance(entry, ChildCall) else _block_call(entry)
                answer = _answer(messages, entry.call, entry, early)
                answer.parts.append(_with_reply(part, replies.get(entry.call), running))
            case Operation():
                did = ShownOperation(entry.turn, entry.trigger, entry.block)
                (messages[-1].parts if _goes_on(messages, entry) else early).append(did)
    return _finished(messages, session)


def _runs(call: PendingCall) -> bool:
    """Return whether something is done about `call`; one that is to be tried again is needed once more."""
    return call.status == "open" or call.status in UNKNOWN or (call.status == "needed" and call.attempt > 0)


class _Growing(msgspec.Struct):
    """A message while its parts are gathered."""

    id: str
    turn: str
    role: Literal["user", "assistant"]
    at: datetime
    parts: list[ShownPart]
    sender: Sender | None = None
    steps: list[int] = []


def _answer(
    messages: list[_Growing], id: str, entry: Message | BlockCall | ChildCall, early: list[ShownOperation]
) -> _Growing:
    """Return the answer that `entry` goes on with, or a new one that begins with what of `early` is of its turn."""
    if not _goes_on(messages, entry):
        begins = [part for part in early if part.turn == entry.turn]
        messages.append(_Growing(id, entry.turn, "assistant", entry.at, [*begins]))
        early.clear()
    return messages[-1]


def _goes_on(messages: list[_Growing], entry: Message | BlockCall | ChildCall | Operation) -> bool:
    """Return whether the last of `messages` is the answer that `entry` is of."""
    return bool(messages) and messages[-1].role == "assistant" and messages[-1].turn == entry.turn


def _said(message: Message) -> list[ShownPart]:
    if message.ui is not None:
        files: list[ShownPart] = [_part(part, message.thread) for part in message.parts if isinstance(part, FilePart)]
        return [*files, _content(message.id, message.ui, message.thread)]
    text = "".join(part.text for part in message.parts if isinstance(part, TextPart))
    if message.response_type is not None and not message.calls and is_json(text):
        thought = [_part(part, message.thread) for part in message.parts if not isinstance(part, TextPart)]
        return [*thought, ShownObject(message.id, message.response_type, Raw(text.encode()), message.thread)]
    return [_part(part, message.thread) for part in message.parts]


def content_type(value: object) -> str:
    """Return the name under which people see what a block shows them: its own `type`, as clients name their input."""
    named = value.get("type") if isinstance(value, dict) else None
    return named if isinstance(named, str) else "object"


def _content(id: str, value: Raw, thread: str) -> ShownPart:
    decoded = msgspec.json.decode(value)
    if isinstance(decoded, str):
        return ShownText(decoded, thread)
    return ShownObject(id, content_type(decoded), value, thread)


def _part(part: Part, thread: str) -> ShownPart:
    match part:
        case TextPart():
            return ShownText(part.text, thread)
        case ReasoningPart():
            return ShownReasoning(part.text, thread)
        case FilePart():
            return ShownFile(part, thread)


def _call(call: Call, child: ChildCall | None, thread: str) -> ShownCall | ShownChild:
    if child is not None:
        return _child(child, thread)
    return ShownCall(call.call, call.tool, call.arguments, thread=thread)


def _block_call(entry: BlockCall) -> ShownCall:
    return ShownCall(entry.call, entry.tool, entry.arguments)


def _child(entry: ChildCall, thread: str = "main") -> ShownChild:
    return ShownChild(entry.call, entry.agent, entry.session, entry.arguments, thread=thread, by_model=entry.by_model)


def _with_reply(part: ShownCall | ShownChild, reply: Reply | None, running: frozenset[str]) -> ShownCall | ShownChild:
    if part.call in running:  # also while it is tried again after an answer
        return msgspec.structs.replace(part, status="running")
    if reply is None:
        return part
    if reply.outcome == "succeeded":
        return msgspec.structs.replace(part, status="done", result=reply.value, ref=reply.ref)
    status: CallShownStatus = "cancelled" if reply.outcome == "cancelled" else "error"
    return msgspec.structs.replace(part, status=status, error=msgspec.json.decode(reply.value, type=str))


def _finished(messages: list[_Growing], session: Session) -> list[ShownMessage]:
    view = [
        ShownMessage(m.id, m.turn, m.role, tuple(m.parts), m.at, sender=m.sender, steps=tuple(m.steps))
        for m in messages
    ]
    if view and session.turn and view[-1].role == "assistant" and view[-1].turn == session.turn.id:
        view[-1] = msgspec.structs.replace(view[-1], status="streaming")
    return view
