"""The snapshot: a fold that is cut anywhere, stored, and gone on with yields the same bytes."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.logs import logs, rebuild

from stenograph_events import AnyEvent, BrokenChain, Head, decode
from stenograph_events.testing import (
    assistant_message,
    log,
    raw,
    session_created,
    trigger_queued,
    turn_finished,
    turn_started,
    user_message,
)
from stenograph_events.values import OfferedTool, Sender
from stenograph_projections import snapshot as snapshots
from stenograph_projections.snapshot import SCHEMA, SEGMENT_BYTES, SnapshotFold, decode_segment
from stenograph_projections.transcript import Entry, Message, entry_of

HELLO = [data for _, data in log(session_created(), turn_started(), user_message("Hello"), turn_finished())]


def folded(bodies: list[bytes], *, cut: int | None = None) -> SnapshotFold:
    """Fold `bodies`; at `cut`, store the snapshot and go on from its bytes, as another projector would."""
    fold = SnapshotFold()
    for sequence, data in enumerate(bodies, 1):
        fold.apply(decode(data), data, sequence)
        if sequence == cut:
            stored = snapshots.decode(fold.encode())
            assert stored is not None
            full, fold = fold.full, SnapshotFold(stored)
            fold.full += full
    return fold


def long_log(turns: int) -> list[bytes]:
    """Return a log whose transcript fills segments: two messages of some 20 KiB a turn."""
    text = "What plan am I on? " * 1_000
    events: list[AnyEvent] = [session_created()]
    for number in range(turns):
        turn = f"t{number}"
        events += [turn_started(turn), user_message(text, turn=turn), assistant_message(text, turn=turn)]
        events += [turn_finished(turn)]
    return [data for _, data in log(*events)]


def test_a_snapshot_keeps_what_triggers_brought_and_whose_session_it_is():
    tools = (OfferedTool("files__search", "Search", raw({"type": "object", "properties": {}})),)
    ada, bo = Sender("u-7", "Ada"), Sender(name="Bo")
    events: list[AnyEvent] = [
        session_created(agent_id="0193"),
        turn_started(tools=tools, sender=ada),
        user_message("Hello", sender=ada),
        trigger_queued(tools=tools, sender=bo),
    ]

    stored = snapshots.decode(folded([data for _, data in log(*events)]).encode())

    assert stored is not None
    assert stored.session.agent_id == "0193"
    assert stored.session.turn is not None
    assert (stored.session.turn.tools, stored.session.turn.sender) == (tools, ada)
    assert [(waiting.tools, waiting.sender) for waiting in stored.session.queue] == [(tools, bo)]
    assert [entry.sender for entry in stored.tail if isinstance(entry, Message)] == [ada]


@given(logs(), st.data())
def test_going_on_from_any_snapshot_yields_the_bytes_of_a_fold_from_the_start(
    events: list[AnyEvent], data: st.DataObject
):
    bodies = [body for _, body in log(*events)]
    cut = data.draw(st.integers(1, len(bodies)))

    assert folded(bodies, cut=cut).encode() == folded(bodies).encode()


@pytest.mark.parametrize("cut", [1, 9, 15, 16, 17, 18, 40])
def test_segments_end_at_the_same_entries_wherever_the_fold_was_cut(cut: int):
    bodies = long_log(turns=10)

    whole, parted = folded(bodies), folded(bodies, cut=cut)

    assert len(whole.segments) > 1
    assert parted.encode() == whole.encode()
    assert parted.full == whole.full


def test_segments_and_tail_are_the_transcript_in_order():
    bodies = long_log(turns=10)
    fold = folded(bodies)
    snapshot = snapshots.decode(fold.encode())
    assert snapshot is not None

    entries: list[Entry] = []
    for segment, data in fold.full:
        entries += decode_segment(segment, data) or ()

    assert [*entries, *snapshot.tail] == [entry for data in bodies if (entry := entry_of(decode(data)))]
    assert [segment for segment, _ in fold.full] == list(snapshot.segments)
    assert all(segment.entries and segment.size >= SEGMENT_BYTES for segment in snapshot.segments)


def test_a_snapshot_does_not_grow_with_the_transcript():
    assert len(folded(long_log(turns=20)).encode()) < SEGMENT_BYTES + 64 * 1024


def test_a_snapshot_holds_the_session_and_where_it_stands():
    snapshot = snapshots.decode(folded(HELLO).encode())

    assert snapshot is not None
    assert snapshot.session == rebuild(map(decode, HELLO))
    assert snapshot.head == Head(4, 4, sha256(HELLO[-1]).hexdigest())
    assert [entry.n for entry in snapshot.tail] == [3]


def test_a_fold_refuses_an_event_that_does_not_follow_and_stays_where_it_was():
    fold = folded(HELLO[:2])
    before = fold.encode()

    with pytest.raises(BrokenChain):
        fold.apply(decode(HELLO[3]), HELLO[3], 4)

    assert fold.encode() == before


def test_a_snapshot_holds_what_models_and_people_are_shown_of_a_message():
    """What a block shows people used to make a snapshot, and a segment, that nobody could read."""
    events: list[AnyEvent] = [session_created(), turn_started(), user_message("Pro.", ui=raw({"plan": "pro"}))]

    snapshot = snapshots.decode(folded([data for _, data in log(*events)]).encode())

    assert snapshot is not None
    assert [getattr(entry, "ui", None) for entry in snapshot.tail] == [raw({"plan": "pro"})]


@given(st.integers(min_value=0))
def test_a_snapshot_that_was_cut_off_is_none(at: int):
    good = folded(HELLO).encode()

    assert snapshots.decode(good[: at % len(good)]) is None


@given(st.integers(min_value=0), st.binary(max_size=3))
def test_damage_is_never_an_error(at: int, noise: bytes):
    good = folded(HELLO).encode()
    at %= len(good)

    snapshots.decode(good[:at] + noise + good[at + 1 :])


@pytest.mark.parametrize("bad", [b"", b"null", b"[]", b"{}", b'{"schema":"1"}', b"\xff", b'{"\xff":1}', b"[" * 100_000])
def test_what_is_no_snapshot_is_none(bad: bytes):
    assert snapshots.decode(bad) is None


def test_a_snapshot_of_another_schema_is_not_used():
    good = folded(HELLO).encode()

    assert snapshots.decode(good.replace(b'"schema":%d' % SCHEMA, b'"schema":%d' % (SCHEMA + 1))) is None
    assert snapshots.decode(good.replace(b'"schema":%d,' % SCHEMA, b"")) is None


def test_a_segment_that_was_changed_is_not_used():
    [(segment, data), *_] = folded(long_log(turns=10)).full

    assert decode_segment(segment, data) is not None
    assert decode_segment(segment, data.replace(b"plan", b"plot", 1)) is None
