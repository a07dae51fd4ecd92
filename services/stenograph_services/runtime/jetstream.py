"""JetStream by its own API: what nats-py leaves out, or does at a cost that the hot paths feel.

Requests are JSON on `$JS.API.…`; an answer with an `error` raises `JetStreamError`.
"""

from typing import Any

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg

WRONG_LAST_SEQUENCE = frozenset({10071, 10164})
"""The fence refused: the sequence is known to be another, or (replicated) another append is in flight."""
ALREADY_STORED = 10077
"""A write-once subject holds a message already."""
NO_ROOM = ALREADY_STORED
"""A stream is full: the same code, as the server sees one limit like the other."""
BATCH_LOST = frozenset({10176, 10210})
"""The server does not hold the whole batch: its leader changed meanwhile, or too many were open."""
UNAVAILABLE = 503
"""Status of what may pass: no leader, no quorum, no room."""
NOT_FOUND = frozenset({10014, 10037, 10059})
"""No such consumer, message, stream."""


class JetStreamError(Exception):
    """The server refused a request; `code` is JetStream's own error code, `status` a number as in HTTP."""

    def __init__(self, code: int, description: str, request: str, status: int = 0) -> None:
        super().__init__(f"{request}: {description} ({code})")
        self.code = code
        self.status = status


class _Error(msgspec.Struct):
    code: int = 0
    err_code: int = 0
    description: str = ""


class Ack(msgspec.Struct):
    """The server's answer to a publish."""

    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    error: _Error | None = None


_ack = msgspec.json.Decoder(Ack)


async def publish(
    nc: Client, subject: str, data: bytes, headers: dict[str, str] | None = None, *, timeout_seconds: float = 5.0
) -> Ack:
    """Publish into a stream and return its ack; raise `JetStreamError` if it refused.

    Raises `nats.errors.TimeoutError` or `NoRespondersError` when nobody answered: the message may be stored or not.
    """
    message = await nc.request(subject, data, timeout=timeout_seconds, headers=headers)
    ack = _ack.decode(message.data)
    if ack.error is not None:
        raise JetStreamError(ack.error.err_code, ack.error.description, f"publish to {subject}", ack.error.code)
    return ack


async def api(
    nc: Client, verb: str, body: dict[str, Any] | None = None, *, timeout_seconds: float = 5.0
) -> dict[str, Any]:
    """Ask the JetStream API, such as `STREAM.INFO.TRIG`; raise `JetStreamError` if it refused."""
    data = msgspec.json.encode(body) if body is not None else b""
    message = await nc.request(f"$JS.API.{verb}", data, timeout=timeout_seconds)
    answer: dict[str, Any] = msgspec.json.decode(message.data)
    if error := answer.get("error"):
        raise JetStreamError(error.get("err_code", 0), error.get("description", ""), verb, error.get("code", 0))
    return answer


def delivered(message: Msg) -> tuple[int, int]:
    """Return the stream sequence of a delivered message and how many times it was delivered."""
    # $JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.<consumer sequence>.<time>.<pending>
    _, count, sequence, _, _, _ = message.reply.rsplit(".", 5)
    return int(sequence), int(count)
