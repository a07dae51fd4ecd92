"""What a request needs: addresses, headers, time limits, and what an answer that is no success means."""

import random
from collections.abc import Iterator
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from stenograph_sdk.errors import StenographSdkError, UnknownSession
from stenograph_sdk.http.errors import Busy, GatewayUnreachable, HttpRefused

T = TypeVar("T")

TRY_SECONDS = 15.0  # how long a request is tried; a gateway restarts in less
SILENCE_SECONDS = 60.0  # the gateway says something every 10 s; six times that is a dead connection
AGAIN_SECONDS = 1.0  # between two attempts to follow a log

_NO_SESSION = ("no session", "the session has no log")

JSON = {"Content-Type": "application/json"}
EXTRAS = {"X-Stenograph-Events": "tool-progress"}  # what we read beside the events that every client does
RETRIED = {502, 503, 504}  # a gateway that restarts, or a proxy before it

TIMEOUT = httpx.Timeout(10.0, read=SILENCE_SECONDS)


class Created(msgspec.Struct, rename="camel"):
    session_id: str


class SessionPage(msgspec.Struct):
    sessions: list[dict[str, Any]]
    cursor: str | None = None


class Messages(msgspec.Struct):
    messages: list[dict[str, Any]] = []


class Waiting(msgspec.Struct):
    approvals: list[dict[str, Any]] = []
    resolutions: list[dict[str, Any]] = []


class _Problem(msgspec.Struct):
    error: str = ""
    code: str = ""


def base_url(url: str) -> str:
    """Return `url` without the slash at its end; raise `GatewayUnreachable` if it is no HTTP address."""
    parsed = urlsplit(url)
    if parsed.scheme not in ("http", "https") or not parsed.hostname:
        raise GatewayUnreachable(url, "this is no address such as http://127.0.0.1:8420")
    return url.rstrip("/")


def headers(api_key: str | None) -> dict[str, str]:
    return {} if api_key is None else {"Authorization": f"Bearer {api_key}"}


def decoded(body: bytes, type: type[T], what: str) -> T:
    """Return `body` as a `type`; raise `HttpRefused` if it is none: something else than a gateway answers there."""
    try:
        return msgspec.json.decode(body, type=type)
    except msgspec.MsgspecError as error:
        raise HttpRefused(what, 200, "unreadable-answer", f"{error}; is this a gateway of the same version?") from error


def refusal(what: str, response: httpx.Response, session: str | None = None) -> StenographSdkError:
    """Return the error that `response`, read to its end and no success, stands for."""
    try:
        problem = msgspec.json.decode(response.content, type=_Problem)
    except msgspec.MsgspecError:
        problem = _Problem(f"HTTP {response.status_code} {response.reason_phrase}".strip())
    code, status = problem.code or str(response.status_code), response.status_code
    if status == 404 and session is not None and problem.error.startswith(_NO_SESSION):
        return UnknownSession(session)
    if status == 429:
        return Busy(what, status, code, problem.error, _seconds(response.headers.get("Retry-After")))
    return HttpRefused(what, status, code, problem.error)


def pauses() -> Iterator[float]:
    """Yield pauses between attempts, in seconds: doubling, with jitter, so that clients do not come back as one."""
    pause = 0.1
    while True:
        yield pause * random.uniform(0.5, 1.5)
        pause = min(pause * 2, 2.0)


def given(**query: Any) -> dict[str, Any]:
    """Return the parameters that are given, as they go into an address."""
    return {name: _parameter(value) for name, value in query.items() if value is not None}


def _parameter(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


def _seconds(retry_after: str | None) -> float:
    try:
        return float(retry_after or 1.0)
    except ValueError:  # a date: rare, and a client that waits a little does no harm
        return 1.0


class Lines:
    """Bytes to lines. Only LF ends a line: httpx would also end one at the line separators inside a JSON text."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> Iterator[str]:
        """Yield the lines that `chunk` completes."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            yield line.rstrip(b"\r").decode("utf-8", "replace")


class LogLines:
    """Server-sent events of a log to their data; knows the event to go on after."""

    def __init__(self, after: int) -> None:
        self.after = after
        self._id = after
        self._lines = Lines()

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the stored bytes of each event that `chunk` completes."""
        for line in self._lines.feed(chunk):
            if line.startswith("id: "):
                self._id = int(line[4:])
            elif line.startswith("data: "):
                self.after = self._id
                yield line[6:].encode()

    def broke_off(self) -> None:
        """Forget what is not complete."""
        self._lines = Lines()
