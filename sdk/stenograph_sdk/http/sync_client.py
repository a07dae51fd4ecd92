"""The client over HTTP without `async`: `HttpClient`, its sessions, and each of them, blocking.

with SyncHttpClient.connect("http://127.0.0.1:8420", api_key="…") as client:
    session = client.sessions.create("support-chat", {"COMPANY_NAME": "Acme"})
    print(session.ask("user-message", {"USER_MESSAGE": "What plan am I on?"}))

Closing the generator of `trigger` before its end, or dropping it, cancels the turn; what was said until then is kept.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stenograph_events import SessionId
from stenograph_sdk.http.blocking import Blocking, each, finished, value
from stenograph_sdk.http.client import HttpSessions
from stenograph_sdk.http.exchange import TRY_SECONDS
from stenograph_sdk.http.handlers import HandlersHere, Tools
from stenograph_sdk.http.session import HttpSession
from stenograph_sdk.http.transport import Transport


class SyncHttpSession(Blocking[HttpSession]):
    """A session by its id. Cheap to make; nothing is asked of the gateway until it is used."""

    trigger = each(HttpSession.trigger)
    resume = each(HttpSession.resume)
    ask = value(HttpSession.ask)
    messages = value(HttpSession.messages)
    state = value(HttpSession.state)
    approvals = value(HttpSession.approvals)
    approve = value(HttpSession.approve)
    deny = value(HttpSession.deny)
    edit = value(HttpSession.edit)
    unresolved = value(HttpSession.unresolved)
    resolve = value(HttpSession.resolve)
    events = each(HttpSession.events)
    follow = each(HttpSession.follow)

    @property
    def id(self) -> SessionId:
        return self._one.id


class SyncHttpSessions(Blocking[HttpSessions]):
    """The sessions of one tenant."""

    list = each(HttpSessions.list)

    def create(self, agent: str, input: dict[str, Any] | None = None, *, tools: Tools | None = None) -> SyncHttpSession:
        """Create a session of `agent`, as `HttpSessions.create`."""
        return SyncHttpSession(finished(self._one.create(agent, input, tools=tools)))

    def get(self, session: str, *, tools: Tools | None = None) -> SyncHttpSession:
        """Return the session with this id, as `HttpSessions.get`."""
        return SyncHttpSession(self._one.get(session, tools=tools))


class SyncHttpClient:
    """A tenant's way into its sessions, over HTTP. Make one for a process and share it, also between threads."""

    def __init__(
        self, url: str, *, api_key: str | None = None, tools: Tools = (), timeout: float = TRY_SECONDS
    ) -> None:
        self._transport = Transport(url, api_key, timeout, blocking=True)
        self.sessions = SyncHttpSessions(HttpSessions(self._transport, HandlersHere(tools)))

    @classmethod
    @contextmanager
    def connect(
        cls, url: str, *, api_key: str | None = None, tools: Tools = (), timeout: float = TRY_SECONDS
    ) -> "Iterator[SyncHttpClient]":
        """Yield a client of the gateway at `url`, and close it at the end, as `HttpClient.connect`."""
        client = cls(url, api_key=api_key, tools=tools, timeout=timeout)
        try:
            finished(client._transport.check())
            yield client
        finally:
            client.close()

    def close(self) -> None:
        finished(self._transport.close())

    def session(self, session: str) -> SyncHttpSession:
        """Return the session with this id, as `sessions.get`."""
        return self.sessions.get(session)
