"""The event log on one server and on a cluster of three: the fence, lost acks, several events at once, reading."""

import asyncio
from typing import Any

import msgspec
import pytest
from nats.errors import TimeoutError as NatsTimeout
from tests.runtime.conftest import Store
from tests.support.wait import until

from stenograph_events import DEFAULT_TENANT, EMPTY, AnyEvent, Head, InvalidId, SessionId, decode, new_session_id
from stenograph_events.chain import digest
from stenograph_events.testing import session_created, turn_finished, turn_started, user_message
from stenograph_services.runtime import batches, jetstream
from stenograph_services.runtime import eventlog as module
from stenograph_services.runtime.errors import SequenceConflict, StorageUnavailable
from stenograph_services.runtime.eventlog import Appended
from stenograph_services.runtime.jetstream import Ack, JetStreamError

T = DEFAULT_TENANT


class Writer:
    """One session's log, and where it stands."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.id = new_session_id()
        self.head: Head = EMPTY

    async def add(self, *events: AnyEvent, head: Head | None = None) -> list[Appended]:
        sealed = await self.store.log.append(T, self.id, head or self.head, [of(self.id, one) for one in events])
        self.head = head_of(sealed[-1])
        return sealed

    async def fill(self, count: int) -> None:
        """Bring the log to `count` events."""
        await self.add(session_created(), *([turn_started()] if count > 1 else []))
        while self.head.n < count:
            await self.add(*[message(self.head.n + i) for i in range(min(50, count - self.head.n))])

    async def stored(self, after: int = 0) -> list[bytes]:
        return [one.data for one in await self.store.log.read(T, self.id, after)]

    async def until_stored(self, count: int) -> list[bytes]:
        """Return the events when a reading shows them all: on a cluster it may come from a server that lags."""

        async def all_there() -> list[bytes] | None:
            found = await self.stored()
            return found if len(found) >= count else None

        return await until(all_there, what=f"{count} events are read")


def of(session: SessionId, event: AnyEvent) -> Any:
    return msgspec.structs.replace(event, session=session)


def head_of(sealed: Appended) -> Head:
    return Head(sealed.sequence, sealed.event.n, digest(sealed.data))


def message(i: int) -> AnyEvent:
    return user_message(f"message {i}", id=f"m{i}")


async def test_events_come_back_as_they_were_stored(store: Store):
    writer = Writer(store)

    created = await writer.add(session_created())
    added = await writer.add(turn_started(), message(1))

    stored = await writer.until_stored(3)

    assert stored == [one.data for one in (*created, *added)]
    assert [decode(data).n for data in stored] == [1, 2, 3]
    assert await store.log.leader_sequence(T, writer.id) == added[-1].sequence


async def test_the_second_of_two_writers_is_fenced(store: Store):
    writer = Writer(store)
    await writer.add(session_created())
    before = writer.head
    await writer.add(turn_started("t1"))

    with pytest.raises(SequenceConflict) as refused:
        await writer.add(turn_started("t2"), head=before)

    assert (refused.value.session, refused.value.expected) == (writer.id, before.sequence)
    assert len(await writer.until_stored(2)) == 2


async def test_of_many_writers_at_once_one_wins(store: Store):
    """On a cluster most losers are refused with another code: an append of the session is in flight."""
    writer = Writer(store)
    await writer.add(session_created())
    head = writer.head

    outcomes = await asyncio.gather(
        *(writer.add(turn_started(f"t{i}"), head=head) for i in range(20)), return_exceptions=True
    )

    assert [type(one) for one in outcomes if isinstance(one, Exception)] == [SequenceConflict] * 19
    assert len(await writer.until_stored(2)) == 2


@pytest.mark.parametrize(("code", "status"), [(10071, 400), (10164, 400), (10008, 503), (10176, 400)])
async def test_a_refusal_is_a_conflict_only_if_another_event_is_there(
    store: Store, code: int, status: int, monkeypatch: pytest.MonkeyPatch
):
    writer = Writer(store)
    await writer.add(session_created())
    head = writer.head
    refuse_once(monkeypatch, JetStreamError(code, "no", "publish", status))

    (stored,) = await writer.add(turn_started())

    assert stored.sequence > head.sequence
    assert len(await writer.until_stored(2)) == 2


async def test_an_append_whose_ack_was_lost_is_found_and_returned(store: Store, monkeypatch: pytest.MonkeyPatch):
    writer = Writer(store)
    await writer.add(session_created())
    lose_acks(monkeypatch, 1)

    (stored,) = await writer.add(turn_started())

    assert stored.sequence == await store.log.leader_sequence(T, writer.id)
    assert (await writer.until_stored(2))[1:] == [stored.data]


async def test_several_events_whose_ack_was_lost_are_found_and_returned(store: Store, monkeypatch: pytest.MonkeyPatch):
    writer = Writer(store)
    await writer.add(session_created())
    lose_acks(monkeypatch, 1)

    stored = await writer.add(turn_started(), message(1), turn_finished())

    assert (await writer.until_stored(4))[1:] == [one.data for one in stored]
    assert stored[-1].sequence == await store.log.leader_sequence(T, writer.id)


async def test_appending_the_same_again_stores_nothing_twice(store: Store):
    writer = Writer(store)
    await writer.add(session_created())
    before = writer.head

    first = await writer.add(turn_started(), message(1))
    again = await writer.add(turn_started(), message(1), head=before)

    assert again == first
    assert len(await writer.until_stored(3)) == 3


async def test_the_same_id_with_other_bytes_is_a_conflict(store: Store):
    writer = Writer(store)
    await writer.add(session_created())
    before = writer.head
    await writer.add(turn_started(delivery=0))

    with pytest.raises(SequenceConflict):
        await writer.add(turn_started(delivery=1), head=before)


async def test_an_append_that_nobody_confirms_is_given_up_and_says_that_it_may_be_stored(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    writer = Writer(store)
    await writer.add(session_created())
    monkeypatch.setattr(module, "_ATTEMPTS", 2)

    async def nobody(*_: Any, **__: Any) -> Ack:
        raise NatsTimeout

    monkeypatch.setattr(module, "publish", nobody)
    with pytest.raises(StorageUnavailable, match="it may be stored or not"):
        await writer.add(turn_started())


async def test_events_that_are_refused_together_leave_nothing_behind_on_a_cluster(cluster: Store):
    writer = Writer(cluster)
    await writer.add(session_created())
    before = writer.head
    await writer.add(turn_started("t1"))

    with pytest.raises(SequenceConflict):
        await writer.add(message(1), message(2), head=before)

    assert len(await writer.until_stored(2)) == 2
    assert await cluster.log.leader_sequence(T, writer.id) == writer.head.sequence


async def test_several_events_are_one_batch_on_a_cluster_and_single_publishes_elsewhere(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    writer = Writer(store)
    await writer.add(session_created())
    sizes: list[int] = []
    publish_batch = batches.publish_batch

    async def counted(nc: Any, messages: Any) -> int:
        sizes.append(len(messages))
        return await publish_batch(nc, messages)

    monkeypatch.setattr(module, "publish_batch", counted)
    await writer.add(turn_started(), message(1), message(2))
    await writer.add(message(3))

    assert sizes == ([3] if store.settings.replicas > 1 else [])


async def test_a_writer_that_wins_between_two_events_of_another_fences_the_second(
    single: Store, monkeypatch: pytest.MonkeyPatch
):
    """One after the other, events may be cut: whoever folds next sees the first of them and decides again."""
    writer = Writer(single)
    await writer.add(session_created())
    before = writer.head
    publish = jetstream.publish
    published: list[str] = []

    async def raced(nc: Any, subject: str, *rest: Any) -> Ack:
        published.append(subject)
        ack = await publish(nc, subject, *rest)
        if len(published) == 1:
            (first,) = await single.log.read(T, writer.id, before.sequence)
            await writer.add(turn_finished(), head=Head(first.sequence, 2, digest(first.data)))
        return ack

    monkeypatch.setattr(module, "publish", raced)
    with pytest.raises(SequenceConflict):
        await single.log.append(T, writer.id, before, [of(writer.id, turn_started()), of(writer.id, message(1))])

    assert [decode(data).id for data in await writer.stored()] == ["created", "t1.started", "t1.finished"]


# ---- reading


@pytest.mark.parametrize("count", [1, 63, 64, 65, 1_000])
async def test_a_log_of_any_length_is_read_whole(store: Store, count: int):
    writer = Writer(store)
    await writer.fill(count)

    read = await writer.until_stored(count)

    assert [decode(data).n for data in read] == list(range(1, count + 1))


async def test_reading_begins_after_any_sequence_and_ends_at_the_end(store: Store):
    writer, other = Writer(store), Writer(store)
    await writer.fill(3)
    await other.fill(3)
    await writer.add(message(8))
    await writer.until_stored(4)
    stored = await store.log.read(T, writer.id)

    assert await writer.stored(stored[1].sequence) == [one.data for one in stored[2:]]
    assert await writer.stored(stored[-1].sequence) == []
    assert await store.log.next_event(T, writer.id, stored[0].sequence) == stored[1]
    assert await store.log.next_event(T, writer.id, stored[-1].sequence) is None


async def test_a_session_without_a_log_reads_as_empty(store: Store):
    session = new_session_id()

    assert await store.log.read(T, session) == []
    assert await store.log.leader_sequence(T, session) == 0


@pytest.mark.parametrize("wrong", ["00*", "00>", "00.a", "", "zz" + "0" * 32, "00" + "a" * 63])
async def test_ids_that_would_match_other_sessions_are_refused(single: Store, wrong: str):
    with pytest.raises(InvalidId):
        await single.log.read(T, wrong)
    with pytest.raises(InvalidId):
        await single.log.append(T, wrong, EMPTY, [of(SessionId(wrong), session_created())])
    with pytest.raises(InvalidId):
        await single.log.read("*", new_session_id())


async def test_following_yields_what_there_was_and_then_what_comes(store: Store):
    writer = Writer(store)
    await writer.fill(70)
    heard: list[int] = []

    async def follow() -> None:
        async for stored in store.log.follow(T, writer.id):
            heard.append(decode(stored.data).n)

    following = asyncio.create_task(follow())
    await until(lambda: len(heard) == 70, what="the history")
    await writer.add(message(71))
    await until(lambda: len(heard) == 71, 2, what="the next event")
    await writer.add(message(72), message(73))
    await until(lambda: len(heard) == 73, 2, what="two more")
    following.cancel()

    assert heard == list(range(1, 74))


# ---- a network that loses things


def lose_acks(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Let the next `count` publishes reach the server, and their acks nobody."""
    publish, publish_batch = jetstream.publish, batches.publish_batch
    left = [count]

    def lose() -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise NatsTimeout

    async def publish_lossy(*given: Any, **more: Any) -> Ack:
        ack = await publish(*given, **more)
        lose()
        return ack

    async def batch_lossy(*given: Any) -> int:
        last = await publish_batch(*given)
        lose()
        return last

    monkeypatch.setattr(module, "publish", publish_lossy)
    monkeypatch.setattr(module, "publish_batch", batch_lossy)


def refuse_once(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let the next publish be refused without reaching the server."""
    publish = jetstream.publish
    refused: list[Exception] = []

    async def refusing(*given: Any, **more: Any) -> Ack:
        if not refused:
            refused.append(error)
            raise error
        return await publish(*given, **more)

    monkeypatch.setattr(module, "publish", refusing)
