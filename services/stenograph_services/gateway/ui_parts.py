"""The parts of a message on a screen, as version 2.0.0 of the client takes them. What is optional is left out.

{"type":"text","text":"You are on the pro plan.","status":"done"}
{"type":"object","id":"5b3f…","typeName":"Plan","object":{"name":"pro"},"status":"done","thread":"research"}
"""

from msgspec import Raw

from stenograph_services.gateway.shapes import Shape


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


class UIOperation(Shape, frozen=True, kw_only=True, tag_field="type", tag="operation"):
    operation_id: str
    name: str
    operation_type: str
    status: str
    thread: str | None = None


class UIFile(Shape, frozen=True, kw_only=True, tag_field="type", tag="file"):
    id: str
    media_type: str
    url: str
    filename: str | None = None
    size: int | None = None
    thread: str | None = None


class UIObject(Shape, frozen=True, kw_only=True, tag_field="type", tag="object"):
    id: str
    type_name: str
    object: Raw
    status: str
    thread: str | None = None


UIPart = UIText | UIReasoning | UIToolCall | UIOperation | UIFile | UIObject


def thread_of(name: str) -> str | None:
    """Return the thread that a client has to be told of: absent means main."""
    return None if name == "main" else name
