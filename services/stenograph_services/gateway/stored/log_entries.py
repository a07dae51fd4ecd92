"""The execution log of a session, as applications list it: `GET /api/agent-sessions/{id}/logs`. Pure.

    {"sessionId":"2f01…","total":41,"entries":[
      {"id":"0a7c…","timestamp":"2026-11-22T10:00:00.120Z","type":"trigger","n":2,"executionId":"91d2…",
       "name":"user-message","value":{"USER_MESSAGE":"What plan am I on?"}},
      {"id":"5b3f…","timestamp":"…","type":"model-request","n":4,"executionId":"91d2…","name":"openai/gpt-5",
       "inputTokens":612,"outputTokens":40},
      {"id":"77aa…","timestamp":"…","type":"tool-call","n":5,"name":"get-user-account","toolCallId":"7e1f…",…}]}

An entry is made from one event; its `n` leads to the event itself.
"""

from collections.abc import Iterable
from typing import Any, Literal

from msgspec import Raw

from stenograph_events import StoredEvent, type_of
from stenograph_events.secrets import shown_json
from stenograph_events.types import (
    BlockFinished,
    MessageAdded,
    ModelFailed,
    ToolAnswered,
    ToolCancelled,
    ToolFailed,
    ToolOutcomeUnknown,
    ToolRefused,
    ToolRequested,
    ToolResolved,
    ToolSucceeded,
    ToolTimedOut,
    TriggerQueued,
    TriggerRejected,
    TurnFinished,
    TurnStarted,
)
from stenograph_events.values import TextPart
from stenograph_projections.effects import resolved_error
from stenograph_services.gateway.http.shapes import Shape, iso

ENTRIES_MAX = 3_000  # what clients of the application SDK were told to expect; the events themselves have no limit

EntryType = Literal[
    "trigger", "trigger-queued", "trigger-rejected", "message", "model-request", "model-error", "block",
    "tool-call", "tool-result", "tool-error", "finish", "event",
]  # fmt: skip


class LogEntry(Shape, frozen=True, kw_only=True):
    """One entry. `type` "event": something that has no type of its own here; `name` is then the event's type."""

    id: str
    timestamp: str
    type: EntryType
    n: int
    execution_id: str | None = None
    name: str | None = None
    value: Raw | None = None
    text: str | None = None
    error: str | None = None
    tool_call_id: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


class SessionLogs(Shape, frozen=True, kw_only=True):
    """The newest entries, oldest first. `total` counts the events of the log; `truncated`: it held more than these."""

    session_id: str
    entries: list[LogEntry]
    total: int
    truncated: bool = False


def log_entries(events: Iterable[StoredEvent], *, model_requests: bool = True) -> list[LogEntry]:
    """Return the entries of `events`, in order."""
    return [
        _entry(event, kind, more)
        for event in events
        for kind, more in _kinds(event)
        if model_requests or kind not in ("model-request", "model-error")
    ]


def _entry(event: StoredEvent, type: EntryType, more: dict[str, Any]) -> LogEntry:
    return LogEntry(id=event.id, timestamp=iso(event.at), type=type, n=event.n, execution_id=event.turn, **more)


def _kinds(event: StoredEvent) -> list[tuple[EntryType, dict[str, Any]]]:
    match event:
        case TurnStarted():
            return [("trigger", {"name": event.trigger, "value": shown_json(event.input)})]
        case TriggerQueued():
            return [("trigger-queued", {"name": event.trigger, "value": shown_json(event.input)})]
        case TriggerRejected():
            return [("trigger-rejected", {"name": event.trigger, "error": f"{event.reason}: {event.detail}"})]
        case MessageAdded(model=str()):
            return [("model-request", _asked(event)), ("message", _said(event))]
        case MessageAdded():
            return [("message", _said(event))]
        case ModelFailed():
            return [("model-error", {"name": event.model, "error": f"{event.error}: {event.detail}"})]
        case BlockFinished():
            return [("block", {"name": event.reason})]
        case TurnFinished():
            reason = ": ".join(filter(None, (event.reason, event.detail))) or None
            return [("finish", {"name": event.outcome, "error": reason})]
    return _called(event)


def _called(event: StoredEvent) -> list[tuple[EntryType, dict[str, Any]]]:
    match event:
        case ToolRequested():
            value = shown_json(event.arguments)
            return [("tool-call", {"name": event.tool, "tool_call_id": event.call, "value": value})]
        case ToolSucceeded():
            kept = event.result if event.result_ref is None else None  # a large one lies elsewhere
            return [("tool-result", {"tool_call_id": event.call, "value": kept})]
        case ToolAnswered():
            return [("tool-result", {"name": event.tool, "tool_call_id": event.call, "value": event.result})]
        case ToolFailed() | ToolRefused():
            return [("tool-error", {"tool_call_id": event.call, "error": event.error})]
        case ToolTimedOut():
            return [("tool-error", {"tool_call_id": event.call, "error": "it did not answer in time"})]
        case ToolResolved(outcome="succeeded"):
            return [("tool-result", {"tool_call_id": event.call, "value": event.result})]
        case ToolResolved():
            return [("tool-error", {"tool_call_id": event.call, "error": resolved_error(event)})]
        case ToolOutcomeUnknown():
            return [("tool-error", {"tool_call_id": event.call, "error": "nobody knows whether it ran"})]
        case ToolCancelled():
            return [("tool-error", {"tool_call_id": event.call, "error": "it was cancelled"})]
    return [("event", {"name": type_of(event)})]


def _asked(event: MessageAdded) -> dict[str, Any]:
    if event.usage is None:
        return {"name": event.model}
    return {
        "name": event.model,
        "input_tokens": event.usage.input_tokens,
        "output_tokens": event.usage.output_tokens,
    }


def _said(event: MessageAdded) -> dict[str, Any]:
    return {"name": event.role, "text": "".join(part.text for part in event.parts if isinstance(part, TextPart))}
