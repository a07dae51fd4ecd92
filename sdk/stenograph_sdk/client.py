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

from stenograph_events import DEFAULT_TENANT, checked_id
from stenograph_events.wire import CreateSession
from stenograph_sdk.connection import INBOX_PREFIX, Connection, connect
from stenograph_sdk.credentials import Said, said_by
from stenograph_sdk.encoding import to_json
from stenograph_sdk.errors import CannotConnect
from stenograph_sdk.gated import Gated
from stenograph_sdk.session import Session
from stenograph_sdk.ways import Direct, Way


class Sessions:
    """The sessions of one tenant."""

    def __init__(self, way: Way) -> None:
        self._way = way

    async def create(self, agent: str, input: dict[str, Any] | None = None, *, timeout: float = 15.0) -> Session:
        """Create a session of `agent` (a slug or an agent id), pinned to the agent's current version.

        Without an answer it asks again for `timeout` seconds, then raises `NobodyAnswers`; a lost answer may leave an
        empty session behind. Raises `Refused` if there is no such agent, or it is not one that the credentials are
        for, or the input is not what it declares.
        """
        created = await self._way.create(CreateSession(agent, msgspec.Raw(to_json(input or {}))), timeout)
        return self.get(created.session)

    def get(self, session: str) -> Session:
        """Return the session with this id; whether it exists shows when it is used. Raises `InvalidId`."""
        return Session(self._way, session)


class Client:
    """A tenant's way into its sessions, over one NATS connection. Make one for a process and share it."""

    def __init__(self, connection: Connection, tenant: str = DEFAULT_TENANT, said: Said | None = None) -> None:
        self.connection = connection
        tenant = checked_id(tenant, "tenant")
        gated = said is not None and said.kind == "client"
        self.way: Way = (
            Gated(connection, tenant, said.agent, said.session) if said and gated else Direct(connection, tenant)
        )
        self.sessions = Sessions(self.way)

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        url: str,
        *,
        credentials: str | Path | None = None,
        tenant: str | None = None,
        name: str = "stenograph-client",
        inbox_prefix: str | None = None,
        timeout: float = 10.0,
        ca: str | Path | None = None,
    ) -> "AsyncIterator[Client]":
        """Connect within `timeout` seconds and yield a client; close it at the end.

        `credentials` is the path of a NATS credentials file, `ca` that of the certificates to trust instead of the
        system's. A file of `stenograph clients creds` says whose sessions it is for, and which: nothing else has to be
        said then. Raises `CannotConnect`.
        """
        said = said_by(credentials)
        if said.kind not in (None, "client"):
            raise CannotConnect(url, f"{credentials} is a {said.kind}'s; `stenograph clients creds` makes a client's")
        prefix = inbox_prefix or said.inbox_prefix or INBOX_PREFIX
        connection = await connect(url, credentials=credentials, name=name, inbox_prefix=prefix, timeout=timeout, ca=ca)
        try:
            yield cls(connection, tenant or said.tenant or DEFAULT_TENANT, said)
        finally:
            await connection.close()

    def session(self, session: str) -> Session:
        """Return the session with this id, as `sessions.get`."""
        return self.sessions.get(session)
