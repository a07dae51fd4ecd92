"""Requests by hand: what an HTTP library costs its user is not the gateway's."""

import msgspec

from bench.system_parts import INPUT, TRIGGER


def trigger_request(port: int, session: str) -> bytes:
    """Return the bytes that trigger a turn in `session` at the gateway at `port`."""
    body = msgspec.json.encode({"triggerName": TRIGGER, "input": INPUT})
    head = (
        f"POST /api/agent-sessions/{session}/trigger HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
