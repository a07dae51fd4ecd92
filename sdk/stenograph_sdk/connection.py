"""One connection to NATS, with the options that a long-lived process needs, and who wants to hear of its fate."""

import asyncio
import importlib.util
import logging
import re
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nats.errors
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg

from stenograph_sdk.credentials import Said
from stenograph_sdk.errors import CannotConnect, ConnectionLost, CredentialExpired, CredentialRevoked, Forbidden
from stenograph_sdk.line import WEB, Line, NoTls, schemes, trust
from stenograph_sdk.renewal import Renewal
from stenograph_sdk.sealing import as_it_is, in_clear

log = logging.getLogger("stenograph_sdk")

RECONNECT_SECONDS = 0.5  # a restarted server is found again within a second
PING_SECONDS = 10  # with two missed pings a dead peer is noticed after 30 s, also where no FIN or RST arrives
PENDING_BYTES = 64 << 20  # what is published while reconnecting is kept, and fails loudly beyond this
API_SECONDS = 5.0
REFUSED_SECONDS = 10.0  # a server that refuses us when we come back may be one that has not heard of us yet
REPEAT_SECONDS = 10.0  # the same complaint of the connection is logged again only after this

INBOX_PREFIX = "_INBOX"
_FORBIDDEN = re.compile(r'permissions violation for publish to "([^"]+)"')


class Connection:
    """A NATS connection that reconnects for ever. `nats` and `jetstream` are nats-py's own objects.

    `on_reconnect` callbacks run after the subscriptions are restored; `on_close` ones when no reconnect will follow.
    When the credentials file changes, `before_renewal` ones take what is on its way here, and the connection is made
    anew.
    """

    def __init__(self, url: str, ca: str | Path | None = None) -> None:
        self.url = printable(url)
        only_tls = "tls" in schemes(url) or (ca is not None and not schemes(url) & WEB)
        self._line = Line(only_tls=only_tls, renewed=self._is_renewed)
        self.nats: Nats = self._line
        self.jetstream = self.nats.jetstream(timeout=API_SECONDS)
        self.opened: Callable[[bytes], Awaitable[bytes]] = in_clear
        """Returns what a stored event says; whoever has the keys of sealed logs puts another one here."""
        self.closed: Callable[[str, str, str, bytes], Awaitable[bytes]] = as_it_is
        """Returns how the body of a tenant's session is stored under a subject, likewise."""
        self.on_reconnect: set[Callable[[], None]] = set()
        self.on_close: set[Callable[[ConnectionLost], None]] = set()
        self.before_renewal: set[Callable[[], Awaitable[None]]] = set()
        self.last_error: Exception | None = None
        self._renewal: Renewal | None = None
        self._watching: asyncio.Task[None] | None = None
        self._inbox_prefix = INBOX_PREFIX
        self._is_open = False
        self._refused_at: float | None = None
        self._refused = asyncio.Event()
        self._restored = asyncio.Event()
        self._said: dict[str, float] = {}
        self._asked: dict[str, set[asyncio.Future[Msg]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(
        self,
        url: str,
        credentials: str | Path | None,
        name: str,
        inbox_prefix: str,
        timeout: float | None,
        ca: str | Path | None = None,
    ) -> None:
        """Connect within `timeout` seconds, or, without one, as soon as there is a server."""
        if credentials is not None:
            check_credentials(self.url, Path(credentials))
            self._renewal = Renewal(Path(credentials), self._renew)
        self._inbox_prefix = inbox_prefix
        check_way(self.url, schemes(url), ca)
        opening = asyncio.create_task(
            self._welcomed(
                servers=url.split(","),
                name=name,
                user_credentials=str(credentials) if credentials else None,
                inbox_prefix=inbox_prefix,
                tls=trusted(self.url, ca),
                max_reconnect_attempts=-1,
                reconnect_time_wait=RECONNECT_SECONDS,
                ping_interval=PING_SECONDS,
                max_outstanding_pings=2,
                pending_size=PENDING_BYTES,
                error_cb=self._complain,
                reconnected_cb=self._reconnected,
                closed_cb=self._closed,
            )
        )
        await self._first_connect(opening, timeout)
        self._is_open = True
        if self._renewal is not None:
            self._watching = self.spawn(self._renewal.watch())

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run `work` beside everything else; the task is kept until it ends."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def say(self, subject: str, body: bytes) -> None:
        """Send what may be lost: while we are not connected it is, so that it does not wait beside what may not."""
        if self.nats.is_connected:
            with suppress(nats.errors.Error):
                await self.nats.publish(subject, body)

    async def ask(self, subject: str, body: bytes, timeout: float, headers: dict[str, str] | None = None) -> Msg:
        """Return the answer to a request; raise `Forbidden` if our credentials do not allow it.

        The server says that beside the request, so nats-py would wait in vain. Other errors are nats-py's own.
        """
        asking = asyncio.ensure_future(self.nats.request(subject, body, timeout=timeout, headers=headers or None))
        asked = self._asked.setdefault(subject.lower(), set())
        asked.add(asking)
        try:
            return await asking
        except asyncio.CancelledError:
            if asking.cancelled() and asking not in asked:
                raise Forbidden(subject) from None
            asking.cancel()
            raise
        finally:
            asked.discard(asking)
            if not asked:
                self._asked.pop(subject.lower(), None)

    async def close(self) -> None:
        """Send what is pending, then close."""
        self._watch_no_more()
        if self.nats.is_connected:
            with suppress(nats.errors.Error):  # a server that is gone takes nothing more
                await self.nats.flush()
        await self.nats.close()

    async def _welcomed(self, **options: Any) -> None:
        """Connect; return when a server has taken us in.

        nats-py takes a connection that ends in the middle of the welcome for a good one, and tries again beside us.
        """
        try:
            await self.nats.connect(**options)
            if not self.nats.is_connected:
                await self._restored.wait()
        except asyncio.CancelledError:
            await self.nats.close()
            raise

    async def _first_connect(self, opening: "asyncio.Task[None]", timeout: float | None) -> None:
        refused = asyncio.create_task(self._refused.wait())
        try:
            await asyncio.wait((opening, refused), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if opening.done():
                opening.result()
                return
            raise CannotConnect(self.url, self._reason(self.last_error or f"no answer within {timeout:g} s"))
        except ImportError as error:
            raise CannotConnect(
                self.url, "credentials need the package nkeys: pip install 'stenograph-sdk[credentials]'"
            ) from error
        except (OSError, ValueError, nats.errors.Error) as error:
            raise CannotConnect(self.url, self._reason(error)) from error
        finally:
            refused.cancel()
            if not opening.done():
                opening.cancel()

    def _reason(self, error: Exception | str) -> str:
        text = str((self._refused.is_set() and self.last_error) or error)
        if self._renewal is None and "authorization" in text.lower():
            text += "; it lets in who has a credentials file (`stenograph dev` makes two in .stenograph/creds)"
        return text

    async def _complain(self, error: Exception) -> None:
        text = str(error) or type(error).__name__
        if not self._refused.is_set():  # the reset of the connection that follows a refusal is not the reason
            self.last_error = error
        unwelcome = "authorization" in text.lower()
        if isinstance(error, ssl.SSLCertVerificationError | NoTls) or unwelcome:
            self._refused.set()
        if unwelcome and self._is_open:
            self._give_up_in_time()
        if found := _FORBIDDEN.search(text.lower()):  # as nats-py writes it
            asked = self._asked.get(found[1], set())
            for asking in tuple(asked):
                asked.discard(asking)
                asking.cancel()
        now = asyncio.get_running_loop().time()
        if now - self._said.get(text, -REPEAT_SECONDS) >= REPEAT_SECONDS:
            self._said = {text: now}
            log.warning("connection.error url=%s error=%s", self.url, text)

    async def _reconnected(self) -> None:
        self._restored.set()
        self._refused_at = None
        log.info("connection.restored url=%s", self.url)
        for heard in tuple(self.on_reconnect):
            heard()

    async def _closed(self) -> None:
        self._watch_no_more()
        lost = self.fate()
        for heard in tuple(self.on_close):
            heard(lost)

    def fate(self) -> ConnectionLost:
        """Return why the connection is closed."""
        match self._line.fate:
            case "revoked":
                return CredentialRevoked()
            case "expired":
                return CredentialExpired()
        return ConnectionLost(str(self.nats.last_error or "it was closed here"))

    # ---- credentials

    def _watch_no_more(self) -> None:
        if self._watching is not None:
            self._watching.cancel()

    def _is_renewed(self) -> bool:
        return self._renewal is not None and self._renewal.is_due()

    async def _renew(self, before: Said, now: Said) -> None:
        if now.inbox_prefix and now.inbox_prefix != before.inbox_prefix:
            self._inbox_prefix = now.inbox_prefix
        await self._line.change_credential(self._inbox_prefix, tuple(self.before_renewal))

    def _give_up_in_time(self) -> None:
        """Close for good if servers have refused us for a while since we lost the connection."""
        now = asyncio.get_running_loop().time()
        self._refused_at = self._refused_at or now
        if now - self._refused_at < REFUSED_SECONDS or self._line.fate is not None:
            return
        expires_at = self._renewal.said.expires_at if self._renewal else 0
        self._line.fate = "expired" if expires_at and expires_at <= time.time() else "revoked"
        self.spawn(self.nats.close())  # not from here: it is the reconnecting task that hears of errors


async def connect(
    url: str,
    *,
    credentials: str | Path | None = None,
    name: str = "stenograph-sdk",
    inbox_prefix: str = INBOX_PREFIX,
    timeout: float | None = 10.0,
    ca: str | Path | None = None,
) -> Connection:
    """Return an open connection to `url` (several, comma-separated, are the members of one cluster).

    `nats://`, `tls://`, `ws://` and `wss://` are the ways there are. `ca` is a file of certificates to trust instead of
    the system's; with it, and with `tls://`, nothing is said in plain text. `timeout` is in seconds; None waits for a
    server as long as it takes. Refused credentials and certificates raise at once.
    """
    connection = Connection(url, ca)
    await connection.open(url, credentials, name, inbox_prefix, timeout, ca)
    return connection


def printable(url: str) -> str:
    """Return `url` without the user and password that may be in it."""
    return ",".join(_without_user(server) for server in url.split(","))


def _without_user(server: str) -> str:
    parts = urlsplit(server)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if "@" in parts.netloc else server


def check_credentials(url: str, path: Path) -> None:
    """Raise `CannotConnect` unless `path` is a NATS credentials file: nats-py would read a wrong one for ever."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise CannotConnect(url, f"the credentials file {path} cannot be read: {error.strerror}") from error
    for part in ("BEGIN NATS USER JWT", "BEGIN USER NKEY SEED"):
        if part not in text:
            raise CannotConnect(url, f"{path} is not a NATS credentials file: it has no line with {part!r}")


def check_way(url: str, ways: set[str], ca: str | Path | None) -> None:
    """Raise `CannotConnect` where nats-py would try for ever what cannot be."""
    if ways & WEB and importlib.util.find_spec("aiohttp") is None:
        raise CannotConnect(url, "WebSocket needs the package aiohttp: pip install 'stenograph-sdk[websocket]'")
    if ca is not None and "ws" in ways:
        raise CannotConnect(url, "ws:// is plain text, so a CA has nothing to check: wss:// is the other one")


def trusted(url: str, ca: str | Path | None) -> ssl.SSLContext | None:
    """Return what to check the server's certificate with; raise `CannotConnect` for a file that holds none."""
    try:
        return trust(ca)
    except (OSError, ssl.SSLError) as error:
        raise CannotConnect(url, f"the file {ca} holds no certificates to trust: {error.strerror or error}") from error
