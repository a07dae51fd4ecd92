"""Snapshots are written for a busy session now and then, and for any session once it falls quiet."""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError

from stenograph_services.projector.projected import Key, Projected
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.errors import KeyMissing
from stenograph_services.runtime.jetstream import JetStreamError
from stenograph_services.runtime.sealing import Seals
from stenograph_services.runtime.snapshots import Snapshots

log = structlog.get_logger()

WRITING = 16  # snapshots under way at once: enough to share the server's syncs, too few to hold up the log's own


class Saver:
    """Writes snapshots: after `snapshot_events` events, or after `snapshot_idle_seconds` without one."""

    def __init__(self, nc: Client, settings: Settings, seals: Seals) -> None:
        self._snapshots = Snapshots(nc, seals)
        self._events = settings.snapshot_events
        self._idle_seconds = settings.snapshot_idle_seconds
        self._unsaved: OrderedDict[Key, Projected] = OrderedDict()  # the one touched longest ago first
        self._busy: set[Key] = set()
        self._wake = asyncio.Event()

    def touched(self, sessions: Iterable[Projected]) -> None:
        """Take note that `sessions` moved."""
        now = asyncio.get_running_loop().time()
        for session in sessions:
            behind = session.fold.head.n - session.saved
            if behind <= 0 or session.problem:
                continue
            session.touched = now
            self._unsaved[session.key] = session
            self._unsaved.move_to_end(session.key)
            if behind >= self._events:
                self._busy.add(session.key)
                self._wake.set()

    async def run(self) -> None:
        """Write what is due, without end."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._idle_seconds / 2)
            self._wake.clear()
            await self._write(self._due())

    async def save_all(self) -> None:
        """Write everything that is unsaved. Not while `run` runs."""
        await self._write(list(self._unsaved.values()))

    def _due(self) -> list[Projected]:
        quiet_since = asyncio.get_running_loop().time() - self._idle_seconds
        due = [self._unsaved[key] for key in self._busy]
        for session in self._unsaved.values():
            if session.touched > quiet_since:
                break
            if session.key not in self._busy:
                due.append(session)
        return due

    async def _write(self, due: Sequence[Projected]) -> None:
        for i in range(0, len(due), WRITING):
            await asyncio.gather(*(self._write_one(session) for session in due[i : i + WRITING]))

    async def _write_one(self, session: Projected) -> None:
        n = session.fold.head.n  # more may be folded in before the bytes are made; then it is written once more
        if not session.problem:
            try:
                await self._snapshots.write(*session.key, session.fold)
            except MaxPayloadError as error:
                log.error("snapshot.too_large", session=session.key[1], n=n, error=str(error), mend="none is needed")
            except (NatsError, JetStreamError, OSError, KeyMissing) as error:
                log.warning("snapshot.unwritten", session=session.key[1], n=n, error=str(error))
                session.touched = asyncio.get_running_loop().time()
                self._unsaved.move_to_end(session.key)
                return
        session.saved = n
        self._busy.discard(session.key)
        if session.fold.head.n == n or session.problem:
            del self._unsaved[session.key]
