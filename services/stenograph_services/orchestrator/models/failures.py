"""What may go wrong between us and a provider, as a `ModelError` with a stable kind.

408, timeout          timeout          retryable      400, 413, 422    bad-request
429                   rate-limit       retryable      400 too long     context-window
503, 529              overloaded       retryable      401              authentication
other 5xx             provider-error   retryable      402, no credit   quota-exceeded
no or lost connection connection       retryable      403              permission
                                                      404              not-found
"""

from collections.abc import Mapping

from pydantic_ai import exceptions

from stenograph_services.orchestrator.models.request import ModelError

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

LONGEST_DETAIL = 500  # it is stored in the log; some providers answer with a whole page


def model_error(error: Exception, model: str) -> ModelError:
    """Return `error`, as the client of `model` raised it, as ours."""
    if isinstance(error, ModelError):
        return error
    kind, retryable = _kind(error)
    seconds = error.retry_after if isinstance(error, exceptions.ModelAPIError) else None
    detail = _detail(error, model)[:LONGEST_DETAIL]
    return ModelError(kind, detail, retryable=retryable, retry_after_seconds=seconds)


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
        case exceptions.ModelAPIError() | exceptions.UnexpectedModelBehavior():
            return "provider-error", True
        case exceptions.UserError():  # the client refuses to send it: a setting or a tool that the model cannot take
            return "bad-request", False
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
    return str(body) if body else "no reason given"
