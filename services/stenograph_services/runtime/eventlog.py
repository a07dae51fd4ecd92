"""The event log: the only writer of `ev.>`, and the way to read a session back.

Every append carries the session's expected last sequence over the one canonical filter
`ev.<shard>.<tenant>.<session>.>` (mixed filters are unsound on a cluster). That fence alone makes an append safe to try
again: whatever was lost on the way, the next event after the expected one is ours, somebody else's, or not there yet.
So events need no `Nats-Msg-Id`.

Here events are sealed and opened. What leaves this file as an event is one; its stored bytes, which the hash chain runs
over, travel beside it.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import ConnectionClosedError, NoRespondersError
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeout
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from stenograph_events import AnyEvent, Head, StoredEvent, decode, seal
from stenograph_events.chain import digest
from stenograph_events.sealing import is_sealed
from stenograph_events.subjects import event_subject, live_filter, session_filter
from stenograph_services.runtime.batches import BatchReader, publish_batch
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.errors import SequenceConflict, StorageUnavailable
from stenograph_services.runtime.jetstream import (
    BATCH_LOST,
    NOT_FOUND,
    UNAVAILABLE,
    WRONG_LAST_SEQUENCE,
    JetStreamError,
    api,
    publish,
)
from stenograph_services.runtime.sealing import Seals
from stenograph_services.runtime.streams import log_stream

log = structlog.get_logger()

TAIL = 64  # events that are worth one direct read; more are read faster by an ordered consumer
_ATTEMPTS = 40  # with the waits below about 10 s: longer than a leader election takes


class Stored(NamedTuple):
    """An event's bytes as they lie in the log, and their position. `opened`: what they are where they are sealed."""

    sequence: int
    data: bytes
    opened: bytes | None = None

    @property
    def event(self) -> StoredEvent:
        """The event; raises `UndecodableEvent`."""
        return decode(self.plain)

    @property
    def plain(self) -> bytes:
        """The event's bytes as anybody can read them."""
        return self.data if self.opened is None else self.opened


class Appended(NamedTuple):
    """An event that was appended: with its number, its bytes as they are stored and its position."""

    event: AnyEvent
    data: bytes
    sequence: int


class EventLog:
    """Appends to and reads from the logs of sessions."""

    def __init__(self, nc: Client, settings: Settings) -> None:
        self._nc = nc
        self._settings = settings
        self._batches = BatchReader(nc)
        self.seals = Seals(nc, settings)
        self.seals.ends_sealed = self._ends_sealed

    async def append(self, tenant: str, session: str, head: Head, events: Sequence[AnyEvent]) -> list[Appended]:
        """Store `events` after `head`, in order, and return them as stored.

        Calling again with the same events and head is safe: they are stored once. Sealed, they are other bytes each
        time, and the second call says that the session stands elsewhere.

        Raises `SequenceConflict` if the session stands elsewhere (events before the conflict may be stored: fold
        again), `StorageUnavailable` if nobody confirmed in time, `KeyMissing` if the session's key cannot be had.
        Source: JetStream expected-last-subject-sequence.
        """
        sealed = await self._sealed(tenant, session, head, events)
        if len(sealed) > 1 and self._settings.replicas > 1:
            return await self._append_batch(tenant, session, head, sealed)
        stored = []
        sequence = head.sequence
        for one, data in sealed:
            sequence = await self._append_one(tenant, session, sequence, one, data)
            stored.append(Appended(one, data, sequence))
        return stored

    async def _sealed(
        self, tenant: str, session: str, head: Head, events: Sequence[AnyEvent]
    ) -> list[tuple[AnyEvent, bytes]]:
        """Return `events`, numbered on from `head`, each with the bytes under which it is stored."""
        key = await self.seals.key_for(tenant, session, head.n + 1)
        sealed: list[tuple[AnyEvent, bytes]] = []
        position = head
        for event in events:
            one, data = seal(event, position)
            if key is not None:
                data = self.seals.closed(key, one, data)
            sealed.append((one, data))
            position = Head(0, one.n, digest(data))
        return sealed

    async def _ends_sealed(self, tenant: str, session: str) -> bool:
        found = await self._leader(session, {"last_by_subj": session_filter(tenant, session)})
        return found is not None and is_sealed(found.data)

    async def _append_one(self, tenant: str, session: str, expected: int, event: AnyEvent, data: bytes) -> int:
        headers = _fence(tenant, session, expected)
        subject = event_subject(event)
        for attempt in range(_ATTEMPTS):
            try:
                return (await publish(self._nc, subject, data, headers)).seq
            except JetStreamError as error:
                if not _may_pass(error):
                    raise
            except (NatsTimeout, NoRespondersError, ConnectionClosedError) as error:
                log.warning("append.unconfirmed", session=session, n=event.n, error=type(error).__name__)
                await _pause(attempt)
            # Refused, or nobody said. The event may be ours all the same: look before anything is reported.
            match await self._after(tenant, session, expected, attempt):
                case Stored(sequence, stored) if stored == data:
                    return sequence
                case Stored():
                    raise SequenceConflict(session, expected)
            await _pause(attempt)  # nothing there yet: another append is in flight, or ours was lost
        raise StorageUnavailable(f"event {event.n} of session {session} was not confirmed: it may be stored or not")

    async def _append_batch(
        self, tenant: str, session: str, head: Head, sealed: list[tuple[AnyEvent, bytes]]
    ) -> list[Appended]:
        """One atomic batch: on a replicated stream a third of the time of appends one by one."""
        fence = _fence(tenant, session, head.sequence)
        messages = [(event_subject(one), data, fence if i == 0 else {}) for i, (one, data) in enumerate(sealed)]
        for attempt in range(_ATTEMPTS):
            try:
                last = await publish_batch(self._nc, messages)
                first = last - len(sealed) + 1
                return [Appended(one, data, first + i) for i, (one, data) in enumerate(sealed)]
            except JetStreamError as error:
                if not _may_pass(error):
                    raise
            except (NatsTimeout, NoRespondersError, ConnectionClosedError) as error:
                log.warning("append.unconfirmed", session=session, n=sealed[0][0].n, error=type(error).__name__)
                await _pause(attempt)
            match await self._after(tenant, session, head.sequence, attempt):
                case Stored(sequence, stored) if stored == sealed[0][1]:  # all or nothing, and consecutive
                    return [Appended(one, data, sequence + i) for i, (one, data) in enumerate(sealed)]
                case Stored():
                    raise SequenceConflict(session, head.sequence)
            await _pause(attempt)
        raise StorageUnavailable(f"{len(sealed)} events of session {session} were not confirmed: stored, all, or not")

    async def _after(self, tenant: str, session: str, sequence: int, attempt: int) -> Stored | None:
        """Return the session's next event after `sequence` as its leader knows it."""
        try:
            return await self.next_event(tenant, session, sequence)
        except (NatsTimeout, NoRespondersError, ConnectionClosedError):
            await _pause(attempt)
            return None

    async def next_event(self, tenant: str, session: str, after: int) -> Stored | None:
        """Return the first event of the session beyond sequence `after`, read from the stream's leader, unopened."""
        body = {"seq": after + 1, "next_by_subj": session_filter(tenant, session)}
        return await self._leader(session, body)

    async def leader_sequence(self, tenant: str, session: str) -> int:
        """Return the session's last sequence as the stream's leader knows it, 0 if there is no log."""
        found = await self._leader(session, {"last_by_subj": session_filter(tenant, session)})
        return found.sequence if found else 0

    async def _leader(self, session: str, body: dict[str, object]) -> Stored | None:
        try:
            answer = await api(self._nc, f"STREAM.MSG.GET.{log_stream(self._settings, session)}", body)
        except JetStreamError as error:
            if error.code in NOT_FOUND:
                return None
            raise
        message = msgspec.convert(answer["message"], _Message)
        return Stored(message.seq, message.data)

    async def opened(self, stored: Stored) -> Stored:
        """Return `stored` with what it says where it is sealed.

        Raises `KeyMissing` if it cannot be opened here, `BrokenChain` if it is not what was sealed.
        """
        plain = await self.seals.opened(stored.data)
        return stored if plain is stored.data else stored._replace(opened=plain)

    async def read(self, tenant: str, session: str, after: int = 0) -> list[Stored]:
        """Return the session's events beyond sequence `after`, in order. On a cluster the newest may be missing.

        Raises as `opened`.
        """
        stream = log_stream(self._settings, session)
        wanted = session_filter(tenant, session)
        messages, more = await self._batches.read(stream, wanted, after + 1, TAIL)
        stored = [Stored(sequence, data) for sequence, _, data in messages]
        if more:
            stored += await self._read_on(stream, wanted, stored[-1].sequence + 1)
        return [await self.opened(one) for one in stored]

    async def page(self, tenant: str, session: str, after: int, limit: int) -> tuple[list[Stored], bool]:
        """Return at most `limit` of the events beyond sequence `after`, in order, and whether there are more.

        Raises as `opened`.
        """
        stream = log_stream(self._settings, session)
        messages, more = await self._batches.read(stream, session_filter(tenant, session), after + 1, limit)
        return [await self.opened(Stored(sequence, data)) for sequence, _, data in messages], more

    async def on(self, tenant: str, session: str, subject: str, after: int = 0) -> AsyncIterator[Stored]:
        """Yield the events on one subject of the session's log, in order. On a cluster the newest may be missing.

        Raises as `opened`.
        """
        stream, more = log_stream(self._settings, session), True
        while more:
            messages, more = await self._batches.read(stream, subject, after + 1, TAIL)
            for after, _, data in messages:
                yield await self.opened(Stored(after, data))
            more = more and bool(messages)

    async def _read_on(self, stream: str, wanted: str, start: int) -> list[Stored]:
        """Read all there is from `start` through an ordered consumer with a callback, the fastest way to read much."""
        stored: list[Stored] = []
        finished = asyncio.get_running_loop().create_future()

        async def receive(message: Msg) -> None:
            # $JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.<consumer sequence>.<time>.<pending>
            _, sequence, _, _, pending = message.reply.rsplit(".", 4)
            stored.append(Stored(int(sequence), message.data))
            if pending == "0" and not finished.done():
                finished.set_result(None)

        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=start, ack_policy=AckPolicy.NONE
        )
        subscription = await self._nc.jetstream().subscribe(
            wanted,
            stream=stream,
            ordered_consumer=True,
            cb=receive,
            config=config,
            pending_msgs_limit=0,
            pending_bytes_limit=0,
        )
        try:
            await asyncio.wait_for(finished, 60)
        finally:
            await subscription.unsubscribe()
        return stored

    async def has(self, session: str, subject: str) -> bool:
        """Return whether there is an event on one subject of the session's log. One look, and nothing is opened."""
        return bool(await self._batches.read_last(log_stream(self._settings, session), [subject]))

    async def follow(self, tenant: str, session: str, after: int = 0) -> AsyncIterator[Stored]:
        """Yield the session's events beyond sequence `after`, then each one as it is appended, without end.

        Raises as `opened`.

        Live events come as the server republishes them to whoever listens; a lost one is read from the log.
        """
        heard, newest = asyncio.Event(), 0

        async def hear(message: Msg) -> None:
            nonlocal newest
            newest = max(newest, int((message.headers or {}).get("Nats-Sequence", 0)))
            heard.set()

        subscription = await self._nc.subscribe(live_filter(tenant, session), cb=hear)
        try:
            newest = max(newest, await self.leader_sequence(tenant, session))
            while True:
                heard.clear()
                for stored in await self.read(tenant, session, after):
                    yield stored
                    after = stored.sequence
                # What was heard but not read comes from a replica that lags; core messages may be lost: look anyway.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(heard.wait(), 0.02 if after < newest else 5)
        finally:
            with contextlib.suppress(NatsError):
                await subscription.unsubscribe()


class _Message(msgspec.Struct):
    seq: int
    data: bytes = b""


def _may_pass(error: JetStreamError) -> bool:
    """Return whether the log has to be looked at before anything is said of `error`: the next try may succeed."""
    return error.code in WRONG_LAST_SEQUENCE | BATCH_LOST or error.status == UNAVAILABLE


def _fence(tenant: str, session: str, expected: int) -> dict[str, str]:
    return {
        "Nats-Expected-Last-Subject-Sequence": str(expected),
        "Nats-Expected-Last-Subject-Sequence-Subject": session_filter(tenant, session),
    }


async def _pause(attempt: int) -> None:
    """Wait 50 to 250 ms, with jitter, the longer the more often: a 503 comes at once and in bulk."""
    await asyncio.sleep(random.uniform(0.05, min(0.05 + 0.05 * attempt, 0.25)))
