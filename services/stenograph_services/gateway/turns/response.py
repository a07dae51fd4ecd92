"""The response that streams a turn: server-sent events, from headers at once to a terminal event always.

    data: {"type":"start","executionId":"91d2…"}

    id: 3.1.7
    data: {"type":"text-delta","id":"p1","delta":"You are on "}

    : heartbeat

    id: 9
    data: {"type":"finish","finishReason":"stop"}

    data: [DONE]

A client that goes away before the end, and does not come back, has aborted its turn: the turn is cancelled, and what
was said is kept. One whose key is revoked meanwhile is told so, and its turn goes on.
"""

import asyncio
from collections.abc import Callable
from typing import Self

import structlog
from fastapi import Response
from starlette.types import Receive, Scope, Send

from stenograph_events.types import Event
from stenograph_services.gateway.http.admissions import Expulsion, expulsion_of
from stenograph_services.gateway.http.refusals import Refusal, refusal_of
from stenograph_services.gateway.stream.child_places import OfChild
from stenograph_services.gateway.stream.sse import TurnStream
from stenograph_services.gateway.turns.live import Heard, LiveTurn, Signal
from stenograph_services.gateway.wire.extras import Extras, asked_for, extras_of
from stenograph_services.gateway.wire.stream_events import DONE, HEARTBEAT, StreamEvent, framed
from stenograph_services.gateway.wire.versions import Wire

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
        self._wire = Wire.FIRST
        self._extras: Extras = frozenset()
        self._gone = False
        self._loop = asyncio.get_running_loop()
        self._sent_at = self._loop.time()
        self._alarm: asyncio.TimerHandle | None = None

    def told_in(self, wire: Wire) -> Self:
        """Return this response, to a client that reads `wire`."""
        self._wire = wire
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._extras = extras_of(scope)
        watching, expulsion = asyncio.create_task(self._watch(receive)), expulsion_of(scope)
        expulsion.add_done_callback(self._expelled)
        self._beat()
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            chunk = self._framed(self._stream.open())
            while True:
                if chunk:
                    self._sent_at = self._loop.time()
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                if self._stream.over or self._gone:
                    break
                chunk = self._chunk(await self._live.listen())
            if not self._gone:
                await send({"type": "http.response.body", "body": DONE, "more_body": False})
        finally:
            watching.cancel()
            expulsion.cancel()
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
                return self._framed(self._stream.fail(_CLOSING))
            case Exception():
                return self._framed(self._stream.fail(refusal_of(heard)))
        try:
            events = self._stream.show(heard)
            steps = heard.steps if isinstance(heard, OfChild) else isinstance(heard, Event)
            return self._framed(events, self._stream.id_of(heard), steps=steps)
        except Exception as error:  # a defect of ours must not leave the client waiting for ever
            return self._framed(self._stream.fail(refusal_of(error)))

    def _framed(self, events: list[StreamEvent], id: str | None = None, *, steps: bool = False) -> bytes:
        return framed(asked_for(self._wire.events(events), self._extras), id, steps=steps)

    def _beat(self) -> None:
        """Say that nothing was sent for a while, and look again when that may be so: once a while, not once a chunk."""
        now = self._loop.time()
        if now >= self._sent_at + self._heartbeat_seconds:
            self._live.say(Signal.SILENCE)
            self._sent_at = now
        self._alarm = self._loop.call_at(self._sent_at + self._heartbeat_seconds, self._beat)

    def _expelled(self, expulsion: Expulsion) -> None:
        if not expulsion.cancelled():
            self._live.say(expulsion.result())

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._live.say(Signal.GONE)
