"""A session's log as server-sent events, followed as it grows.

    retry: 1000

    id: 12
    data: {"type":"tool.requested","id":"…","n":12,…}

    : heartbeat

`id` is the event's number: a reader who comes back with it in `Last-Event-ID` goes on exactly after it. The stream has
no end of its own; it ends when the gateway stops or the log cannot be read, and then the reader comes back.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing

import structlog
from starlette.responses import StreamingResponse

from stenograph_services.gateway.http.admissions import Expulsion
from stenograph_services.gateway.http.refusals import FORESEEN
from stenograph_services.gateway.stored.log_pages import LogPages, Numbered
from stenograph_services.gateway.wire.stream_events import HEARTBEAT

log = structlog.get_logger()

AGAIN = b"retry: 1000\n\n"  # milliseconds until a browser comes back; an election takes about so long
_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}  # the second is for nginx, which would gather


class LogStreams:
    """Every stream of a log that is open, to end them when the gateway stops."""

    def __init__(self, pages: LogPages, heartbeat_seconds: float) -> None:
        self._pages = pages
        self._heartbeat_seconds = heartbeat_seconds
        self._closing = asyncio.Event()

    def close(self) -> None:
        """End every stream, and those that begin from now on after what the log holds."""
        self._closing.set()

    async def response(self, session: str, after: int, expulsion: Callable[[], Expulsion]) -> StreamingResponse:
        """Return the stream of the events whose number is over `after`; raise `Refusal` if there is no session.

        It ends when the `expulsion` of its reader is there: whoever comes back is told why.
        """
        await self._pages.end(session)  # a refusal has a status only before the headers are out
        told = self._told(session, self._pages.follow(session, after), expulsion)
        return StreamingResponse(told, media_type="text/event-stream", headers=_HEADERS)

    async def _told(
        self, session: str, events: AsyncGenerator[Numbered, None], expulsion: Callable[[], Expulsion]
    ) -> AsyncIterator[bytes]:
        yield AGAIN
        async with aclosing(events) as following:
            closing = asyncio.create_task(self._closing.wait())
            expelled = expulsion()
            coming = asyncio.ensure_future(anext(following))
            try:
                while not closing.done() and not expelled.done():
                    await asyncio.wait(
                        (coming, closing, expelled), timeout=self._heartbeat_seconds, return_when="FIRST_COMPLETED"
                    )
                    if coming.done():
                        yield _framed(coming.result())
                        coming = asyncio.ensure_future(anext(following))
                    else:
                        yield HEARTBEAT
            except FORESEEN as error:
                log.warning("log.stream_ended", session=session, error=str(error) or type(error).__name__)
            finally:
                closing.cancel()
                expelled.cancel()
                coming.cancel()
                with contextlib.suppress(asyncio.CancelledError, *FORESEEN):
                    await coming


def _framed(event: Numbered) -> bytes:
    # JSON over several lines would end the frame; a line break in JSON stands between values, never in a text.
    data = event.data.replace(b"\r", b" ").replace(b"\n", b" ")
    return b"id: %d\ndata: %b\n\n" % (event.n, data)
