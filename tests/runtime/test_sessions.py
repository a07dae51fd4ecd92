"""Loaded sessions and snapshots: memory and caches may be stale, damaged or ahead; the log decides."""

import msgspec
import pytest
from tests.runtime.conftest import Store
from tests.runtime.test_eventlog import T, Writer, message

from stenograph_events import EMPTY, AnyEvent, BrokenChain, Head, decode, seal
from stenograph_events.subjects import session_filter, snapshot_key
from stenograph_events.testing import session_created, turn_finished, turn_started, user_message
from stenograph_projections.snapshot import SnapshotFold
from stenograph_services.runtime.errors import NewerEvent, SequenceConflict, UnknownSession
from stenograph_services.runtime.eventlog import Appended, Stored
from stenograph_services.runtime.jetstream import publish
from stenograph_services.runtime.sessions import Loaded, Sessions
from stenograph_services.runtime.snapshots import Snapshots


async def loaded(store: Store, writer: Writer, **more: bool) -> Loaded:
    """Return the session as a process that has just started loads it."""
    return await Sessions(store.nc, store.settings, **more).get(T, writer.id)


async def snapshot(store: Store, writer: Writer) -> SnapshotFold:
    """Store a snapshot of the session as it stands."""
    fold = SnapshotFold()
    for one in await store.log.read(T, writer.id):
        fold.apply(decode(one.data), one.data, one.sequence)
    await Snapshots(store.nc).write(T, writer.id, fold)
    return fold


def stored_as(sealed: Appended) -> Stored:
    return Stored(sealed.sequence, sealed.data)


def unstored(writer: Writer) -> tuple[AnyEvent, bytes, int]:
    """Return one more event of the session that its log does not hold, as if an older copy had been put in place."""
    event, data = seal(msgspec.structs.replace(message(99), session=writer.id), writer.head)
    return event, data, writer.head.sequence + 1


async def reads_of_the_log(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by the position after which the log is read."""
    read = type(store.log).read
    positions: list[int] = []

    async def noted(self: object, tenant: str, session: str, after: int = 0) -> object:
        positions.append(after)
        return await read(self, tenant, session, after)  # type: ignore[arg-type]

    monkeypatch.setattr(type(store.log), "read", noted)
    return positions


async def test_a_session_in_memory_is_used_without_reading_its_log(single: Store, monkeypatch: pytest.MonkeyPatch):
    writer = Writer(single)
    await writer.fill(3)
    sessions = Sessions(single.nc, single.settings)
    first = await sessions.get(T, writer.id)

    positions = await reads_of_the_log(single, monkeypatch)
    again = await sessions.get(T, writer.id)

    assert again is first
    assert positions == []


async def test_stale_memory_is_corrected_by_the_fence(store: Store):
    writer = Writer(store)
    await writer.add(session_created())
    await writer.until_stored(1)
    sessions = Sessions(store.nc, store.settings)
    stale = await sessions.get(T, writer.id)
    await writer.add(turn_started("t1"))

    event = msgspec.structs.replace(turn_started("t2"), session=writer.id)
    with pytest.raises(SequenceConflict):
        await sessions.append(stale, [event], stale.head)
    if not await sessions.at_head(stale):  # on a cluster the reading may lag once more
        assert await sessions.at_head(stale)

    assert stale.head == writer.head
    assert stale.state.turn is not None
    assert stale.state.turn.id == "t1"


async def test_an_append_that_was_decided_elsewhere_is_refused_before_it_is_sent(single: Store):
    writer = Writer(single)
    await writer.fill(2)
    sessions = Sessions(single.nc, single.settings)
    current = await sessions.get(T, writer.id)

    with pytest.raises(SequenceConflict):
        await sessions.append(current, [turn_started(session=writer.id)], EMPTY)

    assert await single.log.leader_sequence(T, writer.id) == current.head.sequence


async def test_a_delivered_event_that_is_next_is_folded_without_reading(single: Store, monkeypatch: pytest.MonkeyPatch):
    writer = Writer(single)
    await writer.add(session_created())
    sessions = Sessions(single.nc, single.settings)
    current = await sessions.get(T, writer.id)
    (started,) = await writer.add(turn_started())
    await writer.add(message(1))

    positions = await reads_of_the_log(single, monkeypatch)
    await sessions.receive(current, started.event, stored_as(started))
    after_next = current.head.n, list(positions)
    (third,) = await writer.add(message(2))
    await sessions.receive(current, third.event, stored_as(third))

    assert after_next == (2, [])
    assert current.head == writer.head
    assert positions == [started.sequence]


async def test_a_session_without_a_log_is_unknown(store: Store):
    nobody = await loaded(store, Writer(store))

    with pytest.raises(UnknownSession):
        _ = nobody.state


async def test_a_session_with_an_event_of_a_later_version_may_not_be_decided_on(single: Store):
    writer = Writer(single)
    await writer.fill(2)
    newer = {"type": "turn.dreamt", "id": "d", "n": 3, "prev": writer.head.hash, "at": "2026-11-22T10:00:00Z"}
    body = msgspec.json.encode(newer | {"tenant": T, "session": writer.id})
    await publish(single.nc, session_filter(T, writer.id)[:-1] + "turn", body)

    current = await loaded(single, writer)

    with pytest.raises(NewerEvent, match=r"turn\.dreamt"):
        _ = current.state


async def test_memory_that_the_log_does_not_follow_is_folded_anew(single: Store):
    writer = Writer(single)
    await writer.fill(3)
    sessions = Sessions(single.nc, single.settings)
    current = await sessions.get(T, writer.id)
    right = current.state
    current.head = Head(current.head.sequence, 3, "0" * 64)
    await writer.add(message(9))

    await sessions.refresh(current)

    assert current.head == writer.head
    assert len(current.entries) == len((await loaded(single, writer)).entries)
    assert current.state.created_at == right.created_at


async def test_a_log_that_is_broken_is_an_error_and_stays_one(single: Store):
    writer = Writer(single)
    await writer.fill(3)
    odd = msgspec.structs.replace(message(4), session=writer.id, n=4, prev="0" * 64)
    await publish(single.nc, session_filter(T, writer.id)[:-1] + "message", msgspec.json.encode(odd))
    sessions = Sessions(single.nc, single.settings)

    for _ in range(2):
        with pytest.raises(BrokenChain, match="the log is broken at event 4"):
            await sessions.get(T, writer.id)


# ---- snapshots


async def test_a_session_is_restored_from_its_snapshot_and_the_tail(single: Store, monkeypatch: pytest.MonkeyPatch):
    writer = Writer(single)
    await writer.fill(100)
    fold = await snapshot(single, writer)
    await writer.add(message(101), message(102))

    positions = await reads_of_the_log(single, monkeypatch)
    restored = await loaded(single, writer)
    positions_read = list(positions)
    single_fold = Loaded(T, writer.id)
    for one in await single.log.read(T, writer.id):
        single_fold.fold(decode(one.data), one.data, one.sequence)

    assert positions_read == [fold.head.sequence]
    assert restored.head == writer.head
    assert restored.state == single_fold.state
    assert restored.entries == single_fold.entries


async def test_a_snapshot_with_segments_brings_the_whole_transcript(single: Store):
    writer = Writer(single)
    await writer.add(session_created(), turn_started())
    for i in range(8):
        await writer.add(user_message("x" * 40_000, id=f"big{i}"))
    await writer.add(turn_finished())
    fold = await snapshot(single, writer)

    restored = await loaded(single, writer)
    without = await loaded(single, writer, transcript=False)

    assert len(fold.segments) == 2
    assert fold.full == []
    assert [len(one.parts[0].text) for one in restored.entries] == [40_000] * 8  # type: ignore[union-attr]
    assert without.entries == []
    assert without.state == restored.state


async def test_a_snapshot_that_is_damaged_is_as_none(single: Store):
    writer = Writer(single)
    await writer.fill(5)
    key = f"$KV.SNAP.{snapshot_key(T, writer.id)}"

    for damaged in (b"", b"{", b'{"schema":1}', b'{"schema":99}', b"\xff"):
        await publish(single.nc, key, damaged)
        assert await Snapshots(single.nc).read(T, writer.id, transcript=True) is None

    assert (await loaded(single, writer)).head == writer.head


async def test_a_snapshot_whose_segment_is_lost_is_as_none(single: Store):
    writer = Writer(single)
    await writer.add(session_created(), turn_started())
    for i in range(4):
        await writer.add(user_message("y" * 40_000 + writer.id, id=f"big{i}"))
    fold = await snapshot(single, writer)
    await single.nc.jetstream().purge_stream("BLOB", subject=f"blob.{T}.{fold.segments[0].sha256}.0")

    assert await Snapshots(single.nc).read(T, writer.id, transcript=True) is None
    assert len((await loaded(single, writer)).entries) == 4


async def test_a_snapshot_that_the_log_does_not_follow_is_not_used(single: Store):
    writer, other = Writer(single), Writer(single)
    await writer.fill(5)
    await other.fill(3)
    fold = await snapshot(single, other)
    await Snapshots(single.nc).write(T, writer.id, fold)

    assert (await loaded(single, writer)).head == writer.head


async def test_a_snapshot_that_is_ahead_of_its_log_is_not_used(single: Store):
    """A log that was restored from an older copy: the session could never be written to again."""
    writer = Writer(single)
    await writer.fill(3)
    fold = await snapshot(single, writer)
    fold.apply(*unstored(writer))
    await Snapshots(single.nc).write(T, writer.id, fold)

    sessions = Sessions(single.nc, single.settings)
    current = await sessions.get(T, writer.id)
    await sessions.append(current, [msgspec.structs.replace(message(4), session=writer.id)], writer.head)

    assert current.head.n == 4


async def test_memory_that_is_ahead_of_its_log_is_folded_anew_when_the_leader_is_asked(single: Store):
    """Whoever asked looked at the leader again and again, without an end."""
    writer = Writer(single)
    await writer.fill(3)
    sessions = Sessions(single.nc, single.settings)
    current = await sessions.get(T, writer.id)
    current.fold(*unstored(writer))

    stood = await sessions.at_head(current)

    assert stood is False
    assert current.head == writer.head
    assert await sessions.at_head(current)
