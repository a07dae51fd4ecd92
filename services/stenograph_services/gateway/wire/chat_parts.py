"""The messages of the full state, one for each response of a model; `versions` says what of it an application reads.

{"type":"text","visible":true,"content":"Let me look."}
{"type":"tool-call","visible":true,"toolCall":{"id":"7e1f…","name":"get-user-account","arguments":{…},…}}
{"type":"object","visible":true,"object":{"id":"5b3f…","typeName":"Plan","value":{"name":"pro"}},"thread":"research"}
{"type":"worker","visible":true,"worker":{"workerId":"7e1f…","workerSlug":"researcher","parts":[],"status":"done",…}}

What is optional is left out.
"""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from msgspec import Raw

from stenograph_events.values import FilePart, OptionalRaw, Part, Sender, TextPart
from stenograph_projections.messages import content_type, read_by_people
from stenograph_projections.transcript import Message
from stenograph_projections.typed import is_json
from stenograph_services.gateway.http.shapes import Shape
from stenograph_services.gateway.wire.ui_parts import UINested, thread_of


class ChatCall(Shape, frozen=True, kw_only=True):
    id: str
    name: str
    description: str | None = None
    arguments: Raw
    status: str
    result: Raw | None = None
    error: str | None = None


class ChatFile(Shape, frozen=True, kw_only=True):
    id: str
    media_type: str
    url: str
    filename: str | None = None
    size: int | None = None


class ChatObject(Shape, frozen=True, kw_only=True):
    id: str
    type_name: str
    value: Raw


class ChatWorker(Shape, frozen=True, kw_only=True):
    """A run of a child agent. `parts`: what it said and did itself."""

    worker_id: str
    worker_slug: str
    description: str | None = None
    input: Raw
    parts: list[UINested]
    output: OptionalRaw = None
    error: str | None = None
    status: str


class ChatTodo(Shape, frozen=True, kw_only=True):
    """The list of things to do, as a call left it."""

    todos: Raw
    status: str


class ChatOperation(Shape, frozen=True, kw_only=True):
    """What a block did that set a variable or a resource."""

    operation_id: str
    name: str
    operation_type: str
    status: str


class ChatPart(Shape, frozen=True, kw_only=True):
    """`visible`: people see it, not only the model. A `worker` stands beside the `tool_call` that it answers."""

    type: str
    visible: bool
    content: str | None = None
    tool_call: ChatCall | None = None
    file: ChatFile | None = None
    object: ChatObject | None = None
    worker: ChatWorker | None = None
    todo: ChatTodo | None = None
    operation: ChatOperation | None = None
    thread: str | None = None


class Step(NamedTuple):
    """A message of the full state on its own, and the turn that it is of. `begins`: a step begins with it."""

    turn: str
    message: "ChatMessage"
    begins: bool = False


class ChatMessage(Shape, frozen=True, kw_only=True):
    id: str
    role: str
    parts: list[ChatPart]
    created_at: str
    content: str
    visible: bool | None = None
    tool_calls: list[ChatCall] | None = None
    reasoning: str | None = None
    reasoning_signature: str | None = None
    sender: Sender | None = None


def is_visible(message: Message) -> bool:
    """Return whether people see `message`. What a protocol tells a model as the system is visible where it says so."""
    return message.visible if message.role == "system" else read_by_people(message)


def parts_of(message: Message) -> Iterator[ChatPart]:
    """Yield what `message` says. What people see in place of the text that the model reads stands beside that."""
    visible, thread = is_visible(message), thread_of(message.thread)
    for part in message.parts:
        if message.ui is not None and isinstance(part, TextPart):
            yield _part(part, message, visible=False, thread=thread)
        else:
            yield _part(part, message, visible=visible, thread=thread)
    if message.ui is not None:
        yield _content(message, message.ui, visible=visible, thread=thread)


def _part(part: Part, message: Message, *, visible: bool, thread: str | None) -> ChatPart:
    match part:
        case FilePart():
            file = ChatFile(
                id=part.id, media_type=part.media_type, url=part.url, filename=part.filename, size=part.size
            )
            return ChatPart(type="file", visible=visible, file=file, thread=thread)
        case TextPart() if message.response_type and not message.rejected and not message.calls and is_json(part.text):
            value = ChatObject(id=message.id, type_name=message.response_type, value=Raw(part.text.encode()))
            return ChatPart(type="object", visible=visible, object=value, thread=thread)
    kind = "text" if isinstance(part, TextPart) else "reasoning"
    return ChatPart(type=kind, visible=visible, content=part.text, thread=thread)


def _content(message: Message, ui: Raw, *, visible: bool, thread: str | None) -> ChatPart:
    value = msgspec.json.decode(ui)
    if isinstance(value, str):
        return ChatPart(type="text", visible=visible, content=value, thread=thread)
    shown = ChatObject(id=message.id, type_name=content_type(value), value=ui)
    return ChatPart(type="object", visible=visible, object=shown, thread=thread)
