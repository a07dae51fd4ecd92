"""How a turn that does not complete ends its stream."""

from decimal import Decimal
from typing import Any

import pytest
from tests.gateway.playing import HANDLER, KNOWN, said, stream_of

from stenograph_events.testing import (
    SESSION,
    assistant_message,
    budget_exceeded,
    budget_raised,
    model_failed,
    turn_finished,
    turn_started,
    user_message,
)
from stenograph_events.types import AnyEvent
from stenograph_services.gateway.stream.sse import TurnStream


@pytest.mark.parametrize(
    ("reason", "type", "source", "retryable"),
    [
        ("unsupported", "provider_error", "platform", False),
        ("invalid-response", "provider_error", "provider", True),
        ("invalid-settings", "validation_error", "platform", False),
        ("budget-exceeded", "quota_exceeded_error", "platform", False),
        ("unknown-agent", "not_found_error", "platform", False),
        ("crash-loop", "internal_error", "platform", True),
        ("a-later-reason", "internal_error", "platform", True),
        (None, "internal_error", "platform", True),
    ],
)
def test_each_reason_has_its_type_of_error(reason: str | None, type: str, source: str, retryable: bool):
    end = stream_of(turn_started(), turn_finished(outcome="failed", reason=reason, detail="block 'Draw': …"))[-1]

    assert (end["errorType"], end["source"], end["retryable"]) == (type, source, retryable)
    assert end["message"] == "block 'Draw': …"
    assert end.get("code") == reason


def test_a_models_failure_names_its_provider_and_the_status_that_it_answered():
    failure = model_failed(
        error="overloaded", detail="try later", model="vercel/anthropic/claude", provider="anthropic", status=529
    )

    end = stream_of(turn_started(), failure, turn_finished(outcome="failed", reason="model-failed"))[-1]

    assert end["errorType"] == "provider_overloaded"
    assert end["code"] == "ANTHROPIC_529"
    assert end["provider"] == {"name": "anthropic", "model": "anthropic/claude", "statusCode": 529}


def test_when_the_backup_model_fails_too_the_first_failure_is_told():
    first = model_failed(error="overloaded", detail="the first")
    second = model_failed(2, error="authentication", detail="the second", model="other/backup", backup=True)

    end = stream_of(turn_started(), first, second, turn_finished(outcome="failed", reason="model-failed"))[-1]

    assert end["message"] == "the first"


def test_a_failure_that_was_overcome_is_not_told_of_a_later_one():
    overcome = model_failed(error="overloaded", detail="the first")
    later = model_failed(2, error="timeout", detail="the second", step=1, backup=True)

    end = stream_of(
        turn_started(),
        user_message(),
        overcome,
        assistant_message(calls=["c1"]),
        later,
        turn_finished(outcome="failed", reason="model-failed"),
    )[-1]

    assert (end["errorType"], end["message"]) == ("provider_timeout", "the second")


@pytest.mark.parametrize(
    ("amounts", "sentence"),
    [
        (
            {"unit": "tokens", "allowed": Decimal(1000), "used": Decimal(980), "wanted": Decimal(57)},
            "the turn's budget allows 1,000 tokens: 980 used, at least 57 more needed for the next answer. "
            f"The turn waits: raise it with `stenograph sessions raise-budget {SESSION} --turn --tokens N`",
        ),
        (
            {"unit": "cost", "allowed": Decimal("0.50"), "used": Decimal("0.48"), "wanted": Decimal("0.031")},
            "allows $0.50: $0.48 used, at least $0.031 more needed for the next answer.",
        ),
        (
            {"unit": "cost", "allowed": Decimal("1"), "used": Decimal("0"), "wanted": None},
            "allows $1.00: $0.00 used, and what the next answer costs is unknown.",
        ),
        ({"unit": "steps", "allowed": Decimal(10), "used": Decimal(10)}, "allows 10 steps: 10 used. "),
        ({"unit": "seconds", "allowed": Decimal(60), "used": Decimal("61.25")}, "allows 60 s: 61.25 s used. "),
        ({"scope": "session", "unit": "steps"}, "--session --steps N`, or cancel the turn"),
    ],
)
def test_a_turn_that_waits_for_a_budget_ends_the_stream_and_says_how_to_raise_it(
    amounts: dict[str, Any], sentence: str
):
    events = stream_of(turn_started(), user_message(), said(1, "Hel"), budget_exceeded(**amounts))

    assert [event["type"] for event in events[-3:]] == ["text-end", "block-end", "error"]
    end = events[-1]
    assert (end["errorType"], end["retryable"], end["code"]) == ("quota_exceeded_error", False, "budget-exceeded")
    assert sentence in end["message"]


def test_a_budget_that_was_raised_meanwhile_does_not_end_a_stream_that_is_told_again():
    log: list[AnyEvent] = [turn_started(n=2), user_message(n=3), budget_exceeded(n=4), budget_raised(n=5)]
    stream = TurnStream("t1", HANDLER, KNOWN, since=6)

    for event in log:
        stream.show(event)

    assert not stream.over
    stream.show(budget_exceeded(n=6))
    assert stream.over
