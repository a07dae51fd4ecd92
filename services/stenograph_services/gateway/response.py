"""The response that streams a turn: server-sent events, from headers at once to a terminal event always.

    data: {"type":"start","executionId":"91d2…"}

    id: 3.1.7
    data: {"type":"text-delta","id":"p1","delta":"You are on "}

    : heartbeat

    id: 9
    data: {"type":"finish","finishReason":"stop"}

    data: [DONE]

A client that goes away before the end, and does not come back, has aborted its turn: the turn is cancelled, and what
was said is kept.
"""

import asyncio
from collections.abc import Callable

import structlog
from fastapi import Response
from starlette.types import Receive, Scope, Send

from stenograph_services.gateway.live import Heard, LiveTurn, Signal
from stenograph_services.gateway.refusals import Refusal, refusal_of
from stenograph_services.gateway.sse import TurnStream
from stenograph_services.gateway.stream_events import DONE, HEARTBEAT, framed

log = structlog.get_logger()

_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}  # the second is for nginx, which would gather
_CLOSING = Refusal(503, "the gateway is being restarted; the turn goes on, so read the session again in a moment")


class TurnResponse(Response):
    """Streams `live` as `stream` shows it. `abandoned` is called if the client leaves before the end."""

    def __init__(
        self, live: LiveTurn, stream: TurnStream, *, heartbeat_seconds: float, abandoned: Callable[[], None]
    ) -> None:
        super().__init__(headers=_HEADERS, media_type="text/event-stream")
        del self.headers["content-length"]
        self._live = live
        self._stream = stream
        self._heartbeat_seconds = heartbeat_seconds
        self._abandoned = abandoned
        self._gone = False
        self._alarm: asyncio.TimerHandle | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        watching = asyncio.create_task(self._watch(receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            chunk = framed(self._stream.open())
            while True:
                if chunk:
                    self._beat_later()
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                if self._stream.over or self._gone:
                    break
                chunk = self._chunk(await self._live.listen())
            if not self._gone:
                await send({"type": "http.response.body", "body": DONE, "more_body": False})
        finally:
            watching.cancel()
            if self._alarm is not None:
                self._alarm.cancel()
            await self._live.close()
        if self._gone and not self._stream.over:
            self._abandoned()

    def _chunk(self, heard: list[Heard]) -> bytes:
        return b"".join([self._bytes(one) for one in heard])

    def _bytes(self, heard: Heard) -> bytes:
        if self._stream.over:
            return b""
        match heard:
            case Signal.SILENCE:
                return HEARTBEAT
            case Signal.GONE:
                self._gone = True
                return b""
            case Signal.CLOSING:
                return framed(self._stream.fail(_CLOSING))
            case Exception():
                return framed(self._stream.fail(refusal_of(heard)))
        try:
            events = self._stream.show(heard)
            return framed(events, self._stream.id_of(heard), self._stream.first_of(heard))
        except Exception as error:  # a defect of ours must not leave the client waiting for ever
            return framed(self._stream.fail(refusal_of(error)))

    def _beat_later(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        loop = asyncio.get_running_loop()
        self._alarm = loop.call_later(self._heartbeat_seconds, self._live.say, Signal.SILENCE)

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._live.say(Signal.GONE)
