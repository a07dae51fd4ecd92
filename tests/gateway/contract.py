"""What each version of the application's client accepts, as JSON Schemas that allow nothing else.

    FIRST.events["text-delta"]      {"type":"object","properties":{"type":{"const":"text-delta"},"id":…},…}
    FIRST.problems("events", event)

A line names the fields of one thing: `name` is text, `?` means that it may be left out, never null, and `name=kind` is
of another kind. Version 2.0.0 takes an unknown field and passes it over; we send it none but those after the bar.
"""

from typing import Any, Literal

import jsonschema_rs

Where = Literal["events", "ui", "chat"]

_STREAMING = {"enum": ["streaming", "done"]}
_OBJECTS = {"type": "array", "items": {"type": "object"}}


def _kind(name: str, kinds: dict[str, Any]) -> Any:
    known = {"text": {"type": "string"}, "any": {}, "bool": {"type": "boolean"}, "object": {"type": "object"}}
    numbers = {"int": {"type": "integer", "minimum": 0}, "number": {"type": "number", "minimum": 0}}
    return {**known, **numbers, **kinds}[name]


def shape(line: str, **kinds: Any) -> dict[str, Any]:
    """Return the schema of an object with the fields of `line`."""
    properties: dict[str, Any] = {}
    required = []
    for field in line.replace("|", " ").split():
        name, _, kind = field.partition("=")
        if not name.endswith("?"):
            required.append(name)
        properties[name.rstrip("?")] = _kind(kind or "text", kinds)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _tagged(lines: str, **kinds: Any) -> dict[str, Any]:
    """Return the schemas of `lines`, each of which begins with a type and a colon."""
    found = {}
    for line in lines.strip().splitlines():
        type, _, fields = line.strip().partition(":")
        found[type] = shape(fields, **kinds)
        found[type]["properties"]["type"] = {"const": type}
        found[type]["required"].append("type")
    return found


class Contract:
    """What one version accepts."""

    def __init__(self, events: dict[str, Any], ui: dict[str, Any], chat: dict[str, Any]) -> None:
        self.events = events
        whole = {"events": {"anyOf": list(events.values())}, "ui": ui, "chat": chat}
        self._validators = {name: jsonschema_rs.validator_for(schema) for name, schema in whole.items()}
        self._each = {type: jsonschema_rs.validator_for(schema) for type, schema in events.items()}

    def problems(self, where: Where, value: Any) -> list[str]:
        """Return what is wrong with `value`, an event or a message."""
        validator = self._validators[where]
        if where == "events":
            if value["type"] not in self._each:
                return [f"{value['type']} is no event of this version"]
            validator = self._each[value["type"]]
        return [f"{error.instance_path}: {error.message[:300]}" for error in validator.iter_errors(value)]


def _any_of(schemas: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": {"anyOf": list(schemas.values())}}


# ---- 2.0.0

_REASONS = {"enum": ["stop", "tool-calls", "client-tool-calls", "length", "content-filter", "error", "other"]}
_DISPLAY = {"enum": ["hidden", "name", "description", "stream"]}
_CLASSES = """authentication permission validation not_found rate_limit quota_exceeded provider execution tool protocol
internal unknown"""
_ERRORS = {"enum": [f"{name}_error" for name in _CLASSES.split()] + ["provider_overloaded", "provider_timeout"]}
_SOURCE = {"enum": ["platform", "provider", "tool", "client"]}
_PROVIDER = shape("name model? statusCode?=int errorType? requestId?")
_TOOL = shape("name callId?")


def _calls(line: str) -> dict[str, Any]:
    by = {"enum": ["llm", "block"]}
    items = shape(f"toolCallId toolName args=object source?=by outputVariable? blockIndex?=int {line}", by=by)
    return {"type": "array", "items": items, "minItems": 1}


_EVENTS = """
finish: finishReason=reason executionId? {w}
error: errorType=class message retryable=bool source=source retryAfter?=int code? provider?=provider tool?=tool {w}
text-start: id responseType? {w}
text-delta: id delta {w}
text-end: id {w}
reasoning-start: id {w}
reasoning-delta: id delta {w}
reasoning-end: id {w}
tool-input-delta: toolCallId inputTextDelta {w}
tool-input-end: toolCallId {w}
tool-input-available: toolCallId toolName input=any {w}
tool-output-available: toolCallId output=any {w}
tool-output-error: toolCallId error {w}
block-start: blockId blockName blockType display=display description? outputToChat?=bool thread? {w}
block-end: blockId summary? {w}
resource-update: name value=any {w}
tool-request: toolCalls=calls {w}
file-available: id mediaType url filename? size?=int toolCallId? {w}
"""
_FIRST_ONLY = "start: messageId? executionId? | sessionId?\ntool-input-start: toolCallId toolName title?\n"

_PARTS = """
text: text status=streaming thread?
reasoning: text status=streaming thread?
file: id mediaType url filename? size?=int toolCallId? thread?
object: id typeName partial?=any object?=any status=object-status error? thread?
"""
_FIRST_PARTS = """
tool-call: toolCallId toolName displayName? args=object result?=any error? status=call-status thread?
operation: operationId name operationType status=run-status thread?
"""
_OBJECT_STATUS = {"enum": ["streaming", "done", "error"]}


def _ui(parts: dict[str, Any], line: str = "", **kinds: Any) -> dict[str, Any]:
    roles = {"enum": ["user", "assistant"]}
    kinds = {"roles": roles, "streaming": _STREAMING, "parts": _any_of(parts), **kinds}
    return shape(f"id role=roles parts=parts status=streaming createdAt {line}", **kinds)


_PART_KINDS = {"streaming": _STREAMING, "object-status": _OBJECT_STATUS}
_FIRST_UI = _tagged(
    _PARTS + _FIRST_PARTS.strip(),
    **_PART_KINDS,
    **{
        "call-status": {"enum": ["pending", "running", "done", "error"]},
        "run-status": {"enum": ["running", "done"]},
    },
)

_CALL_STATUS = {"enum": ["pending", "streaming", "available", "error"]}
_CALL = shape("id name description? arguments=object status=status result?=any error?", status=_CALL_STATUS)
_CHAT_KINDS = {
    "call": _CALL,
    "file": shape("id mediaType url filename? size?=int"),
    "value": shape("id typeName value=any"),
}
_CHAT_PARTS = """
text: visible=bool content thread?
reasoning: visible=bool content thread?
file: visible=bool file=file thread?
object: visible=bool object=value thread?
tool-call: visible=bool toolCall=call thread?
"""
_ROLES = {"enum": ["user", "assistant", "system"]}
_FIRST_CHAT = shape(
    "id role=roles parts=parts createdAt content visible?=bool toolCalls?=calls reasoning? reasoningSignature?",
    roles=_ROLES,
    parts=_any_of(_tagged(_CHAT_PARTS, **_CHAT_KINDS)),
    calls={"type": "array", "items": _CALL},
)

_EVENT_KINDS = {"reason": _REASONS, "source": _SOURCE, "provider": _PROVIDER, "tool": _TOOL}

FIRST = Contract(
    _tagged(
        _FIRST_ONLY + _EVENTS.format(w="").strip(),
        **_EVENT_KINDS,
        **{"class": _ERRORS, "display": _DISPLAY, "calls": _calls("| thread?")},
    ),
    _ui(_FIRST_UI),
    _FIRST_CHAT,
)

# ---- 4.0 and later

_FULL_DISPLAY = {"enum": [*_DISPLAY["enum"], "title"]}
_FULL_ERRORS = {"enum": [*_ERRORS["enum"], "unsupported_error"]}
_TODOS = {
    "type": "array",
    "items": shape("id content status=s", s={"enum": ["pending", "in_progress", "completed", "cancelled"]}),
}
_COST = shape("currency bandwidthFee=number providerFee=number totalFee=number byok=bool estimatedProviderFee?=number")
_TOKENS = shape("inputTokens=int outputTokens=int totalTokens=int")
_SENDER = shape("id? name? image?")

_FULL_ONLY = """
start: messageId? executionId? lastMessageId? sessionId?
tool-input-start: toolCallId toolName title? display?=display workerId?
worker-input-start: workerId workerSlug description?
worker-input-delta: workerId delta
worker-input-ready: workerId input=any
worker-start: workerId workerSlug description? input?=any
worker-result: workerId output?=any error?
todo-update: todos=todos workerId?
usage: cost=cost tokens=tokens
"""
_FULL_PARTS = """
tool-call: toolCallId toolName displayName? args=object result?=any error? status=call-status display?=display thread?
operation: operationId name operationType status=run-status thread?
todo: todos=todos status=streaming thread?
step-start:
"""
_ENDED = ["done", "error", "cancelled"]
_FULL_PART_KINDS = {
    **_PART_KINDS,
    "todos": _TODOS,
    "display": _FULL_DISPLAY,
    "call-status": {"enum": ["pending", "running", *_ENDED]},
    "run-status": {"enum": ["running", "done", "cancelled"]},
    "worker-status": {"enum": ["running", *_ENDED]},
}
_INSIDE = _tagged(_PARTS + _FULL_PARTS.strip(), **_FULL_PART_KINDS)
_WORKER = "workerId workerSlug description? input?=any parts=inside output?=any error? status=worker-status"
_FULL_UI = _INSIDE | _tagged(f"worker: {_WORKER} | thread?", **_FULL_PART_KINDS, inside=_any_of(_INSIDE))
_FULL_CHAT_KINDS = {
    **_CHAT_KINDS,
    "worker": shape(_WORKER, inside=_any_of(_INSIDE), **_FULL_PART_KINDS),
    "todo": shape("todos=todos status=streaming", **_FULL_PART_KINDS),
    "operation": shape("operationId name operationType status=run-status", **_FULL_PART_KINDS),
}
_FULL_CHAT_PARTS = """
step-start: visible=bool
worker: visible=bool worker=worker thread?
todo: visible=bool todo=todo thread?
operation: visible=bool operation=operation thread?
"""

FULL = Contract(
    _tagged(
        _FULL_ONLY.strip() + "\n" + _EVENTS.format(w="workerId?").strip(),
        **_EVENT_KINDS,
        **{"class": _FULL_ERRORS, "display": _FULL_DISPLAY, "calls": _calls("thread? workerId?")},
        todos=_TODOS,
        cost=_COST,
        tokens=_TOKENS,
    ),
    _ui(_FULL_UI, "sender?=sender", sender=_SENDER),
    shape(
        "id role=roles parts=parts createdAt content visible?=bool sender?=sender",
        roles=_ROLES,
        parts=_any_of(_tagged(_CHAT_PARTS + _FULL_CHAT_PARTS.strip(), **_FULL_CHAT_KINDS)),
        sender=_SENDER,
    ),
)
