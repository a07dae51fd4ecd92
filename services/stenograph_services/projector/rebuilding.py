"""Snapshots and index made anew from the log alone: the proof that both are caches.

Shard token by shard token, a few at a time, each read with an ordered consumer and a callback, the fastest way to read
much; what is in memory at a time is the sessions of those few.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig

from stenograph_events import SHARDS, EventError
from stenograph_events.subjects import Pattern, session_filter
from stenograph_services.projector.projected import Key, Projected, key_of, time_stored
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.errors import KeyDeleted, KeyMissing, StorageUnavailable
from stenograph_services.runtime.index import SessionIndex, SessionRow
from stenograph_services.runtime.jetstream import NOT_FOUND, JetStreamError, api
from stenograph_services.runtime.sealing import Seals
from stenograph_services.runtime.snapshots import Snapshots
from stenograph_services.runtime.streams import log_stream, log_streams

log = structlog.get_logger()

Progress = Callable[[int, int], None]
"""Called now and then with how many events were folded and how many there are."""

REPORT_EVENTS = 2_000
READING = 8  # of 64 shard tokens at once: one waits for the server while another one folds
ROWS = 1_000  # to a transaction
SEGMENTS_IN_MEMORY = 8  # 1 MiB of a session's transcript
WRITING = 16  # snapshots under way at once, of each shard token that is read
SILENT_SECONDS = 30.0  # a server that sends nothing for so long has lost us


async def rebuild(
    nc: Client, settings: Settings, *, progress: Progress | None = None, sessions: Sequence[str] | None = None
) -> dict[str, str]:
    """Write snapshots and index rows anew; return the SHA-256 of the bytes of each session's snapshot.

    Of all sessions, or of `sessions` of the settings' tenant. A session whose log is broken has a row that says so and
    no snapshot. The projector may run meanwhile. Raises `StorageUnavailable` if the server falls silent, and
    `KeyMissing` if a session is sealed and its key is not here.
    """
    index = await asyncio.to_thread(SessionIndex, settings.index_url())
    try:
        return await Rebuild(nc, settings, index, progress).run(sessions)
    finally:
        index.close()


async def forget(nc: Client, settings: Settings) -> None:
    """Delete every snapshot and every row of the index. The log is not touched."""
    await api(nc, "STREAM.PURGE.KV_SNAP", {}, timeout_seconds=60)
    index = await asyncio.to_thread(SessionIndex, settings.index_url())
    try:
        await asyncio.to_thread(index.clear)
    finally:
        index.close()


class Rebuild:
    """One rebuild: what it has counted so far, and what it has written."""

    def __init__(self, nc: Client, settings: Settings, index: SessionIndex, progress: Progress | None) -> None:
        self._nc = nc
        self._settings = settings
        self._index = index
        self._progress = progress or (lambda done, total: None)
        self._seals = Seals(nc, settings)
        self._snapshots = Snapshots(nc, self._seals)
        self._done = self._total = 0
        self._written: dict[str, str] = {}
        self._rows: list[SessionRow] = []
        self._reading = asyncio.Semaphore(READING)
        self._storing = asyncio.Lock()

    async def run(self, sessions: Sequence[str] | None = None) -> dict[str, str]:
        """Rebuild `sessions`, or all there are; return each one's digest."""
        if sessions is None:
            parts = [(log_stream(self._settings, shard), Pattern.shard(shard)) for shard in SHARDS]
            streams = [await api(self._nc, f"STREAM.INFO.{name}") for name in log_streams(self._settings)]
            self._total = sum(stream["state"]["messages"] for stream in streams)
            await asyncio.to_thread(self._index.clear)
        else:
            tenant = self._settings.tenant
            parts = [(log_stream(self._settings, one), session_filter(tenant, one)) for one in sessions]
        self._progress(0, self._total)
        await _all(self._rebuild(stream, subjects) for stream, subjects in parts)
        await self._store_rows()
        self._progress(self._done, self._done)
        return self._written

    async def _rebuild(self, stream: str, subjects: str) -> None:
        async with self._reading:
            last = await self._last_sequence(stream, subjects)
            if last:
                reading = Reading(self._snapshots, self._seals, self._count)
                await reading.run(self._nc, stream, subjects, last)
                await self._write(reading)

    async def _last_sequence(self, stream: str, subjects: str) -> int:
        try:
            answer = await api(self._nc, f"STREAM.MSG.GET.{stream}", {"last_by_subj": subjects})
        except JetStreamError as error:
            if error.code in NOT_FOUND:
                return 0
            raise
        return int(answer["message"]["seq"])

    def _count(self) -> None:
        self._done += 1
        if self._done % REPORT_EVENTS == 0:
            self._progress(self._done, max(self._done, self._total))

    async def _write(self, reading: "Reading") -> None:
        sound = [one for one in reading.sessions.values() if not one.problem]
        for i in range(0, len(sound), WRITING):
            await asyncio.gather(*(self._write_one(session) for session in sound[i : i + WRITING]))
        self._rows += [one.row(reading.first_at[one.key]) for one in reading.sessions.values()]
        if len(self._rows) >= ROWS:
            await self._store_rows()

    async def _store_rows(self) -> None:
        rows, self._rows = self._rows, []
        async with self._storing:
            refused = await asyncio.to_thread(self._index.upsert, rows)
        for row in refused:
            log.error("index.refused", session=row.session, mend="the database cannot hold what its log says")

    async def _write_one(self, session: Projected) -> None:
        data = await self._snapshots.write(*session.key, session.fold)
        self._written[session.key[1]] = sha256(data).hexdigest()


class Reading:
    """Folds what lies under some subjects of one log stream, from the first event to the last."""

    def __init__(self, snapshots: Snapshots, seals: Seals, count: Callable[[], None]) -> None:
        self.sessions: dict[Key, Projected] = {}
        self.first_at: dict[Key, datetime] = {}
        self._snapshots = snapshots
        self._seals = seals
        self._count = count
        self._last = self._at = 0
        self._finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self, nc: Client, stream: str, subjects: str, last: int) -> None:
        """Return when the event at sequence `last` is folded; raise `StorageUnavailable` if nothing comes any more."""
        self._last = last
        subscription = await nc.jetstream().subscribe(
            subjects,
            stream=stream,
            ordered_consumer=True,
            cb=self._received,
            config=ConsumerConfig(ack_policy=AckPolicy.NONE),
            pending_msgs_limit=0,
            pending_bytes_limit=0,
        )
        try:
            while not self._finished.done():
                before = self._at
                await asyncio.wait([self._finished], timeout=SILENT_SECONDS)
                if not self._finished.done() and self._at == before:
                    raise StorageUnavailable(f"{stream} sent nothing for {SILENT_SECONDS:g} s after sequence {before}")
            self._finished.result()
        finally:
            await subscription.unsubscribe()

    async def _received(self, message: Msg) -> None:
        try:
            # $JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.<consumer sequence>.<time>.<pending>
            self._at = int(message.reply.rsplit(".", 4)[1])
            session = await self._fold(message)
            if session is not None and len(session.fold.full) >= SEGMENTS_IN_MEMORY:
                await self._snapshots.write(*session.key, session.fold)
            self._count()
        except (NatsError, JetStreamError, OSError, KeyMissing) as error:
            self._finish(error)
        if self._at >= self._last:
            self._finish(None)

    async def _fold(self, message: Msg) -> Projected | None:
        try:
            key = key_of(message.subject)
        except EventError:
            return None  # no session's; the projector has parked it
        session = self.sessions.get(key)
        if session is None:
            session = self.sessions[key] = Projected(key)
            self.first_at[key] = time_stored(message.reply)
        if not session.problem:
            try:
                session.apply(await self._seals.event(message.data), message.data, self._at)
            except KeyDeleted as error:
                session.problem = str(error)
            except (KeyMissing, NatsError, JetStreamError):
                raise  # no word about the session: its key is not here now
            except Exception as error:
                log.error("session.broken", session=key[1], error=str(error), mend="stenograph sessions verify")
                session.problem = str(error)
        return session

    def _finish(self, error: Exception | None) -> None:
        if not self._finished.done():
            if error is None:
                self._finished.set_result(None)
            else:
                self._finished.set_exception(error)


async def _all(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do `works` together; the first that fails ends the others and is raised as it is."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
