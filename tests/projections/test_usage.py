"""Usage: what the models of a session consumed."""

from collections.abc import Iterable
from decimal import Decimal

from hypothesis import given
from tests.support.logs import logs, rebuild

from stenograph_events import AnyEvent
from stenograph_events.testing import assistant_message, message_added, model_failed, user_message
from stenograph_events.values import Usage
from stenograph_projections import usage as usages
from stenograph_projections.usage import ModelUsage, UsageByModel


def used(events: Iterable[AnyEvent]) -> UsageByModel:
    usage: UsageByModel = {}
    for event in events:
        usage = usages.apply(usage, event)
    return usage


def test_responses_tokens_and_cost_add_up_by_model():
    usage = used(
        [
            user_message(),
            assistant_message("One", model="openai/a", usage=Usage(10, 20, 3, 4), cost_usd=Decimal("0.1")),
            assistant_message("Two", model="openai/a", usage=Usage(1, 2), cost_usd=Decimal("0.2")),
            assistant_message("Three", model="anthropic/b", usage=Usage(5, 6), cost_usd=Decimal(1)),
        ]
    )

    assert usage == {
        "openai/a": ModelUsage(2, 11, 22, 3, 4, Decimal("0.3")),
        "anthropic/b": ModelUsage(1, 5, 6, cost_usd=Decimal(1)),
    }


def test_tokens_whose_price_is_unknown_are_counted_beside_the_cost():
    usage = used(
        [
            assistant_message("One", model="openai/a", usage=Usage(10, 20), cost_usd=Decimal("0.1")),
            assistant_message("Two", model="openai/a", usage=Usage(1, 2)),
        ]
    )

    assert usage == {"openai/a": ModelUsage(2, 11, 22, cost_usd=Decimal("0.1"), unpriced=1)}


def test_a_failed_attempt_counts_where_its_tokens_are_known():
    usage = used([model_failed(1), model_failed(2, model="openai/a", usage=Usage(7, 1), cost_usd=Decimal("0.01"))])

    assert usage == {"openai/a": ModelUsage(0, 7, 1, cost_usd=Decimal("0.01"))}


def test_a_response_without_a_count_is_still_a_response():
    assert used([assistant_message("Hi", model="openai/a", usage=None)]) == {"openai/a": ModelUsage(1)}


def test_a_message_that_no_model_wrote_costs_nothing():
    assert used([message_added("Welcome!", role="assistant")]) == {}


@given(logs())
def test_a_session_has_spent_what_its_models_used(events: list[AnyEvent]):
    usage, session = used(events).values(), rebuild(events)

    assert session.spent.tokens == sum(model.input_tokens + model.output_tokens for model in usage)
    assert session.spent.cost_usd == sum(model.cost_usd for model in usage)
    assert session.spent.unpriced == sum(model.unpriced for model in usage)
    assert session.spent.steps == sum(model.responses for model in usage)
