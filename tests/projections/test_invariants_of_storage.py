"""The rules about bytes and positions: what is lost, moved, changed or no event is found, wherever it is."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.logs import logs, stored

from stenograph_events import AnyEvent, Head
from stenograph_events.testing import (
    assistant_message,
    log,
    session_created,
    tool_call,
    tool_requested,
    tool_succeeded,
    turn_finished,
    turn_started,
    user_message,
)
from stenograph_projections.invariants import Stored, check

STARTED: list[AnyEvent] = [session_created(), turn_started(), user_message("Hello")]
REQUESTED: list[AnyEvent] = [*STARTED, assistant_message(calls=["c1"]), tool_requested("c1")]
DONE: list[AnyEvent] = [*REQUESTED, tool_succeeded("c1"), assistant_message("Hi", step=1), turn_finished()]


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
    assert (broken.rule, broken.detail) == ("known-head", f"the log once had {len(log_)} events")
    assert check(log_, known=head_of(log_[:5])).ok


def test_a_log_that_was_written_again_is_not_the_one_that_was_known():
    rewritten = stored([session_created(), turn_started(), user_message("Something else"), turn_finished()])

    [broken] = check(rewritten, known=head_of(stored(STARTED))).broken

    assert (broken.rule, broken.n) == ("known-head", 3)


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


def head_of(log_: list[Stored]) -> Head:
    last = log_[-1]
    return Head(last.sequence, len(log_), sha256(last.data).hexdigest())
