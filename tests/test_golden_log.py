"""The golden log of the demo agent: a session of an early version, which every later version must read the same way."""

from pathlib import Path

import msgspec

from stenograph_events import decode, encode
from stenograph_projections.invariants import check
from stenograph_projections.messages import ShownText, shown
from stenograph_projections.snapshot import SnapshotFold
from stenograph_projections.transcript import entry_of

GOLDEN = Path(__file__).parents[1] / "docs" / "golden" / "support-chat.jsonl"
LINES = GOLDEN.read_bytes().splitlines()


def test_the_golden_log_decodes_to_events_that_encode_to_its_very_bytes():
    assert len(LINES) == 17
    assert [encode(decode(line)) for line in LINES] == LINES


def test_the_golden_log_keeps_every_rule():
    report = check([(n, None, line) for n, line in enumerate(LINES, 1)], complete=True)

    assert report.broken == []
    assert report.rules["one-result"] == 2


def test_the_golden_log_folds_to_the_state_that_it_always_had():
    fold = SnapshotFold()
    for n, line in enumerate(LINES, 1):
        fold.apply(decode(line), line, n)

    session = fold.session
    assert session is not None
    assert (session.agent, session.turns, session.turn, session.queue, session.woken_by) == (
        "support-chat",
        2,
        None,
        (),
        None,
    )
    assert msgspec.json.decode(session.resources["LAST_ANSWER"]).startswith("Done: ")
    assert fold.usage["scripted/support-chat"].output_tokens == 157


def test_the_golden_log_shows_a_person_the_conversation():
    events = [decode(line) for line in LINES]
    fold = SnapshotFold()
    for n, (event, line) in enumerate(zip(events, LINES, strict=True), 1):
        fold.apply(event, line, n)
    assert fold.session is not None

    messages = shown([entry for event in events if (entry := entry_of(event))], fold.session)

    assert [message.role for message in messages] == ["user", "assistant", "user", "assistant"]
    said = [part.text for part in messages[0].parts if isinstance(part, ShownText)]
    assert said == ["What plan am I on?"]
