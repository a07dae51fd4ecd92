"""The client over HTTP, with the surface of the one over NATS.

async with HttpClient.connect("http://127.0.0.1:8420", api_key="…") as client:
    session = await client.sessions.create("support-chat", {"COMPANY_NAME": "Acme"})
    print(await session.ask("user-message", {"USER_MESSAGE": "What plan am I on?"}))

Closing the generator of `trigger` before its end cancels the turn; what was said until then is kept.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from stenograph_sdk.encoding import to_json
from stenograph_sdk.http.exchange import JSON, TRY_SECONDS, Created, SessionPage, decoded, given
from stenograph_sdk.http.handlers import Handlers, Tools
from stenograph_sdk.http.session import HttpSession
from stenograph_sdk.http.transport import Transport


class HttpClient:
    """A tenant's way into its sessions, over HTTP. Make one for a process and share it."""

    def __init__(
        self, url: str, *, api_key: str | None = None, tools: Tools = (), timeout: float = TRY_SECONDS
    ) -> None:
        self._transport = Transport(url, api_key, timeout)
        self.sessions = HttpSessions(self._transport, Handlers(tools))

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, url: str, *, api_key: str | None = None, tools: Tools = (), timeout: float = TRY_SECONDS
    ) -> "AsyncIterator[HttpClient]":
        """Yield a client of the gateway at `url`, and close it at the end.

        `tools` are functions that answer calls which no worker serves: by name, or made by `@tool`. `timeout` is how
        long a request is tried, in seconds. Raises `GatewayUnreachable`, and `ToolDefinitionError`.
        """
        client = cls(url, api_key=api_key, tools=tools, timeout=timeout)
        try:
            await client._transport.check()
            yield client
        finally:
            await client.close()

    async def close(self) -> None:
        await self._transport.close()

    def session(self, session: str) -> HttpSession:
        """Return the session with this id, as `sessions.get`."""
        return self.sessions.get(session)


class HttpSessions:
    """The sessions of one tenant."""

    def __init__(self, transport: Transport, handlers: Handlers) -> None:
        self._transport = transport
        self._handlers = handlers

    async def create(
        self, agent: str, input: dict[str, Any] | None = None, *, tools: Tools | None = None
    ) -> HttpSession:
        """Create a session of `agent` (a slug or an agent id), pinned to the agent's current version.

        A lost answer may leave an empty session behind. Raises `HttpRefused` if there is no such agent or the input is
        not what it declares.
        """
        body = to_json({"agentId": agent, "input": input or {}})
        made = await self._transport.request(
            "POST", "/api/agent-sessions", what="the session", content=body, headers=JSON
        )
        return self.get(decoded(made.content, Created, "the session").session_id, tools=tools)

    def get(self, session: str, *, tools: Tools | None = None) -> HttpSession:
        """Return the session with this id; whether it exists shows when it is used. Raises `InvalidId`.

        `tools` are its handlers instead of the client's.
        """
        return HttpSession(self._transport, session, self._handlers if tools is None else type(self._handlers)(tools))

    async def list(
        self,
        *,
        agent: str | None = None,
        status: str | None = None,
        text: str | None = None,
        updated_after: datetime | None = None,
        updated_before: datetime | None = None,
        children: bool | None = None,
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the sessions that fit, the last touched first, as the gateway lists them."""
        cursor: str | None = None
        while True:
            query = given(
                agent=agent, status=status, text=text, updatedAfter=updated_after, updatedBefore=updated_before,
                children=children, cursor=cursor,
            )  # fmt: skip
            answer = await self._transport.request("GET", "/api/agent-sessions", what="the list", params=query)
            page = decoded(answer.content, SessionPage, "the list")
            for listed in page.sessions:
                yield listed
            if (cursor := page.cursor) is None:
                return
