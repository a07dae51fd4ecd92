"""Publish to a stream until the server confirms it. An answer that is lost is unknown, not failed: send it again.

What is sent must be safe to send twice, by its `Nats-Msg-Id` or by a write-once subject.
"""

import asyncio
import math
import random
from collections.abc import Iterator

import nats.errors
from nats.js import JetStreamContext
from nats.js.api import PubAck
from nats.js.errors import APIError, NoStreamResponseError

from stenograph_sdk.errors import AlreadyWritten, ConnectionLost, Refused, StoreFull, Unconfirmed

STORE_SECONDS = 15.0  # how long what a client says is tried; a cluster elects a new leader in less
ATTEMPT_SECONDS = 3.0  # a server that was restarted in between never answers; the next attempt reaches the new one
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 2.0

MESSAGE_ID = "Nats-Msg-Id"
ONLY_FIRST = {"Nats-Expected-Last-Subject-Sequence": "0"}  # makes a subject write-once in a stream that is not

_NOT_FIRST = 10071
_IN_FLIGHT = 10164  # on a cluster: another write of this subject is on its way; who was first shows in a moment
_STORE_FAILED = 10077  # one code for every full store; only the words tell a taken cell from a full stream
_UNKNOWN = (nats.errors.TimeoutError, NoStreamResponseError, nats.errors.OutboundBufferLimitError)


async def store(
    jetstream: JetStreamContext,
    subject: str,
    body: bytes,
    *,
    what: str,
    timeout: float,
    headers: dict[str, str] | None = None,
    full: float = math.inf,
) -> PubAck:
    """Store `body` under `subject`; timeouts, missing leaders and full streams are retried for `timeout` seconds.

    Raises `AlreadyWritten` if the subject is write-once and taken, `Refused` if the server will never take it, and
    `Unconfirmed` if nothing was certain in time; that is `StoreFull` if there was no room at the last try. A full
    stream is tried for `full` seconds at most. `what` names the thing in their messages.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + timeout
    for pause in pauses():
        missed: type[Unconfirmed] = Unconfirmed
        try:
            return await jetstream.publish(subject, body, timeout=ATTEMPT_SECONDS, headers=headers)
        except _UNKNOWN as error:
            reason = str(error)
        except APIError as error:
            reason = retryable(error, subject, what)
            if error.err_code == _STORE_FAILED:
                missed, until = StoreFull, min(until, loop.time() + full)
        except nats.errors.ConnectionClosedError as error:
            raise ConnectionLost(f"{what} was not sent") from error
        except nats.errors.MaxPayloadError as error:
            raise Refused(what, "too-large", f"{len(body)} bytes are more than the server takes") from error
        if loop.time() + pause > until:
            raise missed(what, timeout, reason)
        await asyncio.sleep(pause)
    raise AssertionError("pauses never end")


def retryable(error: APIError, subject: str, what: str) -> str:
    """Return why `error` may pass, or raise what it means if it will not."""
    description = error.description or str(error)
    if error.err_code == _NOT_FIRST or (error.err_code == _STORE_FAILED and "per subject" in description):
        raise AlreadyWritten(subject) from error
    if error.code is not None and error.code < 500 and error.code != 429 and error.err_code != _IN_FLIGHT:
        raise Refused(what, str(error.err_code), description) from error
    return description


def pauses(first: float = FIRST_PAUSE, longest: float = LONGEST_PAUSE) -> Iterator[float]:
    """Yield pauses between attempts, in seconds: doubling, with jitter, so that clients do not come back as one."""
    while True:
        yield first * random.uniform(0.5, 1.5)
        first = min(first * 2, longest)
