"""The sessions in the projector's memory, and how each gets from where it stands to what was delivered.

A delivered event is the next one, or it is known already, or something is missing before it: then the log is read. A
session whose log cannot be folded even from its first event is broken: it is parked and stands still, alone.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from stenograph_events import EventError, StoredEvent
from stenograph_services.projector.projected import Key, Projected, time_stored
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.errors import KeyDeleted, KeyMissing
from stenograph_services.runtime.eventlog import EventLog
from stenograph_services.runtime.index import IndexFailed, SessionIndex, SessionRow
from stenograph_services.runtime.jetstream import JetStreamError
from stenograph_services.runtime.jetstream import delivered as position
from stenograph_services.runtime.parking import park
from stenograph_services.runtime.sealing import Seals
from stenograph_services.runtime.snapshots import Snapshots

log = structlog.get_logger()

KEPT = 2_000  # sessions in memory; the least recently touched one is forgotten once its snapshot is written
READING = 16  # sessions that are read from the log at once
BREATH = 500  # events, some milliseconds of folding, after which others in this process get a turn

WORLD = (NatsError, JetStreamError, IndexFailed, OSError, KeyMissing)
"""What is no fault of the log: the same may work in a second."""


class Delivered(NamedTuple):
    """An event as it was delivered; `event` is None if its bytes are none that this version can read."""

    subject: str
    reply: str
    sequence: int
    data: bytes
    event: StoredEvent | None

    @property
    def stored_at(self) -> datetime:
        return time_stored(self.reply)


class Sessions:
    """The sessions in memory. One call of `receive` at a time."""

    def __init__(self, nc: Client, settings: Settings, index: SessionIndex) -> None:
        self._nc = nc
        self._log = EventLog(nc, settings)
        self._snapshots = Snapshots(nc, self._log.seals)
        self._index = index
        self._kept: OrderedDict[Key, Projected] = OrderedDict()
        self._reading = asyncio.Semaphore(READING)

    @property
    def seals(self) -> Seals:
        """What opens and closes the sessions."""
        return self._log.seals

    async def delivered(self, message: Msg) -> Delivered:
        """Return what `message` brings. What cannot be opened now is read from the log, and that says why."""
        sequence, _ = position(message)
        try:
            event = await self._log.seals.event(message.data)
        except (EventError, *WORLD):
            event = None
        return Delivered(message.subject, message.reply, sequence, message.data, event)

    async def receive(self, groups: dict[Key, list[Delivered]]) -> list[Projected]:
        """Fold what was delivered, grouped by session; return the sessions that stand there, or are broken, now.

        One that is not among them could not be read: its events must be delivered again.
        """
        ready: list[Projected] = []
        behind: list[Key] = []
        for key, deliveries in groups.items():
            projected = self._known(key, deliveries[0])
            if projected is not None and (projected.problem or _folded(projected, deliveries)):
                ready.append(projected)
            else:
                behind.append(key)
        if behind:
            ready += await self._bring_up(behind, groups)
        self._shrink()
        return ready

    def _known(self, key: Key, first: Delivered) -> Projected | None:
        """Return the session as it is in memory, or a new one if it begins with `first`."""
        projected = self._kept.get(key)
        if projected is None and first.event is not None and first.event.n == 1:
            projected = self._kept[key] = Projected(key)
        if projected is not None:
            self._kept.move_to_end(key)
        return projected

    async def _bring_up(self, behind: Sequence[Key], groups: dict[Key, list[Delivered]]) -> list[Projected]:
        """Return those of `behind` that could be read from the log, from their snapshot on or from the first event."""
        try:
            rows = await self._rows(key for key in behind if key not in self._kept)
        except WORLD as error:
            log.warning("index.unavailable", error=str(error))
            return []
        read = await asyncio.gather(*(self._read(key, groups[key][-1], rows.get(key)) for key in behind))
        return [projected for projected in read if projected is not None]

    async def _rows(self, keys: Iterable[Key]) -> dict[Key, SessionRow]:
        wanted = list(keys)
        return await asyncio.to_thread(self._index.rows, wanted) if wanted else {}

    async def _read(self, key: Key, last: Delivered, row: SessionRow | None) -> Projected | None:
        async with self._reading:
            try:
                projected = self._kept.get(key) or await self._resumed(key, row)
                if not projected.problem:
                    await self._fold_to(projected, last)
            except KeyMissing as error:
                log.error("session.sealed", session=key[1], error=str(error))
                return None
            except WORLD as error:
                log.warning("session.unread", session=key[1], error=str(error))
                return None
            return projected

    async def _resumed(self, key: Key, row: SessionRow | None) -> Projected:
        """Return a session that is not in memory: from its snapshot, if the index knows what was before that."""
        projected = Projected(key)
        if row is not None and row.problem:
            projected.problem = row.problem
        elif row is not None:
            restored = await self._snapshots.read(*key, transcript=False)
            if restored is not None and restored.snapshot.head.n <= row.events:
                projected.resume(restored.snapshot, row)
        self._kept[key] = projected
        return projected

    async def _fold_to(self, projected: Projected, last: Delivered) -> None:
        """Fold the log up to `last`. What is in memory, or the snapshot, may be wrong: the log itself decides."""
        try:
            await self._fold_log(projected, last.sequence)
            return
        except KeyDeleted as error:
            projected.problem = str(error)
            return
        except WORLD:
            raise
        except Exception as error:
            log.warning("session.refolded", session=projected.key[1], error=str(error))
        projected.restart()
        try:
            await self._fold_log(projected, last.sequence)
        except WORLD:
            raise
        except Exception as error:
            tenant, session = projected.key
            await park(self._nc, "projector", last.subject, last.data, str(error), tenant=tenant)
            log.error("session.broken", session=session, error=str(error), mend="stenograph sessions verify")
            projected.problem = str(error)

    async def _fold_log(self, projected: Projected, at_least: int) -> None:
        while (head := projected.fold.head).sequence < at_least:
            stored = await self._log.read(*projected.key, head.sequence)
            if not stored:
                # A follower that lags answered, or the events were erased since. The leader knows.
                found = await self._log.next_event(*projected.key, head.sequence)
                if found is None:
                    return
                stored = [await self._log.opened(found)]
            for i, one in enumerate(stored, 1):
                projected.apply(one.event, one.data, one.sequence)
                if i % BREATH == 0:
                    await asyncio.sleep(0)

    def _shrink(self) -> None:
        """Forget the sessions that were not touched for longest, but none whose snapshot is still to be written."""
        surplus = len(self._kept) - KEPT
        if surplus > 0:
            written = [key for key, one in self._kept.items() if one.problem or one.saved == one.fold.head.n]
            for key in written[:surplus]:
                del self._kept[key]


def _folded(projected: Projected, deliveries: Sequence[Delivered]) -> bool:
    """Fold in what is new of `deliveries`; return False if the log must say what is missing or wrong."""
    for one in deliveries:
        if one.sequence <= projected.fold.head.sequence:
            continue
        if one.event is None:
            return False
        try:
            projected.apply(one.event, one.data, one.sequence)
        except Exception:
            return False
    return True
