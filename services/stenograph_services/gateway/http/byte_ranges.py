"""Byte ranges (RFC 9110): a player that seeks, or a download that goes on, asks for a part of a file.

Range: bytes=0-99        the first hundred
Range: bytes=100-        all but those
Range: bytes=-100        the last hundred

Several parts in one request, and what cannot be read, are answered with the whole file, as the RFC lets a server do.
"""

import re
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

from stenograph_services.gateway.http.refusals import Refusal

_ONE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class ByteRange(NamedTuple):
    """From the byte `start`, counted from 0, to before `end`."""

    start: int
    end: int


def wanted_range(headers: Mapping[str, str], size: int, etag: str) -> ByteRange | None:
    """Return the part that is asked for of `size` bytes, None for all; raise `Refusal` if nothing lies there."""
    asked = _ONE.fullmatch(headers.get("range", ""))
    if asked is None or asked.group() == "bytes=-" or headers.get("if-range", etag) != etag:
        return None
    first, last = asked.groups()
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last) + 1, size) if first and last else size
    if first and last and int(last) < int(first):
        return None
    if start >= end:
        sentence = f"the file has {size} bytes; none of them is in {asked.group()}"
        raise Refusal(416, sentence, code="VALIDATION_ERROR")
    return ByteRange(start, end)


async def cut(body: AsyncIterator[bytes], part: ByteRange) -> AsyncIterator[bytes]:
    """Yield `part` of `body`, and read no further than its end."""
    at = 0
    async for data in body:
        if wanted := data[max(part.start - at, 0) : max(part.end - at, 0)]:
            yield wanted
        at += len(data)
        if at >= part.end:
            return
