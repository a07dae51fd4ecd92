"""How a turn that did not complete is told: an HTTP status before its stream begins, an `error` event after. Pure."""

from stenograph_events.types import ModelFailed, TriggerRejected, TurnFinished
from stenograph_services.gateway.refusals import ERROR_TYPES, Refusal
from stenograph_services.gateway.stream_events import FinishReason, Provider, StreamError

_REJECTIONS = {
    "busy": 429,
    "queue-full": 429,
    "invalid-input": 400,
    "unknown-trigger": 400,
    "unknown-agent": 404,
    "cancelled": 400,
    "crash-loop": 500,
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
    """Return how the stream of a failed turn ends; `failure` is the last attempt of a model that failed in it."""
    if event.reason != "model-failed" or failure is None:
        return StreamError(
            error_type="internal_error",
            message=event.detail or event.reason or "the turn failed",
            retryable=True,
            source="platform",
            code=event.reason,
        )
    name, _, model = failure.model.partition("/")
    return StreamError(
        error_type=_MODEL_FAILURES.get(failure.error, "provider_error"),
        message=failure.detail,
        retryable=failure.retryable,
        source="provider",
        code=failure.error,
        provider=Provider(name, model or None),
    )


def finish_reason(said: str | None) -> FinishReason:
    """Return the finish reason of a turn whose last model response ended with `said`."""
    return "stop" if said is None else _FINISH_REASONS.get(said, "other")
