"""Classes `tool-result` and `tool-closed`: what became of a call."""

from datetime import datetime
from typing import Literal

from msgspec import Raw

from stenograph_events.ids import CallId, SessionId
from stenograph_events.types.event import Event
from stenograph_events.values import NULL, Actor, BlobRef, OnUnknown, OptionalRaw, Resolution, Signature

# ---- class tool-result: each wakes an orchestrator


class ToolSucceeded(Event, frozen=True, kw_only=True, tag="tool.succeeded"):
    """A worker answered. The value is in `result`, or in BLOB under `result_ref`; `signed` by the worker, if it can."""

    event_class = "tool-result"
    call: CallId
    attempt: int = 1
    result: Raw = NULL
    result_ref: BlobRef | None = None
    worker: str | None = None
    signed: Signature | None = None


class ToolFailed(Event, frozen=True, kw_only=True, tag="tool.failed"):
    """A worker said that the call failed, or its result is no such one as is taken.

    `invalid-result`: it breaks the declared type. `too-large`: it has more bytes than `error` allows.
    `again`: another attempt follows, so that this does not answer the call.
    """

    event_class = "tool-result"
    call: CallId
    attempt: int = 1
    error: str
    kind: Literal["error", "invalid-result", "too-large"] = "error"
    worker: str | None = None
    signed: Signature | None = None
    again: bool = False


class ToolTimedOut(Event, frozen=True, kw_only=True, tag="tool.timed_out"):
    """The deadline passed without an answer, and the call did not run or may run again.

    Attempt 0: nobody decided on its approval in time, so it was never requested. A `worker` may have said that it got
    the call too late.
    """

    event_class = "tool-result"
    call: CallId
    attempt: int = 1
    worker: str | None = None
    signed: Signature | None = None
    again: bool = False


class ToolOutcomeUnknown(Event, frozen=True, kw_only=True, tag="tool.outcome_unknown"):
    """The deadline passed, a worker had begun, and the tool must not run twice: nobody knows whether it took effect.

    Without `then` that answers the call; otherwise a person, or a declared check, says what came of it.
    """

    event_class = "tool-result"
    call: CallId
    attempt: int = 1
    then: OnUnknown | None = None


# ---- class tool-closed: about a call, waking nobody


class ToolRefused(Event, frozen=True, kw_only=True, tag="tool.refused"):
    """A call was answered without being requested: no such tool, or arguments that break its parameters.

    `block` and `output` are those that the request would have had. `not_before`: the tool is broken, so that it is not
    asked again before then; that also ends a call of which earlier attempts were requested.
    """

    event_class = "tool-closed"
    call: CallId
    tool: str
    error: str
    arguments_text: str | None = None
    block: int | None = None
    output: str | None = None
    not_before: datetime | None = None


class ToolCancelled(Event, frozen=True, kw_only=True, tag="tool.cancelled"):
    """The turn was cancelled before the call was answered; so is the turn of the `child` that was to answer it."""

    event_class = "tool-closed"
    call: CallId
    child: SessionId | None = None
    tool: str | None = None


class ToolAnswered(Event, frozen=True, kw_only=True, tag="tool.answered"):
    """A tool of our own answered a model's call: a reference that it read, or its list of things to do.

    `todos` is that list as it stands from now on.
    """

    event_class = "tool-closed"
    call: CallId
    tool: str
    result: Raw = NULL
    todos: OptionalRaw = None


class ToolAnswerRejected(Event, frozen=True, kw_only=True, tag="tool.answer_rejected"):
    """An answer came that the log no longer waits for. Recorded, changes nothing."""

    event_class = "tool-closed"
    call: CallId
    attempt: int = 1
    reason: Literal["late", "superseded", "unknown-call"]
    outcome: str
    worker: str | None = None
    signed: Signature | None = None


class ToolResolved(Event, frozen=True, kw_only=True, tag="tool.resolved"):
    """What came of a call whose outcome was unknown, which answers it: as `actor` says, or as call `check` found out.

    With `outcome` unknown it stays so: they do not know, or nobody was asked in the end (`reason`). `expired`: nobody
    said it in time; that wakes an orchestrator.
    """

    event_class = "tool-closed"
    call: CallId
    attempt: int = 1
    outcome: Resolution
    result: Raw = NULL
    error: str | None = None
    actor: Actor | None = None
    check: CallId | None = None
    reason: str | None = None
    expired: bool = False
