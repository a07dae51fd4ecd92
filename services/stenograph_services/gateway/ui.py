"""The messages of a session as a person's screen takes them: `GET /api/agent-sessions/{id}?format=ui`.

    {"sessionId":"2f01…","agentId":"0193…","status":"active","messages":[
      {"id":"5b3f…","role":"user","parts":[{"type":"text","text":"Hello","status":"done"}],"status":"done",
       "createdAt":"2026-11-22T10:00:00.120Z"}]}

What a tool was asked and what it answered is shown only where the protocol says `display: stream`.
"""

from collections.abc import Iterable, Mapping

from msgspec import Raw

from stenograph_events.types import EMPTY_OBJECT
from stenograph_projections.messages import ShownCall, ShownMessage, ShownPart, ShownReasoning, ShownText
from stenograph_services.gateway.calls import title_of
from stenograph_services.gateway.shapes import Shape, iso
from stenograph_services.protocol import Tool


class UIText(Shape, frozen=True, kw_only=True, tag_field="type", tag="text"):
    text: str
    status: str
    thread: str | None = None


class UIReasoning(Shape, frozen=True, kw_only=True, tag_field="type", tag="reasoning"):
    text: str
    status: str
    thread: str | None = None


class UIToolCall(Shape, frozen=True, kw_only=True, tag_field="type", tag="tool-call"):
    tool_call_id: str
    tool_name: str
    display_name: str | None = None
    args: Raw
    result: Raw | None = None
    error: str | None = None
    status: str
    thread: str | None = None


UIPart = UIText | UIReasoning | UIToolCall


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


def ui_messages(messages: Iterable[ShownMessage], tools: Mapping[str, Tool]) -> list[UIMessage]:
    """Return `messages` for a screen; `tools` are those of the session's agent."""
    return [
        UIMessage(
            id=message.id,
            role=message.role,
            parts=[shown for part in message.parts if (shown := _part(part, tools)) is not None],
            status=message.status,
            created_at=iso(message.created_at),
        )
        for message in messages
    ]


def is_kept(tool: Tool | None) -> bool:
    """Return whether a screen keeps the arguments and the result of a call of `tool`."""
    return tool is not None and tool.display == "stream"


def _part(part: ShownPart, tools: Mapping[str, Tool]) -> UIPart | None:
    thread = None if part.thread == "main" else part.thread
    match part:
        case ShownText():
            return UIText(text=part.text, status="done", thread=thread)
        case ShownReasoning():
            return UIReasoning(text=part.text, status="done", thread=thread)
        case ShownCall():
            tool = tools.get(part.tool)
            if tool is not None and tool.display == "hidden":
                return None
            return UIToolCall(
                tool_call_id=part.call,
                tool_name=part.tool,
                display_name=title_of(tool),
                args=part.arguments if is_kept(tool) else EMPTY_OBJECT,
                result=part.result if is_kept(tool) else None,
                error=part.error,
                status=part.status,
                thread=thread,
            )
