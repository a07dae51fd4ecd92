"""The context of a trace, as W3C Trace Context writes it.

    traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01      version, trace, span, flags

It comes with a trigger, as a header of NATS or HTTP, and goes with the requests for tools. It is a hint and nothing
more: what is malformed is dropped, and nobody is refused for it.
"""

import re

TRACEPARENT = "traceparent"
"""The name of the header, and of the field in events."""

_WRITTEN = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}", re.ASCII)


def checked_traceparent(text: str | None) -> str | None:
    """Return `text` if it is a traceparent of version 00 that names a trace and a span, else None."""
    written = _WRITTEN.fullmatch(text or "")
    if written is None or not int(written[1], 16) or not int(written[2], 16):
        return None
    return written[0]
