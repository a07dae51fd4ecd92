"""The way of a client's credential: everything is asked of the gateway, which checks whose session it is.

    → as.acme._.2f01….start.user-message   {"input":{…},"request":"r-1"}
    ← {}                                   stored durably; {"duplicate":true}: it was before
    ← {"code":"NOT_FOUND","error":"…"}

What is asked for may be asked for again: an answer that was lost is unknown, not failed.
"""

import asyncio

import msgspec
import nats.errors

from stenograph_events import SessionId, subjects
from stenograph_events.types import ToolRequested
from stenograph_events.wire import Accepted, ClientAnswer, CreateSession, Problem, SessionRef, ToolAnswer, Trigger
from stenograph_sdk.asking import request
from stenograph_sdk.connection import Connection
from stenograph_sdk.errors import ConnectionLost, Forbidden, Refused, Unconfirmed, UnknownSession
from stenograph_sdk.gated_feed import GatedFeed
from stenograph_sdk.gated_log import GatedLog
from stenograph_sdk.live import Feed
from stenograph_sdk.storing import pauses
from stenograph_sdk.ways import VERBS, Control

ATTEMPT_SECONDS = 5.0  # the gateway itself waits for the server for less
PASSING = ("UNAVAILABLE", "UNCONFIRMED", "RATE_LIMITED")  # what may be otherwise in a moment

_answer = msgspec.json.Decoder(Accepted)
_problem = msgspec.json.Decoder(Problem)


class Gated:
    """The gateway. `agent` and `session` are what the credential is limited to; None is any."""

    def __init__(self, connection: Connection, tenant: str, agent: str | None, session: str | None) -> None:
        self.session = session
        self._connection = connection
        self._tenant = tenant
        self._agent = agent

    def log(self, session: SessionId) -> GatedLog:
        if self.session not in (None, session):
            reason = f"these credentials are for session {self.session} alone"
            raise Refused(f"session {session}", "FORBIDDEN", reason)
        return GatedLog(self._connection, subjects.log_subject(self._tenant, self._agent, session, "read"), session)

    def feed(self, session: SessionId) -> Feed:
        follow, keep = (self._log(session, "follow"), self._log(session, "keep"))
        return GatedFeed(self._connection, self._tenant, session, follow, keep)

    async def create(self, wanted: CreateSession, timeout: float) -> SessionRef:
        if self.session is not None:
            raise Refused("a session", "FORBIDDEN", f"these credentials are for session {self.session} alone")
        subject = subjects.ask_subject(self._tenant, self._agent, None, "create")
        body = msgspec.json.encode(wanted)
        return await request(
            self._connection, subject, body, SessionRef, what="the session", service="gateway", timeout=timeout
        )

    async def start(
        self, session: SessionId, name: str, trigger: Trigger, timeout: float, headers: dict[str, str]
    ) -> bool:
        subject = subjects.ask_subject(self._tenant, self._agent, session, "start", name)
        return await self._accepted(session, subject, trigger, f"trigger {name!r}", timeout, headers)

    async def control(self, session: SessionId, wanted: Control, *, what: str, timeout: float) -> None:
        subject = subjects.ask_subject(self._tenant, self._agent, session, VERBS[type(wanted)])
        await self._accepted(session, subject, wanted, what, timeout)

    async def answer(self, session: SessionId, call: ToolRequested, answer: ToolAnswer, timeout: float) -> None:
        subject = subjects.ask_subject(self._tenant, self._agent, session, "answer")
        wanted = ClientAnswer(call.tool, call.call, answer, call.attempt)
        await self._accepted(session, subject, wanted, f"the answer to call {call.call}", timeout)

    def _log(self, session: SessionId, verb: subjects.LogVerb) -> str:
        return subjects.log_subject(self._tenant, self._agent, session, verb)

    async def _accepted(
        self,
        session: SessionId,
        subject: str,
        wanted: msgspec.Struct,
        what: str,
        timeout: float,
        headers: dict[str, str] | None = None,
    ) -> bool:
        """Ask until it is stored durably, for `timeout` seconds, and return whether it was before.

        Raises `UnknownSession`, `Refused`, and `Unconfirmed` if nothing was certain in time.
        """
        body = msgspec.json.encode(wanted)
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout
        for pause in pauses():
            try:
                reply = await self._connection.ask(subject, body, min(ATTEMPT_SECONDS, timeout), headers)
                if (problem := _problem_in(reply.data, what)) is None:
                    return _answer.decode(reply.data).duplicate
                reason = _passing(problem, session, what)
            except nats.errors.NoRespondersError:
                reason = "nobody answers: is `stenograph run gateway` running?"
            except (nats.errors.TimeoutError, nats.errors.OutboundBufferLimitError) as error:
                reason = str(error)
            except Forbidden as error:
                raise Refused(what, "FORBIDDEN", "these credentials do not allow it") from error
            except nats.errors.ConnectionClosedError as error:
                raise ConnectionLost(f"{what} was not sent") from error
            except nats.errors.MaxPayloadError as error:
                raise Refused(what, "too-large", f"{len(body)} bytes are more than the server takes") from error
            if loop.time() + pause > until:
                raise Unconfirmed(what, timeout, reason)
            await asyncio.sleep(pause)
        raise AssertionError("pauses never end")


def _problem_in(data: bytes, what: str) -> Problem | None:
    try:
        return _problem.decode(data) if b'"code"' in data else None
    except msgspec.MsgspecError as error:
        raise Refused(what, "unreadable-answer", f"{error}; are this SDK and the services of one version?") from error


def _passing(problem: Problem, session: SessionId, what: str) -> str:
    """Return why `problem` may pass, or raise what it means if it will not."""
    if problem.code == "NOT_FOUND":
        raise UnknownSession(session)
    if problem.code not in PASSING:
        raise Refused(what, problem.code, problem.error)
    return problem.error
