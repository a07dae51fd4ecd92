"""How a turn that did not complete is told: an HTTP status before its stream begins, an `error` event after. Pure."""

from collections.abc import Collection
from typing import NamedTuple

from stenograph_events.types import (
    ApprovalRequested,
    BudgetExceeded,
    ModelFailed,
    TriggerRejected,
    TurnFinished,
)
from stenograph_sdk.budgets import how_to_raise, used_up
from stenograph_services.gateway.http.refusals import ERROR_TYPES, Refusal
from stenograph_services.gateway.stream.legs import Question
from stenograph_services.gateway.wire.stream_events import FinishReason, Provider, Source, StreamError

_REJECTIONS = {
    "busy": 429,
    "queue-full": 429,
    "invalid-input": 400,
    "unknown-trigger": 400,
    "unknown-agent": 404,
    "cancelled": 400,
    "crash-loop": 500,
    "expired": 404,
    "unknown-message": 400,
}

_MODEL_FAILURES = {
    "authentication": "authentication_error",
    "permission": "permission_error",
    "not-found": "not_found_error",
    "rate-limit": "rate_limit_error",
    "quota-exceeded": "quota_exceeded_error",
    "overloaded": "provider_overloaded",
    "timeout": "provider_timeout",
}


class Ending(NamedTuple):
    """What a client is told of a turn that failed for some reason."""

    error_type: str
    source: Source = "platform"
    retryable: bool = False


_ENDINGS = {
    "unsupported": Ending("unsupported_error"),
    "invalid-response": Ending("provider_error", "provider", retryable=True),
    "invalid-settings": Ending("validation_error"),
    "unknown-agent": Ending("not_found_error"),
    "crash-loop": Ending("internal_error", retryable=True),
}
_UNFORESEEN = Ending("internal_error", retryable=True)
_OVER_BUDGET = Ending("quota_exceeded_error")

_FINISH_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "content-filter": "content-filter",
    "error": "error",
    "cancelled": "stop",  # what a client that aborts tells itself
}


def refused(rejected: TriggerRejected) -> Refusal:
    """Return the HTTP answer to a trigger that will never start a turn."""
    return Refusal(_REJECTIONS.get(rejected.reason, 400), rejected.detail)


def error_of(refusal: Refusal) -> StreamError:
    """Return what a stream says where a response that has not begun would have been `refusal`."""
    return StreamError(
        error_type=ERROR_TYPES.get(refusal.status, "internal_error"),
        message=refusal.error,
        retryable=refusal.status == 429 or refusal.status >= 500,
        source="platform",
        retry_after=refusal.retry_after,
        code=refusal.code,
    )


def failed(event: TurnFinished, failure: ModelFailed | None) -> StreamError:
    """Return how the stream of a failed turn ends; `failure` is the attempt of a model that it failed with."""
    if event.reason == "model-failed" and failure is not None:
        return _model_failed(failure)
    reason = event.reason or ""
    ending = _OVER_BUDGET if reason.startswith("budget") else _ENDINGS.get(reason, _UNFORESEEN)
    return StreamError(
        error_type=ending.error_type,
        message=event.detail or event.reason or "the turn failed",
        retryable=ending.retryable,
        source=ending.source,
        code=event.reason,
    )


def exceeded(event: BudgetExceeded) -> StreamError:
    """Return how a stream ends whose turn waits for a budget. The turn goes on when that is raised."""
    return StreamError(
        error_type=_OVER_BUDGET.error_type,
        message=f"{used_up(event)}. The turn waits: {how_to_raise(event)}",
        retryable=False,
        source="platform",
        code="budget-exceeded",
    )


def unsaid(questions: Collection[Question]) -> StreamError:
    """Return how a stream ends whose turn waits for people alone. The turn goes on when they have spoken."""
    if approvals := [one for one in questions if isinstance(one, ApprovalRequested)]:
        see = _in_each(approvals, "`stenograph approvals list {}`")
        return _waiting(f"{_named(approvals)} has to be approved. The turn waits: see {see}", "approval-required")
    see = _in_each(questions, "`stenograph effects list {} --state asked`")
    message = f"nobody knows whether {_named(questions)} took effect. The turn waits for a person to say so: see {see}"
    return _waiting(message, "outcome-unknown")


def _named(questions: Collection[Question]) -> str:
    return ", ".join(f"{one.tool} (call {one.call})" for one in questions)


def _in_each(questions: Collection[Question], command: str) -> str:
    return " and ".join(command.format(session) for session in dict.fromkeys(one.session for one in questions))


def _waiting(message: str, code: str) -> StreamError:
    return StreamError(error_type="permission_error", message=message, retryable=False, source="platform", code=code)


def _model_failed(failure: ModelFailed) -> StreamError:
    route, _, model = failure.model.partition("/")
    name = failure.provider or route
    return StreamError(
        error_type=_MODEL_FAILURES.get(failure.error, "provider_error"),
        message=failure.detail,
        retryable=failure.retryable,
        source="provider",
        code=f"{name.upper()}_{failure.status}" if failure.status else failure.error,
        provider=Provider(name, model or None, failure.status),
    )


def finish_reason(said: str | None) -> FinishReason:
    """Return the finish reason of a turn whose last model response ended with `said`."""
    return "stop" if said is None else _FINISH_REASONS.get(said, "other")
