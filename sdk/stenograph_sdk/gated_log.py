"""One session's log, asked of the gateway a page at a time, its hash chain checked event by event here.

→ log.acme._.2f01….read     {"after":1042,"limit":500}
← Stenograph-Kind: event    Stenograph-Sequence: 1043    the event as it is stored, or, opened,
                                                           with Stenograph-Digest, the hash of what is stored
← Stenograph-Kind: end      {"count":1,"more":false,"sequence":1043,"n":12,"hash":"9f2c…"}
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

import msgspec
import nats.errors
from nats.aio.msg import Msg

from stenograph_events import EMPTY, Head, SessionId, StoredEvent, decode
from stenograph_events.chain import digest, follow_hash
from stenograph_events.sealing import with_digest
from stenograph_events.wire import DIGEST, KIND, SEQUENCE, LogEnd, Problem, ReadLog
from stenograph_sdk.connection import Connection
from stenograph_sdk.errors import ConnectionLost, LogUnavailable, UnknownSession
from stenograph_sdk.storing import pauses

PAGE = 500  # events; the gateway ends a page sooner when they are large
SILENCE_SECONDS = 5.0  # from a gateway that reads; then another one is asked
PATIENCE_SECONDS = 20.0

_end = msgspec.json.Decoder(LogEnd)
_problem = msgspec.json.Decoder(Problem)


class GatedLog:
    """Reads one session's log. Raises `LogUnavailable` when no gateway answers."""

    def __init__(self, connection: Connection, subject: str, session: SessionId) -> None:
        self._connection = connection
        self._subject = subject
        self._session = session

    async def head(self) -> Head:
        try:
            end = (await self._read(ReadLog(0, 0))).end
        except UnknownSession:
            return EMPTY
        return Head(end.sequence, end.n, end.hash)

    async def read(self, after: Head, to: int) -> AsyncGenerator[tuple[StoredEvent, Head], None]:
        until = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while after.sequence < to:
            page = await self._read(ReadLog(after.sequence, PAGE))
            for data, sequence, hashed in page.events:
                event = decode(data)
                if page.end.hidden > after.n:  # what a clear took away is not shown: the chain is checked from here on
                    after = Head(after.sequence, page.end.hidden, event.prev)
                after = follow_hash(after, event, hashed, sequence)
                yield event, after
                until = asyncio.get_running_loop().time() + PATIENCE_SECONDS
            if not page.events:  # a replica lags behind the head that we know of
                if asyncio.get_running_loop().time() > until:
                    raise LogUnavailable(self._session, f"nothing came for {PATIENCE_SECONDS:g} s")
                await asyncio.sleep(0.05)

    async def stored(self) -> list[tuple[int, bytes]]:
        """Return the whole log: positions and bytes, which nobody has checked; nothing if there is none.

        What lies sealed is opened, and names the hash of what is stored.
        """
        found: list[tuple[int, bytes]] = []
        more = True
        while more:
            try:
                page = await self._read(ReadLog(found[-1][0] if found else 0, PAGE))
            except UnknownSession:
                break
            for data, sequence, hashed in page.events:
                found.append((sequence, data if hashed == digest(data) else with_digest(data, hashed)))
            more = page.end.more and bool(page.events)
        return found

    async def _read(self, wanted: ReadLog) -> "_Page":
        """Return a page, whole; asked again while nobody answers."""
        until = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        for pause in pauses():
            page = _Page(self._session)
            try:
                await self._ask(wanted, page)
                return page
            except (nats.errors.Error, _Passing) as error:
                if self._connection.nats.is_closed:
                    raise ConnectionLost("the log was not read") from error
                if asyncio.get_running_loop().time() + pause > until:
                    raise LogUnavailable(self._session, str(error)) from error
            await asyncio.sleep(pause)
        raise AssertionError("pauses never end")

    async def _ask(self, wanted: ReadLog, page: "_Page") -> None:
        connection = self._connection.nats
        inbox = connection.new_inbox()
        subscription = await connection.subscribe(inbox, cb=page.hear, pending_msgs_limit=0, pending_bytes_limit=0)
        try:
            await connection.publish(self._subject, msgspec.json.encode(wanted), reply=inbox)
            await page.whole(SILENCE_SECONDS)
        finally:
            with suppress(nats.errors.Error):
                await subscription.unsubscribe()


class _Passing(Exception):
    """A page did not come about; the next try may succeed."""


class _Page:
    """The answers to one request, until its end."""

    end: LogEnd

    def __init__(self, session: SessionId) -> None:
        self.events: list[tuple[bytes, int, str]] = []
        self._session = session
        self._over = asyncio.get_running_loop().create_future()
        self._heard = 0

    async def hear(self, message: Msg) -> None:
        headers = message.headers or {}
        self._heard += 1
        if headers.get(KIND) == "event":
            hashed = headers.get(DIGEST) or digest(message.data)
            self.events.append((message.data, int(headers[SEQUENCE]), hashed))
        elif not self._over.done():
            try:
                self._finish(headers, message.data)
                self._over.set_result(None)
            except Exception as error:
                self._over.set_exception(error)

    async def whole(self, silence: float) -> None:
        """Return when the page is whole; raise what it is not, `_Passing` if nothing came for `silence` seconds."""
        heard = -1
        while not self._over.done():
            if heard == self._heard:
                raise _Passing(f"nothing came for {silence:g} s")
            heard = self._heard
            await asyncio.wait((self._over,), timeout=silence)
        self._over.result()

    def _finish(self, headers: dict[str, str], data: bytes) -> None:
        match headers.get(KIND):
            case "end":
                self.end = _end.decode(data)
                if self.end.count != len(self.events):  # core messages may be lost, the log is not broken by that
                    raise _Passing(f"{len(self.events)} of {self.end.count} events came")
            case "problem":
                problem = _problem.decode(data)
                if problem.code == "NOT_FOUND":
                    raise UnknownSession(self._session)
                raise _Passing(problem.error)
            case _:
                raise _Passing("nobody answers: is `stenograph run gateway` running?")
