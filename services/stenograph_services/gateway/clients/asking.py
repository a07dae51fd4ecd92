"""Who asks, and for what: a request of a client as it reaches the gateway.

    as.acme.support-chat.2f01….cancel    Nats-Request-Info: {"acc":"AC3F…","user":"UB3F…",…}

The tenant is in the subject because its account imports no other one, the agent because its credential allows no other
one, and the server itself writes the header: nothing in the body says who somebody is.
"""

from typing import NamedTuple

import msgspec
from nats.aio.msg import Msg

from stenograph_events import InvalidId
from stenograph_events.errors import InvalidSubject
from stenograph_events.subjects import ClientSubject, parse_client
from stenograph_events.tracing import TRACEPARENT, checked_traceparent
from stenograph_services.gateway.http.refusals import Refusal

USER_INFO = "Nats-Request-Info"


class _Info(msgspec.Struct):
    user: str | None = None


_info = msgspec.json.Decoder(_Info)


class Asked(NamedTuple):
    """A request. `user` is the public key of the credential; None if it came from the platform's own account."""

    where: ClientSubject
    data: bytes
    reply: str
    user: str | None
    traceparent: str | None = None


class Denied(Refusal):
    """What somebody may not do, or not see. The client reads `error`; `why` is for the log of the gateway alone."""

    def __init__(self, status: int, error: str, why: str, *, code: str | None = None) -> None:
        super().__init__(status, error, code=code)
        self.why = why


def asked(message: Msg) -> Asked:
    """Return what `message` asks; raise `Denied` for a subject that is none of ours."""
    try:
        where = parse_client(message.subject)
    except (InvalidId, InvalidSubject) as error:
        raise Denied(400, str(error), str(error)) from error
    trace = checked_traceparent((message.headers or {}).get(TRACEPARENT))
    return Asked(where, message.data, message.reply, user_of(message), trace)


def user_of(message: Msg) -> str | None:
    """Return the public key of who sent `message`, as the server says."""
    try:
        return _info.decode((message.headers or {}).get(USER_INFO, "{}")).user
    except msgspec.MsgspecError:
        return None
