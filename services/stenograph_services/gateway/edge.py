"""The edge: what holds for every request, whatever it asks. A plain ASGI wrapper: a frame of a stream passes it free.

A body is measured while it comes in, before anybody holds it whole. An error leaves as a flat body, never a traceback.
"""

from fastapi import FastAPI, Request, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stenograph_services.gateway.refusals import FORESEEN, Refusal, refusal_of


class Edge:
    """Wraps an application: a body over `body_max_bytes` gets 413, flat (FastAPI's own limit answers in plain text)."""

    def __init__(self, app: ASGIApp, body_max_bytes: int) -> None:
        self._app = app
        self._limit = body_max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if refusal := self._refusal(_announced(scope)):
            await refusal.response()(scope, receive, send)
            return
        answered = False

        async def watched_send(message: Message) -> None:
            nonlocal answered
            await send(message)
            answered = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            await self._app(scope, self._measured(receive), watched_send)
        except Exception:
            if not answered:  # otherwise it was told and logged, and Starlette raised it again for the server
                raise

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

    async def refuse(_: Request, error: Exception) -> Response:
        return refusal_of(error).response()

    for kind in (*FORESEEN, Exception):
        app.add_exception_handler(kind, refuse)


def _announced(scope: Scope) -> int:
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(length) if length.isdigit() else 0
