"""Each rule holds for plausible logs, and each is broken, by name, by a log made to break it."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.logs import logs, stored

from stenograph_events import AnyEvent, Head
from stenograph_events.testing import (
    assistant_message,
    block_finished,
    log,
    message_added,
    model_failed,
    session_created,
    tool_answer_rejected,
    tool_call,
    tool_cancelled,
    tool_failed,
    tool_refused,
    tool_requested,
    tool_succeeded,
    tool_timed_out,
    trigger_queued,
    trigger_rejected,
    turn_cancel_requested,
    turn_finished,
    turn_started,
    user_message,
)
from stenograph_projections.invariants import RULES, Report, Stored, check

STARTED: list[AnyEvent] = [session_created(), turn_started(), user_message("Hello")]
ASKED: list[AnyEvent] = [*STARTED, assistant_message(calls=["c1"])]
REQUESTED: list[AnyEvent] = [*ASKED, tool_requested("c1")]
ANSWERED: list[AnyEvent] = [*REQUESTED, tool_succeeded("c1")]
DONE: list[AnyEvent] = [*ANSWERED, assistant_message("Hi", step=1), turn_finished()]
CANCELLED: list[AnyEvent] = [*STARTED, turn_cancel_requested()]
TWO_WAIT: list[AnyEvent] = [*STARTED, trigger_queued("t2"), trigger_queued("t3"), turn_finished()]


# ---- logs that are as they should be


@given(logs())
def test_every_rule_holds_for_a_log_that_went_as_it_should(events: list[AnyEvent]):
    report = check(stored(events), complete=True)

    assert report.broken == []
    assert report.ok
    assert report.events == report.rules["chain"] == report.rules["subject"] == len(events)


@given(logs(), st.data())
def test_a_log_may_be_looked_at_while_it_grows(events: list[AnyEvent], data: st.DataObject):
    cut = data.draw(st.integers(1, len(events)))

    assert check(stored(events[:cut])).broken == []


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([*REQUESTED, tool_timed_out(), tool_requested(attempt=2), tool_succeeded(attempt=2)], id="retry"),
        pytest.param([*REQUESTED, tool_requested(attempt=2), tool_succeeded(attempt=2)], id="superseded attempt"),
        pytest.param([*ASKED, tool_refused(), assistant_message(step=1)], id="refused without a request"),
        pytest.param([*ASKED, turn_cancel_requested(), tool_cancelled()], id="cancelled without a request"),
        pytest.param([*STARTED, tool_refused("c9", block=2)], id="a block's call refused"),
        pytest.param([*DONE, tool_answer_rejected(), turn_cancel_requested()], id="late answer and cancel"),
        pytest.param([session_created(), turn_cancel_requested(), trigger_rejected("t1", "cancelled")], id="withdrawn"),
        pytest.param([*CANCELLED, assistant_message("The b", finish_reason="cancelled")], id="partial answer"),
        pytest.param([session_created(), turn_started(cause="a trigger's message id")], id="an outside cause"),
    ],
)
def test_what_is_unusual_but_right_breaks_nothing(events: list[AnyEvent]):
    assert check(stored(events)).broken == []


def test_an_event_of_a_later_version_breaks_nothing():
    [*before, last] = stored([*STARTED, turn_finished()])
    later = last._replace(data=last.data.replace(b"turn.finished", b"turn.paused"))

    assert check([*before, later]).broken == []


def test_an_exported_log_has_no_subjects_to_check():
    report = check(item._replace(subject=None) for item in stored(DONE))

    assert report.ok
    assert report.rules["subject"] == 0


# ---- logs that are not


BREAKING: dict[str, list[list[AnyEvent]]] = {
    "unique-id": [[*STARTED, assistant_message("Hi", id="t1.started")]],
    "created-first": [[turn_started()], [*STARTED, session_created(id="again")]],
    "one-session": [[session_created(), turn_started(tenant="other")]],
    "cause": [
        [*STARTED, assistant_message("Hi", cause="nowhere")],
        [*STARTED, user_message(block=1, cause="t1.message.1.0")],
        [session_created(), turn_started(cause="t1.started")],
        [session_created(), turn_started(cause="t1.message.0.0"), user_message()],
    ],
    "foldable": [[session_created(), user_message()]],
    "one-outcome": [
        [*STARTED, turn_started(id="again")],
        [*STARTED, trigger_rejected("t1")],
        [*STARTED, trigger_queued("t2"), trigger_rejected("t2")],
        [*STARTED, trigger_queued("t2"), turn_cancel_requested("t2"), turn_finished(), turn_started("t2")],
        [session_created(), trigger_rejected("t1"), turn_started("t1")],
        [session_created(), turn_cancel_requested("t1"), turn_started("t1")],
    ],
    "one-turn-at-a-time": [[*STARTED, turn_started("t2")]],
    "queue-order": [[*TWO_WAIT, turn_started("t3")], [*TWO_WAIT, turn_started("t4")]],
    "one-end": [[*DONE, turn_finished(id="again")], [session_created(), turn_finished()]],
    "within-its-turn": [
        [*STARTED, turn_finished(), assistant_message("Hi")],
        [*REQUESTED, turn_finished(), tool_succeeded()],
        [*STARTED, block_finished(turn="t2")],
    ],
    "cancelling": [
        [*CANCELLED, assistant_message("Hi")],
        [*CANCELLED, message_added("Hi", role="assistant", block=2)],
        [*ASKED, turn_cancel_requested(), tool_requested()],
        [*CANCELLED, turn_finished()],
        [*STARTED, trigger_queued("t2", interrupts=True), assistant_message("Hi")],
    ],
    "one-answer": [[*STARTED, assistant_message("Hi"), assistant_message("Hi again", id="again")]],
    "asked-before": [
        [*STARTED, tool_requested()],
        [*STARTED, tool_refused()],
        [*CANCELLED, tool_cancelled()],
        [*ASKED, tool_requested(tool="delete-everything")],
        [*ASKED, tool_refused(), assistant_message(calls=["c1"], step=1)],
    ],
    "attempts": [
        [*ASKED, tool_requested(attempt=2)],
        [*REQUESTED, tool_requested(id="again")],
        [*ANSWERED, tool_requested(attempt=2)],
        [*ASKED, tool_refused(), tool_requested()],
    ],
    "result-after-request": [
        [*ASKED, tool_succeeded()],
        [*REQUESTED, tool_succeeded(attempt=2)],
        [*REQUESTED, tool_requested(attempt=2), tool_timed_out()],
    ],
    "one-result": [[*ANSWERED, tool_failed()], [*ASKED, tool_refused(), tool_cancelled()]],
    "answered-first": [
        [*REQUESTED, assistant_message("Hi", step=1)],
        [*ASKED, model_failed(step=1)],
        [*REQUESTED, turn_finished()],
        [*STARTED, tool_requested(block=1), turn_finished()],
    ],
}


@pytest.mark.parametrize(
    ("rule", "events"), [pytest.param(rule, events, id=rule) for rule, all_ in BREAKING.items() for events in all_]
)
def test_a_log_that_breaks_a_rule_is_told_so_by_name(rule: str, events: list[AnyEvent]):
    report = check(stored(events))

    assert rule in {broken.rule for broken in report.broken}
    assert not report.ok
    assert report.rules[rule] > 0


def test_every_rule_that_the_meaning_of_events_can_break_is_broken_above():
    bytes_only = {"decodable", "chain", "rising-sequence", "subject"}

    assert set(BREAKING) == set(RULES) - bytes_only


def test_the_report_says_where_and_why():
    [broken] = check(stored([*ANSWERED, tool_failed()])).broken

    assert (broken.session, broken.rule, broken.n) == (session_created().session, "one-result", 7)
    assert broken.detail == "call c1 is answered already"


@pytest.mark.parametrize(
    ("events", "rule"),
    [
        pytest.param(STARTED, "one-end", id="a turn that has not ended"),
        pytest.param([*STARTED, trigger_queued("t2"), turn_finished()], "one-outcome", id="a queue"),
    ],
)
def test_a_complete_log_leaves_nothing_open(events: list[AnyEvent], rule: str):
    assert check(stored(events)).ok
    assert [broken.rule for broken in check(stored(events), complete=True).broken] == [rule]


# ---- the store


@given(logs(), st.data())
def test_a_byte_changed_anywhere_is_always_found(events: list[AnyEvent], data: st.DataObject):
    log_ = stored(events)
    position = data.draw(st.integers(0, len(log_) - 1))
    at = data.draw(st.integers(0, len(log_[position].data) - 1))
    changed = bytearray(log_[position].data)
    changed[at] ^= data.draw(st.integers(1, 255))
    edited = [*log_[:position], log_[position]._replace(data=bytes(changed)), *log_[position + 1 :]]

    assert not check(edited, known=head_of(log_)).ok
    assert position == len(log_) - 1 or not check(edited).ok


@given(logs().filter(lambda events: len(events) > 2), st.data())
def test_loss_and_reordering_are_always_found(events: list[AnyEvent], data: st.DataObject):
    log_ = stored(events)
    one = data.draw(st.integers(0, len(log_) - 1))
    other = data.draw(st.integers(0, len(log_) - 1).filter(lambda position: position != one))
    swapped = list(log_)
    swapped[one], swapped[other] = log_[other], log_[one]

    assert not check(swapped).ok
    assert not check([*log_[:one], *log_[one + 1 :]], known=head_of(log_)).ok
    assert not check(log_[:one], known=head_of(log_)).ok


def test_a_lost_end_shows_only_against_what_was_known():
    log_ = stored(DONE)

    assert check(log_[:5]).ok
    [broken] = check(log_[:5], known=head_of(log_)).broken
    assert (broken.rule, broken.detail) == ("chain", f"the log once had {len(log_)} events")
    assert check(log_, known=head_of(log_[:5])).ok


def test_a_log_that_was_written_again_is_not_the_one_that_was_known():
    rewritten = stored([session_created(), turn_started(), user_message("Something else"), turn_finished()])

    [broken] = check(rewritten, known=head_of(stored(STARTED))).broken

    assert (broken.rule, broken.n) == ("chain", 3)


def test_positions_must_rise():
    first, second, *_ = stored(DONE)

    [broken] = check([first, second._replace(sequence=first.sequence)]).broken

    assert (broken.rule, broken.n) == ("rising-sequence", 2)


@pytest.mark.parametrize("change", [("default", "other"), (".session", ".turn"), ("ev.2f", "ev.00"), ("ev.", "live.")])
def test_an_event_under_a_foreign_subject_is_found(change: tuple[str, str]):
    [created] = stored([session_created()])
    assert created.subject is not None

    [broken] = check([created._replace(subject=created.subject.replace(*change))]).broken

    assert broken.rule == "subject"


def test_a_tool_name_that_cannot_be_a_subject_is_found():
    call = tool_call("c1", tool="*")
    [*before, last] = log(*STARTED, assistant_message(calls=[call]), tool_requested(tool="*"))
    subject = "ev.2f.default.2f0193a5c1d07b7c8e9d4f60718293a4b5.tool-request.*"

    report = check([*((event.n, None, data) for event, data in before), (last[0].n, subject, last[1])])

    assert [broken.rule for broken in report.broken] == ["subject"]


def test_bytes_that_are_no_event_are_found_and_what_follows_is_still_checked():
    log_ = stored(DONE)
    damaged = [*log_[:2], log_[2]._replace(data=b"\x00" * 40), *log_[3:]]

    report = check(damaged)

    assert [(broken.rule, broken.n) for broken in report.broken] == [("decodable", 3), ("chain", 4)]
    assert report.rules["one-end"] == 1


# ---- the report


def test_an_empty_log_proves_nothing():
    report = check([])

    assert not report.ok
    assert report.broken == []
    assert set(report.rules) == set(RULES)
    assert not any(report.rules.values())


def test_reports_add_up():
    good, bad = check(stored(DONE)), check(stored([*DONE, turn_finished(id="again")]))

    total = sum([good, bad, check([])], Report())

    assert total.events == good.events + bad.events
    assert total.rules["chain"] == total.events
    assert total.broken == bad.broken
    assert not total.ok


def test_every_rule_says_in_one_sentence_what_it_promises():
    assert all(promise.endswith(".") and "\n" not in promise for promise in RULES.values())


def head_of(log_: list[Stored]) -> Head:
    last = log_[-1]
    return Head(last.sequence, len(log_), sha256(last.data).hexdigest())
