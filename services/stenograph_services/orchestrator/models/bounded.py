"""The HTTP client that all providers are asked through, and what it takes from one of them.

    an answer that is no event stream      bad-answer   a page of some proxy, a health check, an error in a 200
    8 MB without the end of an event       too-large    nothing is read into memory without end
    256 MB in all                          too-large    about a million tokens, each in an event of its own

Proxies from the environment are used as usual.
"""

from collections.abc import AsyncIterator
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING

import httpx2
from pydantic_ai.models import create_async_httpx2_client

from stenograph_services.orchestrator.models.request import ModelError

if TYPE_CHECKING:
    import httpx

MIB = 1024 * 1024
EVENT_MAX_BYTES = 8 * MIB  # one event of the log holds 900 kB; the rest is room for escapes and frames
ANSWER_MAX_BYTES = 256 * MIB
EVENT_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")


def http_client() -> httpx2.AsyncClient:
    """Return a client that bounds every answer. One serves all tenants: it keeps no cookies."""
    client = create_async_httpx2_client()
    # Unpacked, a small answer may be a large one, and what is counted here is what travels.
    client.headers["accept-encoding"] = "identity"
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    client.event_hooks["response"].append(_bound)
    return client


async def _bound(response: "httpx2.Response | httpx.Response") -> None:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise ModelError("bad-answer", "The provider answers packed, though it was asked not to.", retryable=True)
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if response.is_success and kind not in ("", "text/event-stream"):
        raise ModelError("bad-answer", f"The provider answers {kind[:80]}, not with an event stream.", retryable=True)
    most = ANSWER_MAX_BYTES if response.is_success else EVENT_MAX_BYTES  # what is no stream is read as a whole
    response.stream = BoundedStream(response.stream, most)  # type: ignore[arg-type]  # it is an async one


class BoundedStream(httpx2.AsyncByteStream):
    """The bytes of `stream`; a `ModelError` once there are more than `most`, or too many in one event."""

    def __init__(self, stream: httpx2.AsyncByteStream, most: int) -> None:
        self._stream = stream
        self._most = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        total = since_end = 0
        tail = b""  # an end of an event may lie across two chunks
        async for chunk in self._stream:
            seen = tail + chunk
            end = max(seen.rfind(mark) for mark in EVENT_ENDS)
            since_end = since_end + len(chunk) if end < 0 else len(seen) - end
            total += len(chunk)
            if since_end > EVENT_MAX_BYTES or total > self._most:
                raise ModelError("too-large", f"The provider's answer is over its bound, {total} bytes in.")
            tail = seen[-3:]
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
