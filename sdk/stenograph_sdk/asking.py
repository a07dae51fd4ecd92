"""Requests to the services: asked again until somebody answers."""

import asyncio
from typing import TypeVar

import msgspec
import nats.errors

from stenograph_events.wire import Problem
from stenograph_sdk.connection import Connection
from stenograph_sdk.errors import ConnectionLost, Forbidden, NobodyAnswers, Refused
from stenograph_sdk.storing import pauses

T = TypeVar("T")

ANSWER_SECONDS = 5.0


class _Coded(msgspec.Struct):
    code: str | None = None


async def request(
    connection: Connection, subject: str, body: bytes, answer: type[T], *, what: str, service: str, timeout: float
) -> T:
    """Return the answer to a request, asked again for `timeout` seconds while nobody is there.

    Raises `NobodyAnswers`, and `Refused` when the answer is a problem. `what` and `service` are named in their text.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + timeout
    for pause in pauses():
        try:
            reply = await connection.ask(subject, body, min(ANSWER_SECONDS, timeout))
            return _decode(reply.data, answer, what)
        except (nats.errors.NoRespondersError, nats.errors.TimeoutError, nats.errors.OutboundBufferLimitError) as error:
            if loop.time() + pause > until:
                raise NobodyAnswers(what, service, timeout) from error
        except Forbidden as error:
            raise Refused(what, "FORBIDDEN", "these credentials do not allow it") from error
        except nats.errors.ConnectionClosedError as error:
            raise ConnectionLost(f"{what} was not asked for") from error
        except nats.errors.MaxPayloadError as error:
            raise Refused(what, "too-large", f"{len(body)} bytes are more than the server takes") from error
        await asyncio.sleep(pause)
    raise AssertionError("pauses never end")


def _decode(data: bytes, answer: type[T], what: str) -> T:
    try:
        if msgspec.json.decode(data, type=_Coded).code is not None:
            problem = msgspec.json.decode(data, type=Problem)
            raise Refused(what, problem.code, problem.error)
        return msgspec.json.decode(data, type=answer)
    except msgspec.MsgspecError as error:
        raise Refused(what, "unreadable-answer", f"{error}; are this SDK and the services of one version?") from error
