"""One session's log, read from its stream by an ordered consumer, its hash chain checked event by event."""

import asyncio
from collections.abc import AsyncGenerator

import nats.errors
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import APIError, NotFoundError

from stenograph_events import EMPTY, Head, SessionId, StoredEvent, decode, follow, shard_of, subjects
from stenograph_events.chain import digest
from stenograph_events.sealing import header_of
from stenograph_sdk.connection import Connection
from stenograph_sdk.errors import LogUnavailable

STALL_SECONDS = 20.0  # the ordered consumer heals itself in 10 s; if twice that passed, the log is not there
NO_MESSAGE = 10037


class Streams:
    """Which stream holds a session's log. It is asked once for each shard: a session never moves."""

    def __init__(self, connection: Connection) -> None:
        self._jetstream = connection.jetstream
        self._by_shard: dict[str, str] = {}

    async def of(self, tenant: str, session: SessionId) -> str:
        shard = shard_of(session)
        if shard not in self._by_shard:
            found = await self._jetstream.find_stream_name_by_subject(subjects.session_filter(tenant, session))
            self._by_shard[shard] = found
        return self._by_shard[shard]


class SessionLog:
    """Reads one session's log. Raises `LogUnavailable` when the stream does not answer."""

    def __init__(self, connection: Connection, streams: Streams, tenant: str, session: SessionId) -> None:
        self._connection = connection
        self._jetstream = connection.jetstream
        self._streams = streams
        self._tenant = tenant
        self._session = session
        self._filter = subjects.session_filter(tenant, session)

    async def head(self) -> Head:
        """Return where the log stands, as the stream's leader knows it; `EMPTY` if there is no log."""
        try:
            stream = await self._streams.of(self._tenant, self._session)
            last = await self._jetstream.get_last_msg(stream, self._filter)
        except NotFoundError as error:
            if error.err_code == NO_MESSAGE:
                return EMPTY
            raise self._unavailable(f"no stream holds {self._filter}; have the services ever run?") from error
        except (nats.errors.Error, APIError) as error:
            raise self._unavailable(str(error)) from error
        data = last.data or b""
        return Head(last.seq or 0, header_of(data).n, digest(data))

    async def read(self, after: Head, to: int) -> AsyncGenerator[tuple[StoredEvent, Head], None]:
        """Yield each event after `after`, up to stream sequence `to`, with the head that it makes.

        Raises `BrokenChain` at the first event that does not follow from the one before it, `SessionSealed` at one that
        cannot be opened here.
        """
        if after.sequence >= to:
            return
        arrived = _Arrived()
        try:
            stream = await self._streams.of(self._tenant, self._session)
            subscription = await self._jetstream.subscribe(
                self._filter,
                stream=stream,
                cb=arrived.put,
                ordered_consumer=True,
                config=ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=after.sequence + 1),
                pending_msgs_limit=0,
                pending_bytes_limit=0,
            )
        except (nats.errors.Error, APIError) as error:
            raise self._unavailable(str(error)) from error
        try:
            while after.sequence < to:
                for message in await self._take(arrived):
                    event = decode(await self._connection.opened(message.data))
                    after = follow(after, event, message.data, stream_sequence(message.reply))
                    yield event, after
        finally:
            if not self._connection.nats.is_closed:
                await subscription.unsubscribe()

    async def _take(self, arrived: "_Arrived") -> list[Msg]:
        messages = await arrived.take(STALL_SECONDS)
        if not messages:
            raise self._unavailable(f"nothing came for {STALL_SECONDS:g} s")
        return messages

    def _unavailable(self, reason: str) -> LogUnavailable:
        return LogUnavailable(self._session, reason)


class _Arrived:
    """Messages that a callback brought, taken in bunches: one wake-up for many messages."""

    def __init__(self) -> None:
        self._messages: list[Msg] = []
        self._wake = asyncio.Event()

    async def put(self, message: Msg) -> None:
        self._messages.append(message)
        self._wake.set()

    async def take(self, timeout: float) -> list[Msg]:
        """Return what came, within `timeout` seconds; nothing if nothing did."""
        alarm = asyncio.get_running_loop().call_later(timeout, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            alarm.cancel()
        self._wake.clear()
        messages, self._messages = self._messages, []
        return messages


def stream_sequence(reply: str) -> int:
    """Return the stream sequence from a delivery's reply subject: `$JS.ACK.[<domain>.<account>.]<stream>.…`."""
    tokens = reply.split(".")
    return int(tokens[5] if len(tokens) == 9 else tokens[7])
