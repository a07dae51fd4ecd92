"""Budgets: a question that would exceed one is not asked; the turn waits until somebody allows more."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from tests.support.agents import HANDLER
from tests.support.deciding import STARTED, agent, asked, decided, the_event

from stenograph_events.testing import (
    START,
    assistant_message,
    budget_exceeded,
    budget_raised,
    raw,
    tool_call,
    tool_requested,
    tool_succeeded,
    turn_cancel_requested,
    user_message,
)
from stenograph_events.types import BudgetExceeded, TurnFinished
from stenograph_events.values import Usage
from stenograph_services.orchestrator.decisions import Wait
from stenograph_services.protocol import Agent

SAID = [*STARTED, user_message("Hi")]
BEGAN = START + timedelta(seconds=2)  # when the turn of `STARTED` did


def limited(budget: str) -> Agent:
    return agent(HANDLER, agent=f"budget: {{turn: {{{budget}}}}}")


def one_step(**used: Any) -> list[Any]:
    """A first answer that called a tool, and the tool's result."""
    call = tool_call("c1", "get-account", arguments=b'{"userId":"u1"}')
    answered = tool_succeeded("c1", result=raw("ab"))
    return [*SAID, assistant_message(calls=[call], **used), tool_requested("c1"), answered]


def dollars(model: str, usage: Usage) -> Decimal | None:
    """A cent for each token of the answer; the question is free."""
    return Decimal(usage.output_tokens) / 100


def test_a_model_is_asked_as_often_as_the_budget_of_steps_allows():
    two = limited("steps: 2")
    again = one_step()

    assert asked(two, *again).step == 1
    exceeded = the_event(limited("steps: 1"), *again)

    assert isinstance(exceeded, BudgetExceeded)
    assert (exceeded.scope, exceeded.unit) == ("turn", "steps")
    assert (int(exceeded.allowed), int(exceeded.used), exceeded.wanted) == (1, 1, Decimal(1))


def test_an_answer_may_be_as_long_as_what_the_question_leaves_of_the_tokens():
    one = limited("tokens: 1000")
    used = Usage(input_tokens=300, output_tokens=100)

    question = asked(one, *one_step(usage=used))

    # 400 are gone; the next question brings the same 400 and the result of the tool, 4 bytes of JSON.
    assert question.max_output_tokens == 1000 - 400 - (400 + 2)


def test_a_question_that_alone_exceeds_the_tokens_is_not_asked():
    exceeded = the_event(limited("tokens: 700"), *one_step(usage=Usage(input_tokens=300, output_tokens=100)))

    assert (exceeded.unit, exceeded.allowed, exceeded.used, exceeded.wanted) == ("tokens", 700, 400, 403)


def test_money_limits_the_answer_by_its_price():
    one = limited("cost: 0.5")

    question = asked(one, *SAID, price=dollars)
    later = one_step(usage=Usage(1, 50), cost_usd=Decimal("0.5"))
    exceeded = the_event(one, *later, price=dollars)

    assert question.max_output_tokens == 50
    assert (exceeded.unit, exceeded.used, exceeded.wanted) == ("cost", Decimal("0.5"), Decimal("0.01"))


def test_a_budget_of_money_stops_at_a_price_that_nobody_knows():
    exceeded = the_event(limited("cost: 5"), *SAID)

    assert (exceeded.unit, exceeded.allowed, exceeded.wanted) == ("cost", 5, None)


def test_time_is_counted_from_the_start_of_the_turn():
    one = limited("seconds: 60")

    assert asked(one, *SAID, now=BEGAN + timedelta(seconds=45)).seconds == 15
    exceeded = the_event(one, *SAID, now=BEGAN + timedelta(seconds=61))

    assert (exceeded.unit, exceeded.allowed, exceeded.used) == ("seconds", 60, 61)


def test_a_session_has_a_budget_over_all_its_turns():
    one = agent(HANDLER, agent="budget: {session: {steps: 1}}")

    exceeded = the_event(one, *one_step())

    assert (exceeded.scope, exceeded.unit) == ("session", "steps")


def test_a_turn_over_its_budget_waits_and_goes_on_where_it_stands_once_it_is_raised():
    one = limited("steps: 1")
    over = [*one_step(), the_event(one, *one_step())]

    assert decided(one, *over) == Wait()
    question = asked(one, *over, budget_raised(steps=1))

    assert (question.block, question.step) == (1, 1)


def test_a_budget_that_is_raised_by_too_little_is_exceeded_again_by_another_event():
    one = limited("tokens: 700")
    before = one_step(usage=Usage(input_tokens=300, output_tokens=100))
    first = the_event(one, *before)

    second = the_event(one, *before, first, budget_raised(tokens=50))

    assert (second.unit, second.allowed) == ("tokens", 750)
    assert second.id != first.id


def test_a_turn_that_waits_for_a_budget_can_be_cancelled():
    one = limited("steps: 1")
    over = [*one_step(), the_event(one, *one_step())]

    finished = the_event(one, *over, turn_cancel_requested())

    assert isinstance(finished, TurnFinished)
    assert finished.outcome == "cancelled"


def test_the_time_in_which_a_turn_waits_for_a_budget_does_not_count():
    one = agent(HANDLER, agent="budget: {turn: {steps: 1, seconds: 60}}")
    waited = [
        *SAID,
        budget_exceeded(at=BEGAN + timedelta(seconds=10)),
        budget_raised(steps=5, at=BEGAN + timedelta(seconds=1_000)),
    ]

    question = asked(one, *waited, now=BEGAN + timedelta(seconds=1_005))

    assert question.seconds == 60 - 15
