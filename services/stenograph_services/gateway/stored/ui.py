"""The messages of a session as a person's screen takes them: `GET /api/agent-sessions/{id}?format=ui`.

    {"sessionId":"2f01…","agentId":"0193…","status":"active","messages":[
      {"id":"5b3f…","role":"user","parts":[{"type":"text","text":"Hello","status":"done"}],"status":"done",
       "createdAt":"2026-11-22T10:00:00.120Z"}]}

What a tool was asked and what it answered is shown only where the protocol says `display: stream`.
"""

from collections.abc import Iterable, Mapping

from stenograph_events.values import EMPTY_OBJECT, FilePart, Sender
from stenograph_projections.messages import (
    ShownCall,
    ShownChild,
    ShownFile,
    ShownMessage,
    ShownObject,
    ShownOperation,
    ShownPart,
    ShownReasoning,
    ShownText,
)
from stenograph_services.gateway.http.shapes import Shape, iso
from stenograph_services.gateway.stream import children
from stenograph_services.gateway.stream.callees import UNDECLARED, Callee
from stenograph_services.gateway.stream.operations import NO_OPERATIONS, Operations, operation
from stenograph_services.gateway.stream.todos import todos_of
from stenograph_services.gateway.wire.ui_parts import (
    NOTHING_NESTED,
    Nested,
    UIFile,
    UIObject,
    UIPart,
    UIReasoning,
    UIStepStart,
    UIText,
    UITodo,
    UIToolCall,
    UIWorker,
    thread_of,
)
from stenograph_services.gateway.wire.versions import Wire
from stenograph_services.protocol.builtin_tools import TODO_TOOL


class UIMessage(Shape, frozen=True, kw_only=True):
    id: str
    role: str
    parts: list[UIPart]
    status: str
    created_at: str
    sender: Sender | None = None


class UISession(Shape, frozen=True, kw_only=True, omit_defaults=False):
    session_id: str
    agent_id: str
    messages: list[UIMessage]
    status: str = "active"


def ui_messages(
    messages: Iterable[ShownMessage],
    callees: Mapping[str, Callee],
    wire: Wire = Wire.FIRST,
    nested: Nested = NOTHING_NESTED,
    operations: Operations = NO_OPERATIONS,
) -> list[UIMessage]:
    """Return `messages` for a screen; `callees` and `operations` are those of the session's agent.

    `nested` is what its child agents said, by the calls that they answer.
    """
    return [
        UIMessage(
            id=message.id,
            role=message.role,
            parts=wire.parts(_parts(message, callees, nested, operations)),
            status=message.status,
            created_at=iso(message.created_at),
            sender=wire.sender(message.sender),
        )
        for message in messages
    ]


def _parts(
    message: ShownMessage, callees: Mapping[str, Callee], nested: Nested, operations: Operations
) -> list[UIPart]:
    parts: list[UIPart] = []
    begins = False  # a step of which nothing is shown has no place of its own
    for at, part in enumerate(message.parts):
        begins = begins or at in message.steps
        if (shown := _part(part, callees, nested, operations)) is not None:
            parts += [UIStepStart(), shown] if begins else [shown]
            begins = False
    return _with_one_list(parts)


def _with_one_list(parts: list[UIPart]) -> list[UIPart]:
    """Return `parts` with the list of things to do as it stands at the end, where it was written first."""
    places = [at for at, part in enumerate(parts) if isinstance(part, UITodo)]
    if len(places) < 2:
        return parts
    first, *later = places
    parts[first] = parts[later[-1]]
    return [part for at, part in enumerate(parts) if at not in later]


def _part(part: ShownPart, callees: Mapping[str, Callee], nested: Nested, operations: Operations) -> UIPart | None:
    match part:
        case ShownText():
            return UIText(text=part.text, status="done", thread=thread_of(part.thread))
        case ShownReasoning():
            return UIReasoning(text=part.text, status="done", thread=thread_of(part.thread))
        case ShownFile():
            return _file(part.file, thread_of(part.thread))
        case ShownObject():
            thread = thread_of(part.thread)
            return UIObject(id=part.id, type_name=part.type_name, object=part.value, status="done", thread=thread)
        case ShownOperation():
            return operation(part.turn, part.trigger, part.block, operations)
        case ShownChild():
            return children.part(part, callees.get(part.agent, UNDECLARED), nested.get(part.call, []))
        case ShownCall() if part.tool == TODO_TOOL:
            return _todo(part)
        case ShownCall():
            return _call(part, callees.get(part.tool, UNDECLARED))


def _file(file: FilePart, thread: str | None) -> UIFile:
    return UIFile(
        id=file.id, media_type=file.media_type, url=file.url, filename=file.filename, size=file.size, thread=thread
    )


def _call(part: ShownCall, callee: Callee) -> UIToolCall | UIWorker | None:
    if callee.hidden:
        return None
    if callee.is_child:  # it was refused, or waits for its turn: there is no run yet
        return children.part(_unborn(part), callee, [])
    return UIToolCall(
        tool_call_id=part.call,
        tool_name=part.tool,
        display_name=callee.title,
        args=part.arguments if callee.kept else EMPTY_OBJECT,
        result=part.result if callee.kept else None,
        error=part.error,
        status=part.status,
        display=callee.display,
        thread=thread_of(part.thread),
    )


def _unborn(part: ShownCall) -> ShownChild:
    return ShownChild(part.call, part.tool, "", part.arguments, part.status, error=part.error, thread=part.thread)


def _todo(part: ShownCall) -> UITodo | None:
    """Return the list of things to do as the call left it; None if it failed, or is still to be answered."""
    todos = todos_of(part.result)
    return None if todos is None else UITodo(todos=todos, status="done", thread=thread_of(part.thread))
