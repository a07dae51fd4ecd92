"""The projector: follows the log and keeps what can be made from it at hand: snapshots, and the index of sessions.

    EV_<k>  ──batch──▶  fold each session  ──one transaction──▶  index  ──then──▶  ack
                              └── after 64 events, or a quiet second ──▶  KV_SNAP, segments in BLOB

FastStream carries the service; the feed is our own pull consumer through its connection. FastStream's batch subscriber
(`PullSub(500, timeout=0.25, batch=True)`, 0.7.8) was tried on four streams and left: at 400 events a second 6 to 10 %
got lost in its fetches, to come again only after `ack_wait`; with its consumer deleted it takes no events and half a
CPU. To receive and ack an event took 401 µs of CPU at 400 a second (ours 165), 157 at 1,600 (93), 46 from a full
stream (16).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple

import structlog
from faststream.nats import NatsBroker
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from stenograph_events import EventError
from stenograph_services.projector.feed import GATHER_SECONDS, BurstConsumer
from stenograph_services.projector.projected import Key, key_of
from stenograph_services.projector.rebuilding import Rebuild
from stenograph_services.projector.saving import Saver
from stenograph_services.projector.sessions import WORLD, Delivered, Sessions
from stenograph_services.projector.sweeping import Sweep
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.index import IndexFailed, SessionIndex, SessionRow
from stenograph_services.runtime.jetstream import api
from stenograph_services.runtime.parking import park
from stenograph_services.runtime.streams import declare, log_streams

log = structlog.get_logger()

IN_HAND = 500  # events of each stream; so a batch folds in some 20 ms
BATCH_SECONDS = GATHER_SECONDS + 0.02  # a batch is one burst of every stream
AGAIN_SECONDS = 1.0  # when an event comes again whose session could not be read
DRAIN_SECONDS = 8.0


class Taken(NamedTuple):
    """A message in hand, and the consumer whose room it takes."""

    message: Msg
    consumer: BurstConsumer


class Projector:
    """The service. Everything it writes is a cache: deleted, it comes back from the log."""

    name = "projector"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumers: list[BurstConsumer] = []
        self._queue: list[Taken] = []
        self._arrived = asyncio.Event()
        self._full = asyncio.Event()
        self._closing = asyncio.Event()
        self._ending = contextlib.AsyncExitStack()  # what `start` began, ended the other way round

    async def start(self, nc: Client) -> None:
        self._nc = nc
        self._index = await asyncio.to_thread(SessionIndex, self._settings.index_url())
        self._ending.callback(self._index.close)
        await self._restore_index()
        self._sessions = Sessions(nc, self._settings, self._index)
        self._saver = Saver(nc, self._settings, self._sessions.seals)
        self._ending.push_async_callback(_at_most, self._saver.save_all)
        self._run(self._saver.run(), "projector snapshots")
        self._run(Sweep(nc, self._settings, self._index).run(), "projector sweep")
        batches = asyncio.create_task(self._project_batches(), name="projector batches")
        self._ending.push_async_callback(_at_most, lambda: batches)
        for stream in log_streams(self._settings):
            await self._consume(stream)

    async def stop(self) -> None:
        for consumer in self._consumers:
            await consumer.stop()
        self._closing.set()
        self._arrived.set()
        self._full.set()
        await self._ending.aclose()

    async def reconnected(self) -> None:
        for consumer in self._consumers:
            await consumer.reconnected()

    def _run(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)

        async def end() -> None:
            task.cancel()
            await asyncio.wait([task])

        self._ending.push_async_callback(end)

    async def _consume(self, stream: str) -> None:
        def take(message: Msg) -> None:
            self._queue.append(Taken(message, consumer))
            self._arrived.set()
            if consumer.in_hand >= IN_HAND:
                self._full.set()

        async def restore() -> None:
            await declare(self._nc, self._settings)

        consumer = BurstConsumer(self._nc, stream, "projector", take, limit=IN_HAND, restore=restore)
        self._consumers.append(consumer)
        await consumer.start()

    async def _restore_index(self) -> None:
        """Fill the index if it was deleted: the events that made it were acked and do not come again."""
        if not await asyncio.to_thread(self._index.empty):
            return
        infos = [await api(self._nc, f"CONSUMER.INFO.{name}.projector") for name in log_streams(self._settings)]
        if any(info["ack_floor"]["stream_seq"] for info in infos):
            written = await Rebuild(self._nc, self._settings, self._index, None).run()
            log.warning("index.rebuilt", sessions=len(written))

    # ---- one batch

    async def _project_batches(self) -> None:
        while not self._closing.is_set() or self._queue:
            await self._arrived.wait()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._full.wait(), BATCH_SECONDS)
            batch, self._queue = self._queue, []
            if not self._closing.is_set():
                self._arrived.clear()
                self._full.clear()
            try:
                done = await self._project(batch)
            except Exception:
                # A defect of ours. A session's own events cannot cause it: those make the session broken.
                log.exception("batch.failed")
                done = set()
            await self._release(batch, done)

    async def _project(self, batch: list[Taken]) -> set[str]:
        """Fold the batch and store its sessions' rows; return the reply subjects of what is dealt with."""
        done: set[str] = set()
        groups: dict[Key, list[Delivered]] = {}
        for message, _ in batch:
            try:
                key = key_of(message.subject)
            except EventError as error:
                if await self._parked(message, str(error)):
                    done.add(message.reply)
            else:
                groups.setdefault(key, []).append(await self._sessions.delivered(message))
        ready = await self._sessions.receive(groups)
        if await self._stored([session.row(groups[session.key][-1].stored_at) for session in ready]):
            self._saver.touched(ready)
            done.update(one.reply for session in ready for one in groups[session.key])
        return done

    async def _stored(self, rows: list[SessionRow]) -> bool:
        """Return True once `rows` are committed. A database that is down is waited for: nothing can go on without."""
        while True:
            try:
                refused = await asyncio.to_thread(self._index.upsert, rows)
            except IndexFailed as error:
                log.error("index.unavailable", error=str(error), mend="check STENOGRAPH_DATABASE_URL and its disk")
                if self._closing.is_set():
                    return False
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            for row in refused:
                log.error("index.refused", session=row.session, mend="the database cannot hold what its log says")
            return True

    async def _parked(self, message: Msg, reason: str) -> bool:
        try:
            await park(self._nc, self.name, message.subject, message.data, reason)
        except WORLD as error:
            log.warning("message.unparked", subject=message.subject, error=str(error))
            return False
        return True

    async def _release(self, batch: list[Taken], done: set[str]) -> None:
        """Ack what is done; let the rest come again."""
        for message, consumer in batch:
            with contextlib.suppress(NatsError):  # without a connection it comes again by itself
                if message.reply in done:
                    await message.ack()
                else:
                    await message.nak(delay=AGAIN_SECONDS)
            consumer.done()


async def _at_most(work: Callable[[], Awaitable[None]]) -> None:
    """Await `work`, but not longer than a service may take to stop; the log has what it leaves undone."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(work(), DRAIN_SECONDS)


def build(_: NatsBroker, settings: Settings) -> Projector:
    """Return the service."""
    return Projector(settings)
