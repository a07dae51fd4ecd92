"""What a model answers: of the type that it has to be, or sent back; from the backup where the first one failed."""

from typing import Any

import msgspec
import pytest
from tests.support.agents import HANDLER
from tests.support.deciding import STARTED, agent, asked, the_event
from tests.support.logs import rebuild

from stenograph_events import AnyEvent, EventId
from stenograph_events.testing import START, assistant_message, log, model_failed, user_message
from stenograph_events.types import MessageAdded, TurnFinished
from stenograph_events.values import TextPart, Usage
from stenograph_projections.session import Session
from stenograph_services.orchestrator.answers import Took, checked, failure, message
from stenograph_services.orchestrator.models.request import CallWanted, ModelError, ModelResponse

TYPED = "Ask:\n  block: next-message\n  responseType: Plan\n  output: PLAN\n"
SAID = [*STARTED, user_message("Hi", block=0)]
TYPED_HANDLER = "Add:\n  block: add-message\n  role: user\n  prompt: said\n  input: [TEXT]\n" + TYPED


def said(one: Any, response: ModelResponse, *events: AnyEvent) -> MessageAdded:
    """Return the message that `response` becomes where the model is asked after `events`."""
    question = asked(one, *events)
    return message(state(*events), question, response, Took(20, 5), "ctx", id=EventId("m1"), at=START)


def state(*events: AnyEvent) -> Session:
    return rebuild(event for event, _ in log(*events))


def text(what: str) -> ModelResponse:
    return ModelResponse(parts=(TextPart(what),))


# ---- structured output


def test_an_answer_of_the_declared_type_is_a_value():
    one = agent(TYPED_HANDLER)

    answer = said(one, text('{"plan": "pro"}'), *SAID)
    after = state(*SAID, answer)

    assert (answer.response_type, answer.rejected) == ("Plan", None)
    assert msgspec.json.decode(after.variables["PLAN"]) == {"plan": "pro"}


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ('{"plan": 5}', 'it is no Plan: /plan: 5 is not of type "string"'),
        ("Pro!", "it is not JSON: JSON is malformed: invalid character (byte 0)"),
    ],
)
def test_an_answer_of_another_type_goes_back_to_the_model(wrong: str, why: str):
    one = agent(TYPED_HANDLER)

    answer = said(one, text(wrong), *SAID)
    after = state(*SAID, answer)

    assert answer.rejected == why
    assert after.variables == {}
    assert asked(one, *SAID, answer).step == 1


def test_a_model_that_never_finds_the_type_ends_the_turn():
    one = agent(TYPED_HANDLER, max_steps=1)

    finished = the_event(one, *SAID, said(one, text("Pro!"), *SAID))

    assert isinstance(finished, TurnFinished)
    assert (finished.outcome, finished.reason) == ("failed", "invalid-response")
    assert "it is not JSON" in str(finished.detail)


def test_a_response_that_asks_for_tools_need_not_be_of_the_type_yet():
    wanted = ModelResponse(parts=(TextPart("Let me see."),), calls=(CallWanted("get-account", '{"userId":"u1"}'),))

    answer = said(agent(TYPED_HANDLER), wanted, *SAID)

    assert (answer.response_type, answer.rejected) == (None, None)


# ---- what is recorded of an answer


def test_a_message_says_who_made_it_what_it_took_and_what_it_saw():
    response = ModelResponse(
        parts=(TextPart("Hello"),), usage=Usage(7, 3), model="gpt-5-2026", provider="openai", finish_reason="stop"
    )

    answer = said(agent(HANDLER), response, *SAID)

    assert (answer.model, answer.provider, answer.agent_version) == ("gpt-5-2026", "openai", "v1")
    assert (answer.usage, answer.cost_usd, answer.finish_reason) == (Usage(7, 3), None, "stop")
    assert (answer.latency_ms, answer.first_token_ms, answer.context, answer.attempt) == (20, 5, "ctx", 1)


@pytest.mark.parametrize(
    ("response", "kind"),
    [(ModelResponse(), "empty-response"), (ModelResponse(parts=(TextPart("x" * 1_000_000),)), "too-large")],
)
def test_what_cannot_be_an_event_is_a_failed_attempt(response: ModelResponse, kind: str):
    with pytest.raises(ModelError, match=kind):
        checked(response)


# ---- the backup model


BACKED = agent(HANDLER, agent="backupModel: openai/gpt-5")


def failed(kind: str = "overloaded", *, retryable: bool = True, first_token_ms: int | None = None, **more: Any) -> Any:
    question = asked(BACKED, *SAID)
    error = ModelError(kind, "no", retryable=retryable)
    return failure(state(*SAID), question, error, Took(20, first_token_ms), id=EventId("f1"), at=START)


def test_the_backup_answers_after_a_failure_that_it_may_not_share():
    question = asked(BACKED, *SAID, failed())

    assert (question.model, question.backup, question.attempt) == ("openai/gpt-5", True, 2)


def test_the_backup_is_not_asked_about_a_mistake_of_ours():
    finished = the_event(BACKED, *SAID, failed("bad-request", retryable=False))

    assert (finished.reason, finished.detail) == ("model-failed", "bad-request: no")


def test_the_backup_is_not_asked_when_somebody_saw_a_piece_of_the_first_answer():
    question = asked(BACKED, *SAID, failed(first_token_ms=3))

    assert (question.model, question.backup) == ("scripted/play", False)


def test_when_the_backup_fails_too_the_first_failure_is_the_reason():
    again = model_failed(2, error="timeout", detail="slow", retryable=True, backup=True)

    finished = the_event(BACKED, *SAID, failed(), again)

    assert (finished.reason, finished.detail) == ("model-failed", "overloaded: no")


def test_a_message_of_the_backup_says_so():
    question = asked(BACKED, *SAID, failed())

    answer = message(state(*SAID, failed()), question, text("Hello"), Took(9))

    assert (answer.backup, answer.model, answer.attempt) == (True, "openai/gpt-5", 2)


def test_after_the_answer_the_first_model_is_asked_again():
    twice = agent(HANDLER + "More:\n  block: next-message\n", agent="backupModel: openai/gpt-5")

    question = asked(twice, *SAID, failed(), assistant_message("Hello"))

    assert (question.block, question.backup) == (2, False)
