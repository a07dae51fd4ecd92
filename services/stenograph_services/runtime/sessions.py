"""Loaded sessions: the log folded in memory, kept for the next time, and moved on by reading or by appending.

A session in memory may be stale; nobody needs to know when. The fence tells at the next append, and then the tail is
folded in and the caller decides again.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

import structlog
from nats.aio.client import Client

from stenograph_events import EMPTY, AnyEvent, BrokenChain, Head, StoredEvent, follow
from stenograph_events.chain import digest
from stenograph_projections import session as fold
from stenograph_projections.session import Session
from stenograph_projections.threads import Threads
from stenograph_projections.transcript import Entry, entry_of
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.errors import NewerEvent, SequenceConflict, StorageUnavailable, UnknownSession
from stenograph_services.runtime.eventlog import EventLog, Stored
from stenograph_services.runtime.snapshots import Snapshots

log = structlog.get_logger()

LAG_SECONDS = 5.0  # longer than a replica lags that is well
KEPT = 2_000  # sessions in memory; the least recently used one is forgotten


class Loaded:
    """One session in memory: where its log stands and what follows from it."""

    head: Head
    folded: Session | None
    entries: list[Entry]
    threads: Threads

    def __init__(self, tenant: str, session: str) -> None:
        self.tenant = tenant
        self.id = session
        self.lock = asyncio.Lock()
        self.writer = asyncio.Lock()
        """For whoever decides and appends while others of this process do, and would only be refused."""
        self.stand_at(EMPTY, None, [])

    @property
    def state(self) -> Session:
        """The session as folded; raise `UnknownSession` if it has no log, `NewerEvent` if it may not be decided on."""
        if self.folded is None:
            raise UnknownSession(self.id)
        if self.folded.unknown:
            raise NewerEvent(self.id, self.folded.unknown)
        return self.folded

    def fold(self, event: StoredEvent, data: bytes, sequence: int) -> None:
        """Move on by one event; raise `BrokenChain` if it does not follow."""
        head = follow(self.head, event, data, sequence)
        self.folded = fold.apply(self.folded, event)
        self.head = head
        if entry := entry_of(event):
            self.entries.append(entry)

    def stand_at(self, head: Head, folded: Session | None, entries: list[Entry]) -> None:
        """Take this to be where the log stands, and what follows from it."""
        self.head, self.folded = head, folded
        self.entries, self.threads = entries, Threads(entries)

    def forget(self) -> None:
        """Go back to nothing, to be folded from the log again."""
        self.stand_at(EMPTY, None, [])


class Sessions:
    """The sessions of one process. `transcript` False leaves the messages of snapshots unread."""

    def __init__(self, nc: Client, settings: Settings, *, transcript: bool = True) -> None:
        self.log = EventLog(nc, settings)
        self._snapshots = Snapshots(nc, self.log.seals)
        self._transcript = transcript
        self._loaded: OrderedDict[tuple[str, str], Loaded] = OrderedDict()

    async def get(self, tenant: str, session: str, *, fresh: bool = False) -> Loaded:
        """Return the session as it is in memory, or as its log says when it is not there or when `fresh`.

        A session without a log comes back empty; its `state` raises `UnknownSession`.
        """
        loaded = self._loaded.get((tenant, session))
        if loaded is None:
            loaded = self._loaded[tenant, session] = Loaded(tenant, session)
            self._shrink()
        else:
            self._loaded.move_to_end((tenant, session))
        if fresh or loaded.folded is None:
            await self.refresh(loaded)
        return loaded

    async def refresh(self, loaded: Loaded) -> None:
        """Fold in what the log holds beyond the session in memory."""
        async with loaded.lock:
            await self._catch_up(loaded)

    async def at_head(self, loaded: Loaded) -> bool:
        """Return whether the session in memory stood where the stream's leader stands; if not, fold in what it lacks.

        Reads may come from a follower that lags: nothing may be dropped on the word of one.
        """
        sequence = await self.log.leader_sequence(loaded.tenant, loaded.id)
        if sequence == loaded.head.sequence:
            return True
        async with loaded.lock:
            if sequence < loaded.head.sequence and await self._lost_its_end(loaded):
                loaded.forget()
            await self._catch_up(loaded, at_least=sequence)
        return False

    async def append(self, loaded: Loaded, events: Sequence[AnyEvent], decided_at: Head) -> None:
        """Append `events`, which were decided at `decided_at`, and fold them in.

        Raises `SequenceConflict`, with the session folded anew, if it stands elsewhere by now: decide again.
        """
        async with loaded.lock:
            if loaded.head != decided_at:
                raise SequenceConflict(loaded.id, decided_at.sequence)
            try:
                sealed = await self.log.append(loaded.tenant, loaded.id, decided_at, events)
            except SequenceConflict:
                await self._catch_up(loaded)
                raise
            except StorageUnavailable:
                loaded.forget()
                raise
            for one in sealed:
                loaded.fold(one.event, one.data, one.sequence)

    async def receive(self, loaded: Loaded, event: StoredEvent, stored: Stored) -> None:
        """Fold at least up to `event`, which was delivered: at once if it is the next one, else by reading the log."""
        async with loaded.lock:
            if event.n == loaded.head.n + 1 and event.prev == loaded.head.hash:
                loaded.fold(event, stored.data, stored.sequence)
            elif event.n > loaded.head.n:
                await self._catch_up(loaded, at_least=stored.sequence)

    async def _catch_up(self, loaded: Loaded, at_least: int = 0) -> None:
        deadline = asyncio.get_running_loop().time() + LAG_SECONDS
        try:
            if loaded.folded is None:
                await self._restore(loaded)
            await self._fold_tail(loaded)
            while loaded.head.sequence < at_least:  # a follower answered that does not know the event yet
                if asyncio.get_running_loop().time() > deadline:
                    raise StorageUnavailable(f"no replica has shown event {at_least} of session {loaded.id} yet")
                await asyncio.sleep(0.02)
                await self._fold_tail(loaded)
        except (BrokenChain, ValueError) as error:
            # What is in memory, or the snapshot, may be to blame. The log itself decides.
            log.warning("session.refolded", session=loaded.id, error=str(error))
            loaded.forget()
            try:
                await self._fold_tail(loaded)
            except (BrokenChain, ValueError):
                loaded.forget()  # what comes before the break is no session to go on with
                raise

    async def _restore(self, loaded: Loaded) -> None:
        restored = await self._snapshots.read(loaded.tenant, loaded.id, transcript=self._transcript)
        if restored:
            loaded.stand_at(restored.snapshot.head, restored.snapshot.session, restored.entries)
            if await self._lost_its_end(loaded):
                log.warning("snapshot.unusable", session=loaded.id, error="the log does not hold what it stands at")
                loaded.forget()

    async def _lost_its_end(self, loaded: Loaded) -> bool:
        """Return whether the log lacks the event that `loaded` stands at: an older copy was put in its place."""
        found = await self.log.next_event(loaded.tenant, loaded.id, loaded.head.sequence - 1)
        return found is None or digest(found.data) != loaded.head.hash

    async def _fold_tail(self, loaded: Loaded) -> None:
        for stored in await self.log.read(loaded.tenant, loaded.id, loaded.head.sequence):
            loaded.fold(stored.event, stored.data, stored.sequence)

    def _shrink(self) -> None:
        while len(self._loaded) > KEPT:
            self._loaded.popitem(last=False)
