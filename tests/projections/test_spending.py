"""Spending: what the models of a turn and of a session consumed, and budgets that are exceeded and raised."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from tests.support.logs import rebuild

from stenograph_events import AnyEvent
from stenograph_events.testing import (
    START,
    assistant_message,
    budget_exceeded,
    budget_raised,
    log,
    message_added,
    model_failed,
    session_created,
    tool_requested,
    tool_succeeded,
    trigger_queued,
    turn_cancel_requested,
    turn_finished,
    turn_started,
    user_message,
)
from stenograph_events.values import Usage
from stenograph_projections.session import RAISES_REMEMBERED, Raised, Session, Spent, Turn, runnable

STARTED: list[AnyEvent] = [session_created(), turn_started(), user_message()]
EXCEEDED: list[AnyEvent] = [*STARTED, budget_exceeded("turn")]


def turn_of(session: Session) -> Turn:
    assert session.turn is not None
    return session.turn


def later(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


# ---- what was spent


def test_answers_and_failed_attempts_are_spent_of_the_turn_and_of_the_session():
    session = rebuild(
        [
            *STARTED,
            model_failed(1, usage=Usage(100, 5), cost_usd=Decimal("0.01")),
            assistant_message(calls=["c1"], attempt=2, usage=Usage(100, 20), cost_usd=Decimal("0.02")),
            tool_requested(),
            tool_succeeded(),
            assistant_message("Pro.", step=1, usage=Usage(150, 8), cost_usd=Decimal("0.03")),
        ]
    )

    assert session.spent == Spent(tokens=383, cost_usd=Decimal("0.06"), steps=2)
    assert turn_of(session).spent == session.spent


def test_a_turn_begins_with_nothing_spent_and_a_session_goes_on():
    first = [*STARTED, assistant_message("Hi", usage=Usage(10, 2), cost_usd=Decimal("0.01")), turn_finished()]

    session = rebuild([*first, turn_started("t2"), user_message(turn="t2")])

    assert turn_of(session).spent == Spent()
    assert (session.spent.tokens, session.spent.steps) == (12, 1)


def test_an_unknown_price_is_unknown_and_not_nothing():
    spent = rebuild([*STARTED, assistant_message("Hi", usage=Usage(10, 2), cost_usd=None)]).spent

    assert (spent.tokens, spent.cost_usd, spent.unpriced) == (12, Decimal(0), 1)


def test_a_price_of_nothing_is_known():
    spent = rebuild([*STARTED, assistant_message("Hi", usage=Usage(10, 2), cost_usd=Decimal(0))]).spent

    assert spent.unpriced == 0


def test_an_answer_that_was_stopped_before_it_was_counted_is_a_step_of_unknown_tokens():
    partial = assistant_message("The b", finish_reason="cancelled", usage=None)

    assert rebuild([*STARTED, partial]).spent == Spent(steps=1)


def test_an_attempt_that_failed_before_anything_was_counted_costs_nothing():
    assert rebuild([*STARTED, model_failed(1)]).spent == Spent()


def test_a_message_of_a_block_costs_nothing():
    assert rebuild([*STARTED, message_added("Welcome!", role="assistant", block=1)]).spent == Spent()


# ---- budgets


def test_a_turn_over_a_budget_waits():
    session = rebuild(EXCEEDED)

    assert turn_of(session).exceeded == "turn"
    assert not runnable(session)
    assert session.woken_by is None


@pytest.mark.parametrize("exceeded", ["turn", "session"])
@pytest.mark.parametrize("raised", ["turn", "session"])
def test_a_turn_looks_at_its_budgets_again_when_one_was_raised(exceeded: str, raised: str):
    session = rebuild([*STARTED, budget_exceeded(exceeded), budget_raised(raised, tokens=100)])

    assert turn_of(session).exceeded is None
    assert session.woken_by == "t1.raised"


def test_what_is_raised_adds_up_for_the_turn_or_for_the_session():
    session = rebuild(
        [
            *EXCEEDED,
            budget_raised("turn", tokens=100, cost=Decimal("0.5"), id="r1"),
            budget_raised("turn", steps=2, seconds=1.5, cost=Decimal("0.25"), id="r2"),
            budget_raised("session", tokens=7, id="r3"),
        ]
    )

    assert turn_of(session).raised == Raised(100, Decimal("0.75"), 2, 1.5)
    assert session.raised == Raised(tokens=7)
    assert session.raises == ("r1", "r2", "r3")


def test_what_a_turn_was_allowed_ends_with_it_and_what_a_session_was_allowed_stays():
    raised = [*EXCEEDED, budget_raised("turn", tokens=100, id="r1"), budget_raised("session", tokens=7, id="r2")]

    session = rebuild([*raised, assistant_message("Hi"), turn_finished(), turn_started("t2")])

    assert turn_of(session).raised == Raised()
    assert session.raised == Raised(tokens=7)


def test_a_sessions_budget_may_be_raised_while_no_turn_runs():
    session = rebuild([session_created(), budget_raised("session", turn=None, steps=3)])

    assert session.raised == Raised(steps=3)
    assert (session.turn, session.woken_by) == (None, None)


def test_the_last_hundred_raises_are_remembered():
    raises = [budget_raised("session", turn=None, id=f"r{number}") for number in range(RAISES_REMEMBERED + 1)]

    session = rebuild([session_created(), *raises])

    assert session.raises == tuple(event.id for event in raises[1:])


@pytest.mark.parametrize(
    "stop", [turn_cancel_requested(), trigger_queued("t2", interrupts=True)], ids=["cancel", "interrupt"]
)
def test_a_turn_that_waits_for_a_budget_can_be_stopped(stop: AnyEvent):
    session = rebuild([*EXCEEDED, stop])

    assert session.woken_by == stop.id
    assert turn_of(session).cancelling


def test_a_trigger_that_only_waits_does_not_wake_a_turn_over_its_budget():
    assert rebuild([*EXCEEDED, trigger_queued("t2")]).woken_by is None


# ---- time


def test_a_session_has_spent_the_time_of_its_turns():
    two_turns: list[AnyEvent] = [
        *STARTED,
        turn_finished(),
        turn_started("t2"),
        user_message(turn="t2"),
        turn_finished("t2"),
    ]

    session = rebuild(event for event, _ in log(*two_turns))

    assert session.spent.seconds == 4.0


def test_the_time_in_which_a_turn_waits_for_a_budget_is_not_spent():
    waited: list[AnyEvent] = [
        session_created(),
        turn_started(at=later(10)),
        budget_exceeded(at=later(15)),
        budget_raised(at=later(1000)),
    ]

    running = rebuild(waited)
    over = rebuild([*waited, turn_finished(at=later(1002))])

    assert turn_of(running).started_at == later(995)
    assert over.spent.seconds == 7.0


def test_a_turn_that_is_stopped_while_it_waits_has_spent_the_time_before():
    events: list[AnyEvent] = [
        session_created(),
        turn_started(at=later(10)),
        budget_exceeded(at=later(15)),
        turn_cancel_requested(),
    ]

    assert rebuild([*events, turn_finished(outcome="cancelled", at=later(1000))]).spent.seconds == 5.0
