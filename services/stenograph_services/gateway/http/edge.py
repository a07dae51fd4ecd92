"""The edge: what holds for every request, whatever it asks. Plain ASGI wrappers: a frame of a stream passes them free.

    X-Request-Id: web-7f3a             taken from the request if it can be an id, made otherwise; in every log line, too
    X-Content-Type-Options: nosniff
    Referrer-Policy: no-referrer
    X-Frame-Options: DENY
    Cache-Control: no-store            of answers under /api that do not say otherwise

A body is measured while it comes in, before anybody holds it whole. An error leaves as a flat body, never a traceback.
"""

import uuid

from fastapi import FastAPI, Request, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from stenograph_events import InvalidId, checked_id
from stenograph_services.gateway.http.refusals import FORESEEN, Refusal, refusal_of
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.file_links import PATH as FILES

REQUEST_ID = "X-Request-Id"

_SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}
_ASKED_WITH = [
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "Last-Event-ID",
    "X-Octavus-Sdk-Version",
    "X-Octavus-Trace",
    "X-Stenograph-Events",
    REQUEST_ID,
]
_READABLE = [REQUEST_ID, "Retry-After", "X-Octavus-Session-Id"]


def edged(app: ASGIApp, settings: Settings) -> ASGIApp:
    """Return `app` with its edge. Web pages of other origins may ask only if the settings name those."""
    inside: ASGIApp = Measured(app, settings.body_max_bytes)
    if origins := settings.web_origins():
        inside = CORSMiddleware(  # without credentials: a key is sent on purpose, never by a browser of itself
            inside,
            allow_origins=origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=_ASKED_WITH,
            expose_headers=_READABLE,
        )
    return Edge(inside)


class Edge:
    """Wraps an application: names each request, and adds to each answer the headers that all have."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = _request_id(scope)
        answered = False

        async def watched_send(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                _complete(MutableHeaders(scope=message), scope["path"], request)
            await send(message)
            answered = message["type"] == "http.response.body" and not message.get("more_body", False)

        with bound_contextvars(request_id=request):
            try:
                await self._app(scope, receive, watched_send)
            except Exception:
                if not answered:  # otherwise it was told and logged, and Starlette raised it again for the server
                    raise


class Measured:
    """Wraps an application: a body over `body_max_bytes` gets 413, flat (FastAPI's own limit answers in plain text)."""

    def __init__(self, app: ASGIApp, body_max_bytes: int) -> None:
        self._app = app
        self._limit = body_max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _is_upload(scope["method"], scope["path"]):  # as long as its link says
            await self._app(scope, receive, send)
            return
        if refusal := self._refusal(_announced(scope)):
            await refusal.response()(scope, receive, send)
            return
        await self._app(scope, self._measured(receive), send)

    def _measured(self, receive: Receive) -> Receive:
        received = 0

        async def measured() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if refusal := self._refusal(received):
                raise refusal
            return message

        return measured

    def _refusal(self, size: int) -> Refusal | None:
        if size <= self._limit:
            return None
        return Refusal(413, f"the body is over {self._limit} bytes, the limit of STENOGRAPH_BODY_MAX_BYTES")


def refuse_flat(app: FastAPI) -> None:
    """Let every error of `app` leave as a flat body, also what FastAPI itself refuses and what nobody foresaw."""

    async def refuse(request: Request, error: Exception) -> Response:
        refusal = refusal_of(error)
        if isinstance(error, HTTPException) and error.detail in _BARE:
            refusal.error = _no_route(request, refusal)
        return refusal.response()

    for kind in (*FORESEEN, Exception):
        app.add_exception_handler(kind, refuse)


_BARE = ("Not Found", "Method Not Allowed")  # what the router says, which names nothing


def _no_route(request: Request, refusal: Refusal) -> str:
    asked = f"{request.method} {request.url.path[:200]}"
    if allowed := refusal.headers.get("Allow"):
        return f"{asked}: this path takes {allowed}"
    return f"there is no route {asked}; GET / shows all"


def _announced(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "")
    return int(length) if length.isdecimal() else 0


def _request_id(scope: Scope) -> str:
    try:
        return checked_id(Headers(scope=scope).get(REQUEST_ID, ""))
    except InvalidId:
        return uuid.uuid4().hex


def _complete(headers: MutableHeaders, path: str, request: str) -> None:
    headers[REQUEST_ID] = request
    for name, value in _SECURITY.items():
        headers.setdefault(name, value)
    if path.startswith("/api/"):
        headers.setdefault("Cache-Control", "no-store")


def _is_upload(method: str, path: str) -> bool:
    """Return whether a request brings a file: its link says how long its body may be."""
    return method == "PUT" and path.startswith(FILES)
