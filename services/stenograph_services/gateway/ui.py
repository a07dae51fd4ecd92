"""The messages of a session as a person's screen takes them: `GET /api/agent-sessions/{id}?format=ui`.

    {"sessionId":"2f01…","agentId":"0193…","status":"active","messages":[
      {"id":"5b3f…","role":"user","parts":[{"type":"text","text":"Hello","status":"done"}],"status":"done",
       "createdAt":"2026-11-22T10:00:00.120Z"}]}

What a tool was asked and what it answered is shown only where the protocol says `display: stream`.
"""

from collections.abc import Iterable, Mapping

from stenograph_events.values import EMPTY_OBJECT, FilePart
from stenograph_projections.messages import (
    ShownCall,
    ShownChild,
    ShownFile,
    ShownMessage,
    ShownObject,
    ShownPart,
    ShownReasoning,
    ShownText,
)
from stenograph_services.gateway import children
from stenograph_services.gateway.callees import UNDECLARED, Callee
from stenograph_services.gateway.shapes import Shape, iso
from stenograph_services.gateway.ui_parts import (
    UIFile,
    UIObject,
    UIPart,
    UIReasoning,
    UIText,
    UIToolCall,
    thread_of,
)


class UIMessage(Shape, frozen=True, kw_only=True):
    id: str
    role: str
    parts: list[UIPart]
    status: str
    created_at: str


class UISession(Shape, frozen=True, kw_only=True, omit_defaults=False):
    session_id: str
    agent_id: str
    messages: list[UIMessage]
    status: str = "active"


def ui_messages(messages: Iterable[ShownMessage], callees: Mapping[str, Callee]) -> list[UIMessage]:
    """Return `messages` for a screen; `callees` are those of the session's agent."""
    return [
        UIMessage(
            id=message.id,
            role=message.role,
            parts=[shown for part in message.parts if (shown := _part(part, callees)) is not None],
            status=message.status,
            created_at=iso(message.created_at),
        )
        for message in messages
    ]


def _part(part: ShownPart, callees: Mapping[str, Callee]) -> UIPart | None:
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
        case ShownChild():
            return children.part(part, callees.get(part.agent, UNDECLARED))
        case ShownCall():
            return _call(part, callees.get(part.tool, UNDECLARED))


def _file(file: FilePart, thread: str | None) -> UIFile:
    return UIFile(
        id=file.id, media_type=file.media_type, url=file.url, filename=file.filename, size=file.size, thread=thread
    )


def _call(part: ShownCall, callee: Callee) -> UIToolCall | None:
    if callee.hidden:
        return None
    return UIToolCall(
        tool_call_id=part.call,
        tool_name=part.tool,
        display_name=callee.title,
        args=part.arguments if callee.kept else EMPTY_OBJECT,
        result=part.result if callee.kept else None,
        error=part.error,
        status=part.status,
        thread=thread_of(part.thread),
    )
