"""A tool that failed again and again is not asked: its calls are refused at once, and one call tries it later."""

from datetime import timedelta
from typing import Any

import pytest
from tests.support.agents import HANDLER, TOOLS
from tests.support.deciding import STARTED, agent, decided, the_event

from stenograph_events import AnyEvent, check_call_id
from stenograph_events.testing import (
    START,
    approval_granted,
    assistant_message,
    log,
    parent,
    raw,
    session_created,
    tool_call,
    tool_outcome_unknown,
    tool_requested,
    tool_timed_out,
    turn_started,
    user_message,
)
from stenograph_events.types import ApprovalRequested, ToolRefused, ToolRequested
from stenograph_projections.invariants import check
from stenograph_services.orchestrator.decisions import Append, Ask, HeldBack

ARGUMENTS = raw({"userId": "u1"})
LOOKS = assistant_message(calls=[tool_call("c1", "get-account", arguments=ARGUMENTS)])
NEEDED: list[AnyEvent] = [*STARTED, user_message(), LOOKS]
LATER = START + timedelta(seconds=30)
OPEN = {"get-account": HeldBack(5, LATER)}
TRYING = {"get-account": HeldBack(5, LATER, on_trial=True)}
TO_BE_TRIED = {"get-account": HeldBack(5, START, may_try=True)}
TRIED_ELSEWHERE = {"get-account": HeldBack(5, START)}
LOOK = "Look:\n  block: tool-call\n  tool: get-account\n  input: {userId: TEXT}\n  output: ACCOUNT\n"


def holds(*events: AnyEvent) -> bool:
    """Return whether a log of these events breaks no invariant."""
    return check([(n, None, data) for n, (_, data) in enumerate(log(*events), 1)]).ok


@pytest.mark.parametrize(
    ("held", "error", "not_before"),
    [
        (OPEN, "failed 5 times in a row; it is not asked again before 2026-11-22T10:00:30Z", LATER),
        (TRYING, "failed 5 times in a row, and another call is trying whether it works again; ask again later", LATER),
        (TRIED_ELSEWHERE, "failed 5 times in a row, and another call is trying whether it works again", START),
    ],
)
def test_a_call_of_a_broken_tool_is_refused_with_the_reason_and_the_time(held: Any, error: str, not_before: Any):
    refused = the_event(agent(HANDLER), *NEEDED, held_back=held)
    after = decided(agent(HANDLER), *NEEDED, refused, held_back=held)

    assert isinstance(refused, ToolRefused)
    assert refused.error.startswith(f"the tool get-account {error}")
    assert refused.not_before == not_before
    assert isinstance(after, Ask)
    assert holds(*NEEDED, refused)


def test_a_block_s_call_of_a_broken_tool_is_refused_and_its_output_says_why():
    refused = the_event(agent(LOOK), *STARTED, held_back=OPEN)
    after = the_event(agent(LOOK), *STARTED, refused, held_back=OPEN)

    assert (refused.block, refused.output, refused.not_before) == (0, "ACCOUNT", LATER)
    assert after.outcome == "completed"
    assert holds(*STARTED, refused, after)


def test_the_call_that_may_try_it_is_requested():
    assert isinstance(the_event(agent(HANDLER), *NEEDED, held_back=TO_BE_TRIED), ToolRequested)


def test_of_the_calls_of_one_step_only_the_first_tries_it():
    twice = [tool_call("c1", "get-account", arguments=ARGUMENTS), tool_call("c2", "get-account", arguments=ARGUMENTS)]
    decision = decided(agent(HANDLER), *STARTED, user_message(), assistant_message(calls=twice), held_back=TO_BE_TRIED)

    assert isinstance(decision, Append)
    first, second = decision.events
    assert isinstance(first, ToolRequested)
    assert isinstance(second, ToolRefused)
    assert "another call is trying" in second.error


def test_other_tools_are_asked_all_the_same():
    mails = assistant_message(calls=[tool_call("c1", "send-mail", arguments=raw({"to": "ann"}))])

    assert isinstance(the_event(agent(HANDLER), *STARTED, user_message(), mails, held_back=OPEN), ToolRequested)


def test_wrong_arguments_are_told_before_the_tool_is_looked_at():
    wrong = assistant_message(calls=[tool_call("c1", "get-account", arguments=raw({"userId": 5}))])
    refused = the_event(agent(HANDLER), *STARTED, user_message(), wrong, held_back=OPEN)

    assert "the arguments are wrong" in refused.error
    assert refused.not_before is None


def test_a_call_that_would_be_tried_again_is_given_up():
    tools = TOOLS.replace("retry: safe", "retry: safe\n  attempts: 3")
    tried = [
        *NEEDED,
        tool_requested("c1", tool="get-account", arguments=ARGUMENTS, retry="safe", attempts=3),
        tool_timed_out("c1", again=True),
    ]

    refused = the_event(agent(HANDLER, tools=tools), *tried, held_back=OPEN)

    assert isinstance(refused, ToolRefused)
    assert refused.not_before == LATER
    assert isinstance(decided(agent(HANDLER, tools=tools), *tried, refused, held_back=OPEN), Ask)
    assert isinstance(the_event(agent(HANDLER, tools=tools), *tried, held_back=TO_BE_TRIED), ToolRequested)
    assert holds(*tried, refused)


def test_an_agent_may_declare_that_its_calls_wait_all_the_same():
    patient = agent(HANDLER, tools=TOOLS.replace("retry: safe", "retry: safe\n  whenBroken: ask"))

    assert isinstance(the_event(patient, *NEEDED, held_back=OPEN), ToolRequested)


def test_nobody_is_asked_for_an_approval_of_what_would_be_refused_and_what_is_approved_of_runs():
    guarded = agent(HANDLER, tools=TOOLS.replace("retry: safe", "approval: always"))
    asks = the_event(guarded, *NEEDED)

    refused = the_event(guarded, *NEEDED, held_back=OPEN)
    requested = the_event(guarded, *NEEDED, asks, approval_granted("c1", digest=asks.digest), held_back=OPEN)

    assert isinstance(asks, ApprovalRequested)
    assert isinstance(refused, ToolRefused)
    assert isinstance(requested, ToolRequested)


def test_a_check_of_an_unknown_effect_is_asked_for_all_the_same():
    tools = TOOLS.replace("retry: never", "retry: never\n  onUnknown: {reconcile: get-account}").replace(
        "{userId: {type: string}}", "{call: {type: string}}"
    )
    mails = assistant_message(calls=[tool_call("c1", "send-mail", arguments=raw({"to": "ann"}))])
    requested = tool_requested("c1", tool="send-mail", arguments=raw({"to": "ann"}), on_unknown="reconcile")
    before = [*STARTED, user_message(), mails, requested, tool_outcome_unknown("c1", then="reconcile")]

    checked = the_event(agent(HANDLER, tools=tools), *before, held_back=OPEN)

    assert (checked.tool, checked.call) == ("get-account", check_call_id("c1", 1))


def test_a_child_agent_s_call_is_refused_where_the_tool_that_serves_it_is_broken():
    served = parent(tools={"get-account": "look-up"})
    begun: list[AnyEvent] = [
        session_created(parent=served),
        turn_started(input=raw({"TEXT": "Hi"})),
        user_message(),
        LOOKS,
    ]

    refused = the_event(agent(HANDLER), *begun, held_back={"look-up": OPEN["get-account"]})
    asked = the_event(agent(HANDLER), *begun, held_back=OPEN)

    assert refused.error.startswith("the tool get-account failed 5 times in a row")
    assert (asked.tool, isinstance(asked, ToolRequested)) == ("look-up", True)
