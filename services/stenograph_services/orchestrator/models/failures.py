"""What may go wrong between us and a provider, as a `ModelError` with a stable kind.

408, timeout          timeout          retryable      400, 413, 422    bad-request
429                   rate-limit       retryable      400 too long     context-window
503, 529              overloaded       retryable      401              authentication
other 5xx             provider-error   retryable      402, no credit   quota-exceeded
no or lost connection connection       retryable      403              permission
no JSON, no stream    bad-answer       retryable      404              not-found
file not to be had    no-file          retryable
                                                      over its bound   too-large
                                                      repeats itself   loop
"""

from collections.abc import Iterator, Mapping

import httpx2
from pydantic_ai import exceptions

from stenograph_events.values import FilePart, Usage
from stenograph_services.orchestrator.models.request import ModelError, ModelRequest

BY_STATUS: Mapping[int, tuple[str, bool]] = {
    401: ("authentication", False),
    402: ("quota-exceeded", False),
    403: ("permission", False),
    404: ("not-found", False),
    408: ("timeout", True),
    429: ("rate-limit", True),
    503: ("overloaded", True),
    529: ("overloaded", True),
}

NOT_WHAT_WAS_PROMISED = (ValueError, TypeError, AttributeError, LookupError)
"""What the clients raise over JSON of a shape that no vendor documents; `ValueError` is also JSON that is none."""

LONGEST_DETAIL = 500  # it is stored in the log; some providers answer with a whole page


def model_error(error: Exception, request: ModelRequest, usage: Usage | None = None) -> ModelError:
    """Return `error`, as the client raised it over `request`, as ours. `usage` is what was consumed, if known."""
    ours = next((each for each in _causes(error) if isinstance(each, ModelError)), None)
    if ours is None:
        kind, retryable = ("no-file", True) if _is_over_a_file(error, request) else _kind(error)
        ours = ModelError(kind, _detail(error, request.model)[:LONGEST_DETAIL], retryable=retryable)
        ours.retry_after_seconds = error.retry_after if isinstance(error, exceptions.ModelAPIError) else None
        ours.status = error.status_code if isinstance(error, exceptions.ModelHTTPError) else None
    ours.usage = ours.usage or usage
    return ours


def _is_over_a_file(error: Exception, request: ModelRequest) -> bool:
    """Some vendors want files as bytes. The client fetches them, and raises what has nothing to do with the model."""
    if not isinstance(error, ValueError | httpx2.HTTPError):
        return False
    return any(isinstance(part, FilePart) for said in request.messages for part in getattr(said, "parts", ()))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _kind(error: Exception) -> tuple[str, bool]:
    match error:
        case exceptions.ModelQuotaExceededError():  # often a 429, but waiting does not help
            return "quota-exceeded", False
        case exceptions.ModelContextWindowExceededError():
            return "context-window", False
        case exceptions.ModelOverloadedError():
            return "overloaded", True
        case exceptions.ModelHTTPError(status_code=status):
            return BY_STATUS.get(status, ("provider-error", True) if status >= 500 else ("bad-request", False))
        case exceptions.ModelTimeoutError() | exceptions.ModelRequestTimeout():
            return "timeout", True
        case exceptions.ModelConnectionError():
            return "connection", True
        case exceptions.ModelAPIError(__cause__=ValueError()) | exceptions.UnexpectedModelBehavior():
            return "bad-answer", True
        case exceptions.ModelAPIError():
            return "provider-error", True
        case exceptions.UserError():  # the client refuses to send it: a setting or a tool that the model cannot take
            return "bad-request", False
        case _ if isinstance(error, NOT_WHAT_WAS_PROMISED):
            return "bad-answer", True
        case _:
            return "unexpected", False


def _detail(error: Exception, model: str) -> str:
    match error:
        case exceptions.ModelHTTPError(status_code=status, body=body):
            return f"{model} answered {status}: {_said(body)}"
        case exceptions.ModelRequestTimeout() | exceptions.ModelTimeoutError():
            return f"{model} did not answer in time."
        case exceptions.ModelConnectionError():
            return f"The connection to {model} failed: {error}"
        case exceptions.AgentRunError() | exceptions.UserError():
            return f"{model}: {error}"
        case _:
            return f"{model}: {type(error).__name__}: {error}"


def _said(body: object) -> str:
    """Return the sentence inside an error body, whichever of the vendors' shapes it has."""
    if isinstance(body, Mapping):
        inner = body.get("error", body)
        if isinstance(inner, Mapping) and isinstance(message := inner.get("message"), str):
            return message
    return str(body)[:LONGEST_DETAIL] if body else "no reason given"
