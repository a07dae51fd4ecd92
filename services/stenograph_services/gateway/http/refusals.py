"""Refusals: what a client did wrong, or what is down, as a status and a flat body.

    404 {"error":"no session '2f01…'","code":"NOT_FOUND"}
    429 {"error":"turn 91d2… is running","code":"SESSION_BUSY"}       Retry-After: 2

A stream that has begun says the same in an `error` event, with the type of `ERROR_TYPES`.
"""

from collections.abc import Mapping

import msgspec
import structlog
from fastapi import Response
from fastapi.exceptions import RequestValidationError
from nats.errors import Error as NatsError
from starlette.exceptions import HTTPException

from stenograph_events import BrokenChain, EventError, InvalidId
from stenograph_sdk import errors as sdk
from stenograph_services.gateway.http.sentences import sentence
from stenograph_services.runtime.errors import (
    AgentExists,
    InputTooLarge,
    InvalidInput,
    KeyDeleted,
    KeyMissing,
    NewerEvent,
    NoKeys,
    StenographError,
    StorageUnavailable,
    UnknownAgent,
    UnknownSession,
)
from stenograph_services.runtime.jetstream import JetStreamError

log = structlog.get_logger()

RETRY_AFTER_SECONDS = 2  # a turn, an election and a restart of the server take about that long

CODES = {
    400: "VALIDATION_ERROR",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    409: "CONFLICT",
    410: "GONE",
    413: "TOO_LARGE",
    429: "SESSION_BUSY",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}

ERROR_TYPES = {
    400: "validation_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "validation_error",
    429: "rate_limit_error",
    503: "provider_overloaded",
}
"""The `errorType` in a stream of what would have been this status; 500 and the rest are `internal_error`."""


class Refusal(StenographError):
    """A request that is answered with an error. The text is for the client; it never holds a traceback."""

    def __init__(
        self,
        status: int,
        error: str,
        *,
        code: str | None = None,
        retry_after_seconds: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(error)
        self.status = status
        self.code = code or CODES.get(status, "ERROR")
        self.error = error
        self.headers = headers or {}
        self.retry_after = retry_after_seconds or (RETRY_AFTER_SECONDS if status in (429, 503) else None)

    def response(self) -> Response:
        headers = dict(self.headers)
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"  # RFC 9110 wants it said
        if self.status == 413:
            headers["Connection"] = "close"  # the rest of the body is on its way, perhaps without end
        body = msgspec.json.encode({"error": self.error, "code": self.code})
        return Response(body, self.status, headers, media_type="application/json")


FORESEEN: tuple[type[Exception], ...] = (
    HTTPException,
    RequestValidationError,
    StenographError,
    EventError,
    JetStreamError,
    NatsError,
    TimeoutError,
    sdk.StenographSdkError,
)
"""What may be raised on purpose while a request is answered."""


def refusal_of(error: Exception) -> Refusal:
    """Return what a client is told of `error`. What nobody foresaw is logged and becomes a 500 without details."""
    match error:
        case Refusal():
            return error
        case HTTPException():
            return Refusal(error.status_code, str(error.detail), headers=error.headers)
        case RequestValidationError():
            return Refusal(400, "; ".join(sentence(problem) for problem in error.errors()))
        case InvalidId() | UnknownSession() | sdk.UnknownSession() | UnknownAgent():
            return Refusal(404, str(error))
        case AgentExists():
            return Refusal(409, str(error))
        case InvalidInput():
            return Refusal(400, f"input: {error}")
        case InputTooLarge() | sdk.Refused(code="too-large"):
            return Refusal(413, str(error))
        case BrokenChain() | NewerEvent():
            log.error("session.unreadable", error=str(error), mend="stenograph sessions verify")
            return Refusal(500, str(error))
        case NoKeys():
            log.error("secret.refused", error=str(error))
            return Refusal(503, str(error), code="NO_KEYS")
        case KeyDeleted():
            return Refusal(410, str(error))
        case KeyMissing():
            log.error("session.sealed", error=str(error))
            return Refusal(503, "the session is sealed, and the service lacks the key that opens it", code="SEALED")
        case NatsError() | JetStreamError() | StorageUnavailable() | sdk.StenographSdkError() | TimeoutError():
            log.warning("nats.unavailable", error=str(error) or type(error).__name__)
            return Refusal(503, "the event log cannot be reached now; try again")
    log.error("request.failed", exc_info=error)
    return Refusal(500, "internal error")
