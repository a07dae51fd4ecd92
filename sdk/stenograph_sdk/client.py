"""The client: make sessions, find them again.

async with Client.connect("nats://127.0.0.1:4222") as client:
    session = await client.sessions.create("support-chat", {"COMPANY_NAME": "Acme"})
    print(await session.ask("user-message", {"USER_MESSAGE": "What plan am I on?"}))
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from stenograph_events import DEFAULT_TENANT, checked_id, subjects
from stenograph_events.wire import CreateSession, SessionRef
from stenograph_sdk.asking import request
from stenograph_sdk.connection import INBOX_PREFIX, Connection, connect
from stenograph_sdk.encoding import to_json
from stenograph_sdk.log import Streams
from stenograph_sdk.session import Session


class Sessions:
    """The sessions of one tenant."""

    def __init__(self, connection: Connection, tenant: str) -> None:
        self._connection = connection
        self._tenant = tenant
        self._streams = Streams(connection)

    async def create(self, agent: str, input: dict[str, Any] | None = None, *, timeout: float = 15.0) -> Session:
        """Create a session of `agent` (a slug or an agent id), pinned to the agent's current version.

        Without an answer it asks again for `timeout` seconds, then raises `NobodyAnswers`; a lost answer may leave an
        empty session behind. Raises `Refused` if there is no such agent or the input is not what it declares.
        """
        body = msgspec.json.encode(CreateSession(agent, msgspec.Raw(to_json(input or {}))))
        subject = subjects.api_subject(self._tenant, "sessions.create")
        created = await request(
            self._connection, subject, body, SessionRef, what="the session", service="gateway", timeout=timeout
        )
        return self.get(created.session)

    def get(self, session: str) -> Session:
        """Return the session with this id; whether it exists shows when it is used. Raises `InvalidId`."""
        return Session(self._connection, self._streams, self._tenant, session)


class Client:
    """A tenant's way into its sessions, over one NATS connection. Make one for a process and share it."""

    def __init__(self, connection: Connection, tenant: str = DEFAULT_TENANT) -> None:
        self.connection = connection
        self.sessions = Sessions(connection, checked_id(tenant, "tenant"))

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        url: str,
        *,
        credentials: str | Path | None = None,
        tenant: str = DEFAULT_TENANT,
        name: str = "stenograph-client",
        inbox_prefix: str = INBOX_PREFIX,
        timeout: float = 10.0,
        ca: str | Path | None = None,
    ) -> "AsyncIterator[Client]":
        """Connect within `timeout` seconds and yield a client; close it at the end.

        `credentials` is the path of a NATS credentials file, `ca` that of the certificates to trust instead of the
        system's. Raises `CannotConnect`.
        """
        connection = await connect(
            url, credentials=credentials, name=name, inbox_prefix=inbox_prefix, timeout=timeout, ca=ca
        )
        try:
            yield cls(connection, tenant)
        finally:
            await connection.close()

    def session(self, session: str) -> Session:
        """Return the session with this id, as `sessions.get`."""
        return self.sessions.get(session)
