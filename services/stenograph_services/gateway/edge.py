"""The edge: what holds for every request, whatever it asks. A plain ASGI wrapper: a frame of a stream passes it free.

A body is measured while it comes in, before anybody holds it whole. An error leaves as a flat body, never a traceback.
"""

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stenograph_services.gateway.refusals import Refusal, refusal_of


class Edge:
    """Wraps an application: bodies over `body_max_bytes` get 413, what nobody foresaw gets 500."""

    def __init__(self, app: ASGIApp, body_max_bytes: int) -> None:
        self._app = app
        self._limit = body_max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def watched_send(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            self._check(_announced(scope))
            await self._app(scope, self._measured(receive), watched_send)
        except Exception as error:
            refusal = refusal_of(error)
            if begun:  # nothing can be said any more; the server closes the connection
                raise
            await refusal.response()(scope, receive, send)

    def _measured(self, receive: Receive) -> Receive:
        received = 0

        async def measured() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            self._check(received)
            return message

        return measured

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise Refusal(413, f"the body is over {self._limit} bytes, the limit of STENOGRAPH_BODY_MAX_BYTES")


def refuse_flat(app: FastAPI) -> None:
    """Let what FastAPI itself refuses (no such path, no such method, a wrong parameter) leave as a flat body."""

    async def refuse(_: Request, error: Exception) -> Response:
        return refusal_of(error).response()

    for kind in (Refusal, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, refuse)


def _announced(scope: Scope) -> int:
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(length) if length.isdigit() else 0
