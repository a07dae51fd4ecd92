"""What a call to a child agent becomes, and the answer that the child's end is."""

from typing import Any

import pytest
from msgspec import Raw
from tests.support.agents import SAY_HELLO, bundle
from tests.support.children import child_bundle

from stenograph_events import TurnId, turn_id
from stenograph_events.ids import SessionId
from stenograph_events.testing import SESSION, START, raw, tool_requested, turn_finished
from stenograph_events.types import ToolRequested
from stenograph_events.values import Child, Parent
from stenograph_events.wire import ToolAnswer
from stenograph_services.protocol import load_bundle
from stenograph_services.runtime.errors import InputTooLarge, InvalidInput
from stenograph_services.tool_gateway import child_decide

OTHER = SessionId("0a" + "1" * 32)
CHILD = Child(OTHER, "researcher", "v7", 2, {"find": "search"})
AGENT = load_bundle(child_bundle("researcher", SAY_HELLO))


def asked(arguments: Any = {"TOPIC": "tides"}) -> ToolRequested:  # noqa: B006
    return tool_requested("c1", tool="researcher", child=CHILD, arguments=raw(arguments))


def test_the_session_of_a_child_names_its_parent_and_is_pinned_to_the_version_of_the_request():
    created = child_decide.created(asked(), CHILD, raw({"TOPIC": "tides"}), START)

    assert (created.session, created.agent, created.agent_version) == (OTHER, "researcher", "v7")
    assert created.parent == Parent(SESSION, TurnId("t1"), asked().call, 1, 2, {"find": "search"}, "researcher")


def test_whoever_makes_the_session_of_a_child_makes_the_same_event_and_starts_the_same_turn():
    first, second = (child_decide.created(asked(), CHILD, raw({}), START) for _ in range(2))

    assert first == second
    assert child_decide.child_turn(OTHER, child_decide.call_of(asked())) == turn_id(OTHER, "c1-1")


def test_defaults_of_a_childs_input_are_filled_in():
    assert child_decide.input_of(asked(), AGENT, 1_000) == raw({"TOPIC": "tides", "STYLE": "plain"})


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({}, "TOPIC is missing"),
        ({"TOPIC": 5}, '/TOPIC: 5 is not of type "string"'),
        ([], "must be an object"),
    ],
)
def test_arguments_that_a_child_does_not_take_are_refused(arguments: Any, problem: str):
    with pytest.raises(InvalidInput) as refused:
        child_decide.input_of(asked(arguments), AGENT, 1_000)

    assert problem in str(refused.value)


def test_an_input_over_the_limit_is_refused():
    with pytest.raises(InputTooLarge):
        child_decide.input_of(asked({"TOPIC": "x" * 1_000}), AGENT, 1_000)


def test_only_an_agent_of_format_worker_runs_as_a_child():
    with pytest.raises(InvalidInput, match="its format is not worker"):
        child_decide.input_of(asked(), load_bundle(bundle("x")), 1_000)


def test_a_child_that_completed_answers_with_its_output_or_null():
    end = turn_finished(session=OTHER, output=raw("high"))

    assert child_decide.succeeded(end) == ToolAnswer("succeeded", result=raw("high"), worker=OTHER)
    assert child_decide.succeeded(turn_finished(session=OTHER)).result == Raw(b"null")


@pytest.mark.parametrize(
    ("end", "error"),
    [
        (turn_finished(outcome="failed", reason="r", detail="d"), "the child agent 'researcher' failed: r: d"),
        (turn_finished(outcome="failed"), "the child agent 'researcher' failed"),
        (turn_finished(outcome="cancelled"), "the child agent 'researcher' was cancelled"),
    ],
)
def test_a_child_that_did_not_complete_answers_with_a_sentence_that_names_it(end: Any, error: str):
    answer = child_decide.failed(end, "researcher")

    assert (answer.outcome, answer.error, answer.worker) == ("failed", error, SESSION)
