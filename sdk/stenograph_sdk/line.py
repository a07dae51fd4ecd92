"""The line to a server: nats-py's client, with what a long life behind a wall needs and it lacks.

It sends no word in plain text where TLS was asked for, it changes its credential without losing what is under way, it
tells at once whose answers a dead server took with it, and it knows why a server sent it away:
`-ERR 'User Authentication Revoked'` or `-ERR 'User Authentication Expired'`.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit
from weakref import WeakSet

import nats.errors
from nats.aio.client import Client

Fate = Literal["revoked", "expired"]

WEB = {"ws", "wss"}
QUIET_SECONDS = 3.0  # requests that are still open after this are asked again on the new connection

_SENT_AWAY: dict[str, Fate] = {"authentication revoked": "revoked", "authentication expired": "expired"}


class NoTls(nats.errors.Error):
    """The server, or somebody on the way to it, offers plain text only."""

    def __init__(self) -> None:
        super().__init__("TLS was asked for, and the server offers plain text only")


class Waiting(Protocol):
    """Who waits for answers."""

    def lost(self) -> None:
        """No answer comes any more."""


class Line(Client):
    """A nats-py client. `fate` says why the server sent us away for good, if it did."""

    def __init__(self, *, only_tls: bool = False, renewed: Callable[[], bool] = lambda: False) -> None:
        super().__init__()
        self.fate: Fate | None = None
        self.on_lost: WeakSet[Waiting] = WeakSet()
        """Who waits for answers of another kind than `request` does, and is told when none will come."""
        self._only_tls = only_tls
        self._renewed = renewed
        self._open = asyncio.Event()
        self._open.set()
        self._asking = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    async def request(self, *arguments: Any, **options: Any) -> Any:
        """Ask as nats-py does; while the credential changes, wait until it has."""
        await self._open.wait()
        self._asking += 1
        self._quiet.clear()
        try:
            return await super().request(*arguments, **options)
        finally:
            self._asking -= 1
            if not self._asking:
                self._quiet.set()

    async def _attempt_reconnect(self) -> None:
        """Connect anew. What the lost connection was asked nobody answers any more: whoever waits asks again at once.

        nats-py lets each request wait for its time to be up, although the server may be back long before.
        """
        for waiting in tuple(self._resp_map.values()):
            if not waiting.done():
                waiting.set_exception(nats.errors.TimeoutError())
        for one in tuple(self.on_lost):
            one.lost()
        await super()._attempt_reconnect()

    async def flush(self, timeout: int = 10) -> None:
        """Return when the server has acted on all that was sent: nats-py writes its PING ahead of what it holds."""
        await self._flush_pending(force_flush=True)
        await super().flush(timeout)

    async def change_credential(self, inbox_prefix: str, before: Iterable[Callable[[], Awaitable[None]]]) -> None:
        """Connect anew, with what the file says now: open requests are answered first, new ones wait.

        `before` is done in between, when nothing new is asked: it takes what is on its way to us.
        """
        self._open.clear()
        try:
            for each in before:
                with suppress(nats.errors.Error):  # a connection that broke on its own is made anew anyway
                    await each()
            with suppress(TimeoutError):
                async with asyncio.timeout(QUIET_SECONDS):
                    await self._quiet.wait()
            await self._move_inbox(inbox_prefix)
            await self.force_reconnect()
            await self._come_back()
        finally:
            self._open.set()

    async def _come_back(self) -> None:
        """Return when the connection is there again, or takes too long for others to wait."""
        until = asyncio.get_running_loop().time() + QUIET_SECONDS
        while not self.is_connected and asyncio.get_running_loop().time() < until:  # noqa: ASYNC110 - nats-py tells its owner alone
            await asyncio.sleep(0.01)

    async def _move_inbox(self, prefix: str) -> None:
        """Leave the inboxes of another user: the new credential may not read there."""
        before = self._inbox_prefix.decode()
        if prefix == before:
            return
        for subscription in list(self._subs.values()):
            if subscription.subject.startswith(f"{before}."):
                await subscription.unsubscribe()
        self._inbox_prefix = bytearray(prefix.encode())
        self._resp_sub_prefix = None

    @staticmethod
    def _parse_header_lines(raw: bytes) -> dict[str, str]:
        """Return the headers in `raw`, as nats-py does, which looks at each character of each name by itself.

        That was a third of the work of a tool gateway: each answer of the server to a read brings a few.
        """
        headers: dict[str, str] = {}
        for line in raw.split(b"\r\n"):
            name, colon, value = line.partition(b":")
            name = name.strip()
            if not colon or not name.isascii():
                continue
            key = name.decode("ascii")
            if not key or key.split() == [key]:  # a name with white space in it is none
                headers[key] = value.strip().decode("utf-8", "replace")
        return headers

    def _connect_command(self) -> bytes:
        # nats-py would go on in plain text, and say who we are in it.
        if self._only_tls and not self._server_info.get("tls_required"):
            raise NoTls
        return super()._connect_command()

    async def _process_err(self, err_msg: str) -> None:
        fate = next((fate for said, fate in _SENT_AWAY.items() if said in err_msg.lower()), None)
        if fate is not None and self._renewed():
            await self._process_op_err(nats.errors.Error(f"nats: {err_msg}"))  # there is a new one: come back with it
            return
        self.fate = fate
        await super()._process_err(err_msg)


def trust(ca: str | Path | None) -> ssl.SSLContext | None:
    """Return what to check a server's certificate with: the certificates in the file `ca`, or the system's for None."""
    return ssl.create_default_context(cafile=str(ca)) if ca is not None else None


def schemes(url: str) -> set[str]:
    """Return the schemes of the servers in `url`."""
    return {urlsplit(one.strip()).scheme for one in url.split(",")}
