"""Blocks: what each of the four asks for, given where the session stands."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from tests.support.agents import HANDLER, TOOLS, bundle
from tests.support.logs import rebuild

from stenograph_events import AnyEvent, derived_id
from stenograph_events.testing import (
    START,
    approval_granted,
    assistant_message,
    block_finished,
    log,
    raw,
    session_created,
    tool_call,
    tool_failed,
    tool_requested,
    tool_succeeded,
    tool_timed_out,
    turn_finished,
    turn_started,
    user_message,
)
from stenograph_events.types import (
    BlockFinished,
    MessageAdded,
    ToolRefused,
    ToolRequested,
)
from stenograph_events.values import TextPart
from stenograph_services.orchestrator.decide import decide
from stenograph_services.orchestrator.decisions import Append, Ask, Decision, Env
from stenograph_services.orchestrator.values import Values
from stenograph_services.protocol import Agent, load_bundle

ENV = Env(now=START, tools={"get-account": "safe", "send-mail": "never"})
STARTED: list[AnyEvent] = [session_created(), turn_started(input=raw({"TEXT": "Hi"}))]

LOOK = "Look:\n  block: tool-call\n  tool: get-account\n  input: {userId: TEXT}\n  output: ACCOUNT\n"
NOTE = "Note:\n  block: set-resource\n  resource: NOTE\n  value: ANSWER\n"


def agent(handler: str, **more: Any) -> Agent:
    return load_bundle(bundle("x", handler=handler, **more))


def decided(agent: Agent, *events: AnyEvent, **env: Any) -> Decision:
    session = rebuild(event for event, _ in log(*events))
    return decide(session, agent, msgspec.structs.replace(ENV, **env))


def the_event(agent: Agent, *events: AnyEvent, **env: Any) -> Any:
    decision = decided(agent, *events, **env)
    assert isinstance(decision, Append)
    (event,) = decision.events
    return event


# ---- add-message


def test_a_message_is_added_with_its_prompt_filled_in():
    added = the_event(agent(HANDLER), *STARTED)

    assert isinstance(added, MessageAdded)
    assert (added.role, added.block, added.thread, added.visible) == ("user", 0, "main", True)
    assert added.parts == (TextPart("Hi"),)
    assert (added.id, added.cause, added.model) == (derived_id("t1.started", "block/0"), "t1.started", None)


# ---- next-message


def test_the_model_is_asked_again_after_each_step_until_the_steps_are_used():
    two_steps = agent(HANDLER, max_steps=2)
    call = tool_call("c1", "get-account", arguments=raw({"userId": "u1"}))
    one_step = [*STARTED, user_message("Hi"), assistant_message(calls=[call]), *answered("c1")]
    call = tool_call("c2", "get-account", arguments=raw({"userId": "u1"}))
    both_steps = [*one_step, assistant_message(step=1, calls=[call]), *answered("c2")]

    question = decided(two_steps, *one_step)
    assert isinstance(question, Ask)
    assert (question.block, question.step, question.output) == (1, 1, "ANSWER")
    finished = the_event(two_steps, *both_steps)
    assert isinstance(finished, BlockFinished)
    assert (finished.block, finished.reason) == (1, "max-steps")


def test_a_second_question_to_the_model_counts_its_steps_anew():
    twice = agent(HANDLER + "Again:\n  block: next-message\n")

    asked = decided(twice, *STARTED, user_message("Hi"), assistant_message("Hello"))

    assert isinstance(asked, Ask)
    assert (asked.block, asked.step, asked.output) == (2, 0, None)


# ---- tool-call


def test_a_block_calls_a_tool_with_what_its_mapping_names():
    requested = the_event(agent(LOOK), *STARTED)

    assert isinstance(requested, ToolRequested)
    assert (requested.tool, requested.arguments) == ("get-account", raw({"userId": "Hi"}))
    assert (requested.block, requested.output, requested.attempt) == (0, "ACCOUNT", 1)
    assert requested.deadline_at == START + timedelta(seconds=60)


@pytest.mark.parametrize(
    ("of_block", "of_tool", "served", "seconds"),
    [
        (None, "20s", True, 20),
        ("5s", "20s", True, 5),
        ("2m", "20s", True, 120),
        ("5s", None, True, 5),
        ("5s", "20s", False, 5),
        (None, None, False, 24 * 3600),
    ],
)
def test_a_call_may_take_as_long_as_its_block_says_or_else_its_tool(
    of_block: str | None, of_tool: str | None, served: bool, seconds: float
):
    look = LOOK + (f"  timeout: {of_block}\n" if of_block else "")
    tools = TOOLS.replace("retry: safe", f"retry: safe\n  timeout: {of_tool}") if of_tool else TOOLS

    requested = the_event(agent(look, tools=tools), *STARTED, tools={"get-account": "safe"} if served else {})

    assert requested.deadline_at == START + timedelta(seconds=seconds)


def test_a_further_attempt_and_an_approved_call_may_take_as_long_as_their_block_says():
    look = agent(LOOK + "  timeout: 5s\n", tools=TOOLS.replace("retry: safe", "retry: safe\n  attempts: 2"))
    guarded = agent(LOOK + "  timeout: 5s\n", tools=TOOLS.replace("retry: safe", "approval: always"))
    requested, asks = the_event(look, *STARTED), the_event(guarded, *STARTED)

    again = the_event(look, *STARTED, requested, tool_timed_out(requested.call, again=True))
    granted = the_event(guarded, *STARTED, asks, approval_granted(asks.call, digest=asks.digest))

    assert again.deadline_at == again.not_before + timedelta(seconds=5)
    assert granted.deadline_at == START + timedelta(seconds=5)


def test_the_result_of_a_block_s_call_is_its_output_variable():
    looked = agent(LOOK + NOTE.replace("ANSWER", "ACCOUNT"))
    requested = the_event(looked, *STARTED)

    noted = the_event(looked, *STARTED, requested, tool_succeeded(requested.call, result=raw({"plan": "pro"})))
    failed = the_event(looked, *STARTED, requested, tool_failed(requested.call, error="down"))

    assert noted.resources == {"NOTE": raw({"plan": "pro"})}
    assert failed.resources == {"NOTE": raw({"error": "down"})}


def test_a_block_s_call_with_wrong_arguments_is_refused_and_the_turn_goes_on():
    wrong = agent(LOOK.replace("TEXT", "ACCOUNT") + NOTE)

    refused = the_event(wrong, *STARTED)
    next_one = the_event(wrong, *STARTED, refused)

    assert isinstance(refused, ToolRefused)
    assert refused.error == 'the arguments are wrong: "userId" is a required property'
    assert (refused.block, refused.output) == (0, "ACCOUNT")
    assert isinstance(next_one, BlockFinished)


@pytest.mark.parametrize(
    ("protocol", "workers", "retry"),
    [
        ("retry: safe", {}, "safe"),
        ("retry: never", {"t": "safe"}, "never"),
        ("", {"t": "safe"}, "safe"),
        ("", {}, "never"),
    ],
)
def test_the_protocol_says_whether_a_call_may_run_again_then_the_workers_then_nobody_dares(
    protocol: str, workers: Any, retry: str
):
    tools = f"t:\n  description: Do it\n  {protocol}\nget-account:\n  description: x\nsend-mail:\n  description: y\n"
    quiet = agent("Do:\n  block: tool-call\n  tool: t\n", tools=tools)

    assert the_event(quiet, *STARTED, tools=workers).retry == retry


def test_a_model_may_not_call_a_tool_that_only_blocks_may_call():
    hidden = load_bundle(_without_mail())
    call = tool_call("c1", "send-mail", arguments=raw({"to": "a@b"}))

    refused = the_event(hidden, *STARTED, user_message("Hi"), assistant_message(calls=[call]))

    assert isinstance(refused, ToolRefused)
    assert refused.error == "no tool 'send-mail'"


def _without_mail() -> Any:
    whole = bundle("x")
    protocol = whole.protocol.replace("tools: [get-account, send-mail]", "tools: [get-account]")
    return msgspec.structs.replace(whole, protocol=protocol)


# ---- set-resource


def test_a_resource_takes_the_value_of_a_variable_or_null():
    noting = agent(HANDLER + NOTE)

    noted = the_event(noting, *STARTED, user_message("Hi"), assistant_message("Hello", output="ANSWER"))
    empty = the_event(agent(NOTE), *STARTED)

    assert (noted.block, noted.resources, noted.reason) == (2, {"NOTE": raw("Hello")}, "done")
    assert empty.resources == {"NOTE": raw(None)}


# ---- what prompts and mappings may name


def test_names_mean_the_trigger_s_input_then_what_was_set_then_the_session_s_input_then_defaults():
    session = rebuild(
        event
        for event, _ in log(
            session_created(input=raw({"COMPANY": "Acme", "TEXT": "hidden"})),
            turn_started(input=raw({"TEXT": "Hi"})),
            block_finished(0, variables={"ANSWER": raw("42")}),
        )
    )

    values = Values(session, agent(NOTE))

    assert dict(values) == {"TEXT": "Hi", "ANSWER": "42", "COMPANY": "Acme", "NOTE": ""}
    assert len(values) == 4
    assert "ACCOUNT" not in values


def test_what_a_turn_was_given_is_gone_with_it():
    session = rebuild(event for event, _ in log(*STARTED, turn_finished()))

    assert "TEXT" not in Values(session, agent(NOTE))


def answered(call: str) -> list[AnyEvent]:
    return [tool_requested(call, tool="get-account"), tool_succeeded(call)]
