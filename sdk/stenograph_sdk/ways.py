"""Two ways to a tenant's sessions, the same to whoever uses them.

* `Direct` writes to the streams and reads from them: for who may use all of NATS, as a server without accounts allows.
* `Gated` asks the gateway for everything: for who holds a client's credential (`stenograph clients creds`).
"""

from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Literal, Protocol

import msgspec

from stenograph_events import Head, SessionId, StoredEvent, subjects
from stenograph_events.types import ToolRequested
from stenograph_events.wire import (
    Approve,
    Cancel,
    CreateSession,
    RaiseBudget,
    Resolve,
    SessionRef,
    ToolAnswer,
    Trigger,
    message_id,
)
from stenograph_sdk.asking import request
from stenograph_sdk.connection import Connection
from stenograph_sdk.errors import AlreadyWritten
from stenograph_sdk.live import Feed
from stenograph_sdk.log import SessionLog, Streams
from stenograph_sdk.storing import MESSAGE_ID, store

Control = Cancel | RaiseBudget | Approve | Resolve
VERBS: dict[type[Control], Literal["cancel", "budget", "approve", "resolve"]] = {
    Cancel: "cancel",
    RaiseBudget: "budget",
    Approve: "approve",
    Resolve: "resolve",
}


class Log(Protocol):
    """One session's log. Raises `LogUnavailable` when nobody answers."""

    async def head(self) -> Head:
        """Return where the log stands, as the stream's leader knows it; `EMPTY` if there is no log."""

    def read(self, after: Head, to: int) -> AsyncGenerator[tuple[StoredEvent, Head], None]:
        """Yield each event after `after`, up to stream sequence `to`, with the head that it makes.

        Raises `BrokenChain` at the first event that does not follow from the one before it.
        """


class Way(Protocol):
    """How what a client wants reaches the services, and what happened reaches the client."""

    def log(self, session: SessionId) -> Log:
        """Return the log of a session."""

    def feed(self, session: SessionId) -> Feed:
        """Return what happens to a session as it happens."""

    async def create(self, wanted: CreateSession, timeout: float) -> SessionRef:
        """Make a session; raise `NobodyAnswers` or `Refused`."""

    async def start(
        self, session: SessionId, name: str, trigger: Trigger, timeout: float, headers: dict[str, str]
    ) -> bool:
        """Store a trigger durably, with `headers`, and return whether it was before. Raises as `Session.send`."""

    async def control(self, session: SessionId, wanted: Control, *, what: str, timeout: float) -> None:
        """Store a cancel, a raised budget or what a person says of a call durably; `what` names it in errors."""

    async def answer(self, session: SessionId, call: ToolRequested, answer: ToolAnswer, timeout: float) -> None:
        """Store the answer to a call that no worker serves. If one is stored already, that one stands."""


class Direct:
    """The streams themselves."""

    def __init__(self, connection: Connection, tenant: str) -> None:
        self._connection = connection
        self._jetstream = connection.jetstream
        self._streams = Streams(connection)
        self._tenant = tenant

    def log(self, session: SessionId) -> Log:
        return SessionLog(self._connection, self._streams, self._tenant, session)

    def feed(self, session: SessionId) -> Feed:
        return Feed(self._connection, self._tenant, session)

    async def create(self, wanted: CreateSession, timeout: float) -> SessionRef:
        subject = subjects.api_subject(self._tenant, "sessions.create")
        body = msgspec.json.encode(wanted)
        return await request(
            self._connection, subject, body, SessionRef, what="the session", service="gateway", timeout=timeout
        )

    async def start(
        self, session: SessionId, name: str, trigger: Trigger, timeout: float, headers: dict[str, str]
    ) -> bool:
        subject = subjects.trigger_subject(self._tenant, session, name)
        ack = await store(
            self._jetstream,
            subject,
            await self._closed(session, subject, trigger),
            what=f"trigger {name!r}",
            timeout=timeout,
            headers={MESSAGE_ID: message_id(self._tenant, session, trigger.request)} | headers,
        )
        return bool(ack.duplicate)

    async def control(self, session: SessionId, wanted: Control, *, what: str, timeout: float) -> None:
        verb = VERBS[type(wanted)]
        subject = subjects.control_subject(self._tenant, session, verb)
        await store(
            self._jetstream,
            subject,
            await self._closed(session, subject, wanted),
            what=what,
            timeout=timeout,
            headers={MESSAGE_ID: message_id(self._tenant, session, request_of(wanted), verb)},
        )

    async def answer(self, session: SessionId, call: ToolRequested, answer: ToolAnswer, timeout: float) -> None:
        subject = subjects.answer_subject(self._tenant, call.tool, session, call.call, call.attempt)
        with suppress(AlreadyWritten):
            await store(
                self._jetstream,
                subject,
                await self._closed(session, subject, answer),
                what=f"the answer to call {call.call}",
                timeout=timeout,
            )

    async def _closed(self, session: SessionId, subject: str, wanted: msgspec.Struct) -> bytes:
        return await self._connection.closed(self._tenant, session, subject, msgspec.json.encode(wanted))


def request_of(wanted: Control) -> str:
    """Return what makes a control the same one when it is sent again: a turn is cancelled once."""
    return wanted.turn if isinstance(wanted, Cancel) else wanted.request
