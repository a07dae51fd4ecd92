"""The breaker's own rules, without a clock and without a server."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenograph_services.runtime.breaker import PAUSE_MAX, TRIAL_GRACE, Breaker, Row, Terms, opened

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
TERMS = Terms(failures=3, pause=timedelta(seconds=30))


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def tried(breaker: Breaker, call: str = "c1", at: float = 31, timeout: float = 60) -> Breaker:
    return breaker.tried(call, after(at), after(at + timeout))


def test_failures_are_counted_from_the_last_answer_on():
    row = Row().failed(None).failed(None)

    assert row.failures == 2
    assert Row(answered_at=NOW).failed(after(1)).failures == 1


def test_a_call_that_was_asked_before_the_last_answer_says_nothing_of_the_tool():
    """A worker that dies takes its calls with it, and they are late long after another one has gone on."""
    row = Row(answered_at=after(59))

    assert row.failed(NOW) == row
    assert row.failed(after(59)) == row
    assert row.failed(after(60)).failures == 1


def test_an_open_breaker_holds_calls_back_until_its_pause_is_over():
    breaker = opened(3, NOW, TERMS)

    assert breaker.holds_back(after(29.9))
    assert not breaker.holds_back(after(30))


def test_the_first_call_after_the_pause_tries_and_holds_back_all_others_until_its_outcome_is_due():
    trying = tried(opened(3, NOW, TERMS))

    assert (trying.trial, trying.until) == ("c1", after(91) + TRIAL_GRACE)
    assert tried(trying, "c2", at=32) == trying
    assert tried(trying, "c1", at=31) == trying


def test_a_call_that_was_asked_before_the_pause_was_over_tries_nothing():
    breaker = opened(3, NOW, TERMS)

    assert tried(breaker, at=29) == breaker


def test_a_trial_holds_others_back_for_ten_minutes_at_most():
    trying = tried(opened(3, NOW, TERMS), timeout=24 * 3600)

    assert trying.until == after(31) + PAUSE_MAX
    assert tried(trying, "c2", at=31 + 601).trial == "c2"


def test_a_trial_that_fails_opens_it_again_for_twice_the_time():
    again = tried(opened(3, NOW, TERMS)).failed("c1", after(91), TERMS)

    assert (again.times, again.failures, again.trial) == (2, 4, None)
    assert again.until == after(91 + 60)
    assert again.holds_back(after(150))


def test_the_failure_of_any_other_call_changes_nothing_while_it_is_open():
    for breaker in (opened(3, NOW, TERMS), tried(opened(3, NOW, TERMS))):
        assert breaker.failed("c9", after(92), TERMS) == breaker


def test_a_trial_that_nobody_waits_for_any_more_leaves_the_next_call_to_try():
    let_go = tried(opened(3, NOW, TERMS)).let_go("c1", after(40))

    assert not let_go.holds_back(after(40))
    assert tried(let_go, "c2", at=41).trial == "c2"
    assert tried(opened(3, NOW, TERMS)).let_go("c2", after(40)).trial == "c1"


def test_a_worker_that_begins_to_serve_it_is_tried_at_once_unless_a_call_does_already():
    assert not opened(3, NOW, TERMS).begun_anew(after(1)).holds_back(after(1))
    assert tried(opened(3, NOW, TERMS)).begun_anew(after(40)).holds_back(after(41))


@pytest.mark.parametrize("pause", [timedelta(milliseconds=1), timedelta(seconds=30), timedelta(hours=1)])
def test_the_pause_doubles_up_to_ten_minutes_or_stays_what_was_asked_for(pause: timedelta):
    terms = Terms(3, pause)
    pauses = [terms.pause_of(times) for times in range(1, 10_000, 7)]

    assert terms.pause_of(1) == pause
    assert pauses == sorted(pauses)
    assert max(pauses) == max(pause, PAUSE_MAX)


CALLS = st.sampled_from(["c1", "c2", "c3"])
HAPPENS = st.one_of(
    st.tuples(st.just("tried"), CALLS, st.floats(1, 2_000)),
    st.tuples(st.just("failed"), CALLS, st.none()),
    st.tuples(st.just("let_go"), CALLS, st.none()),
    st.tuples(st.just("begun_anew"), st.none(), st.none()),
)


@given(st.lists(st.tuples(st.floats(0, 900), HAPPENS), max_size=40))
def test_whatever_happens_no_tool_is_held_back_for_long_and_only_one_call_tries_it(happenings: list[Any]):
    """Nobody has to mend anything by hand: a pause ends, and so does a trial that nobody hears of again."""
    breaker, at = opened(3, NOW, TERMS), 0.0
    for seconds, (what, call, timeout) in happenings:
        at += seconds
        before, now = breaker, after(at)
        match what:
            case "tried":
                breaker = breaker.tried(call, now, after(at + timeout))
                assert breaker == before or not before.holds_back(now)
                assert breaker.holds_back(now) or before.trial == call  # delivered again
            case "failed":
                breaker = breaker.failed(call, now, TERMS)
                assert breaker == before or (before.trial == call and breaker.times == before.times + 1)
            case "let_go":
                breaker = breaker.let_go(call, now)
            case _:
                breaker = breaker.begun_anew(now)
        assert not breaker.holds_back(now + PAUSE_MAX)
        assert breaker.failures == 3 + breaker.times - 1


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 100)), max_size=60))
def test_a_tool_that_answers_now_and_then_is_never_more_failures_in_than_came_since(outcomes: list[tuple[bool, float]]):
    row, at, since = Row(), 0.0, 0
    for answers, seconds in outcomes:
        at += seconds
        if answers:
            row, since = Row(answered_at=after(at)), 0
        else:
            row = row.failed(after(at - 1))
            since += 1
        assert row.failures <= since
