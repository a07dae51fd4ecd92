"""Calls that began and never answered: a person says what came of them, or another tool finds out, or nobody knows."""

import asyncio
import time
from typing import Any

import pytest
from msgspec.structs import replace
from tests.support.agents import CALL_THEN_SAY as LOOK
from tests.support.agents import HANDLER, TOOLS
from tests.support.deciding import STARTED, agent, decided, the_event
from tests.support.services import TENANT, Stage, Talk

from stenograph_events import AnyEvent, CallId, check_call_id
from stenograph_events.subjects import claim_subject
from stenograph_events.testing import (
    assistant_message,
    raw,
    resolution_requested,
    tool_call,
    tool_failed,
    tool_outcome_unknown,
    tool_requested,
    tool_resolved,
    tool_succeeded,
    tool_timed_out,
    turn_cancel_requested,
    user_message,
)
from stenograph_events.types import (
    ResolutionRequested,
    ToolAnswerRejected,
    ToolFailed,
    ToolOutcomeUnknown,
    ToolRequested,
    ToolResolved,
    TurnStarted,
)
from stenograph_events.values import Actor
from stenograph_sdk import NotDecided, ToolContext, ToolError, Worker
from stenograph_services.orchestrator import app as orchestrator
from stenograph_services.orchestrator import effects
from stenograph_services.orchestrator.decisions import Append, Ask, Wait
from stenograph_services.runtime.jetstream import publish
from stenograph_services.tool_gateway import app as tool_gateway

FIND = """\
find-mail:
  description: Find out whether it was sent
  parameters: {call: {type: string}, arguments: {type: unknown}}
  retry: safe
  timeout: 1s
"""
ASKING = TOOLS.replace(
    "retry: never", "retry: never\n  timeout: 1s\n  onUnknown: ask-person\n  result: {id: {type: string}}"
)
CHECKING = TOOLS.replace("retry: never", "retry: never\n  timeout: 1s\n  onUnknown: {reconcile: find-mail}") + FIND
QUICK = ASKING.replace("ask-person", "ask-person\n  approvalTimeout: 1s")
MAIL = """\
loop: true
turns:
  - - calls: [{tool: send-mail, arguments: {to: ann}}]
    - text: "It says: {{last_result}}"
"""
UNKNOWN = "The tool began and did not answer. Whether it took effect is unknown."
ARGUMENTS = raw({"to": "ann"})
ASKS = assistant_message(calls=[tool_call("c1", "send-mail", arguments=ARGUMENTS)])
NEEDED: list[AnyEvent] = [*STARTED, user_message(), ASKS]


def left_unknown(then: Any) -> list[AnyEvent]:
    requested = tool_requested("c1", tool="send-mail", arguments=ARGUMENTS, on_unknown=then)
    return [*NEEDED, requested, tool_outcome_unknown("c1", then=then)]


ASKED: list[AnyEvent] = [*left_unknown("ask-person"), resolution_requested("c1", tool="send-mail", arguments=ARGUMENTS)]
CHECK = check_call_id("c1", 1)
CHECKED: list[AnyEvent] = [
    *left_unknown("reconcile"),
    tool_requested(CHECK, tool="find-mail", retry="safe", checks=CallId("c1")),
]


@pytest.mark.parametrize(("tools", "policy"), [(TOOLS, None), (ASKING, "ask-person"), (CHECKING, "reconcile")])
def test_a_request_says_what_follows_if_nobody_knows_what_came_of_it(tools: str, policy: str | None):
    assert the_event(agent(HANDLER, tools=tools), *NEEDED).on_unknown == policy


def test_what_no_worker_serves_is_never_left_unknown():
    assert the_event(agent(HANDLER, tools=ASKING), *NEEDED, tools={}).on_unknown is None


def test_the_model_is_asked_at_once_where_nothing_is_declared():
    requested = tool_requested("c1", tool="send-mail")

    assert isinstance(decided(agent(HANDLER), *NEEDED, requested, tool_outcome_unknown("c1")), Ask)


def test_a_person_is_asked_with_the_arguments_that_the_call_ran_with():
    question = the_event(agent(HANDLER, tools=ASKING), *left_unknown("ask-person"))

    assert isinstance(question, ResolutionRequested)
    assert (question.call, question.tool, question.attempt) == ("c1", "send-mail", 1)
    assert bytes(question.arguments) == b'{"to":"ann"}'
    assert (question.deadline_at - question.at).days == 7


def test_nothing_follows_while_a_person_is_asked():
    assert isinstance(decided(agent(HANDLER, tools=ASKING), *ASKED), Wait)


@pytest.mark.parametrize("outcome", ["succeeded", "failed", "unknown"])
def test_the_model_is_asked_when_it_is_known_or_nobody_knows(outcome: str):
    assert isinstance(decided(agent(HANDLER, tools=ASKING), *ASKED, tool_resolved("c1", outcome)), Ask)


def test_a_check_is_requested_with_what_it_declares_of_the_call():
    check = the_event(agent(HANDLER, tools=CHECKING), *left_unknown("reconcile"))

    assert isinstance(check, ToolRequested)
    assert (check.tool, check.retry, check.checks, check.call) == ("find-mail", "safe", "c1", CHECK)
    assert bytes(check.arguments) == b'{"call":"c1","arguments":{"to":"ann"}}'
    assert (check.deadline_at - check.at).total_seconds() == 1


@pytest.mark.parametrize(("says", "most"), [("", None), ("\n  maxResult: 2KiB", 2048)])
def test_a_request_says_how_large_its_result_may_be_where_its_tool_does(says: str, most: int | None):
    tools = TOOLS.replace("retry: never", f"retry: never{says}\n  onUnknown: {{reconcile: find-mail}}")
    tools += FIND.replace("  timeout: 1s", f"  timeout: 1s{says}")

    request = the_event(agent(HANDLER, tools=tools), *NEEDED)
    check = the_event(agent(HANDLER, tools=tools), *left_unknown("reconcile"))

    assert (request.max_result_bytes, check.max_result_bytes) == (most, most)


def test_a_check_goes_on_in_the_trace_of_its_turn():
    log = left_unknown("reconcile")
    traced = [replace(one, traceparent="t") if isinstance(one, TurnStarted) else one for one in log]

    assert the_event(agent(HANDLER, tools=CHECKING), *traced).traceparent == "t"


def test_nothing_follows_while_a_check_runs():
    assert isinstance(decided(agent(HANDLER, tools=CHECKING), *CHECKED), Wait)


@pytest.mark.parametrize(
    ("found", "outcome", "error"),
    [
        ({"outcome": "succeeded", "result": 5}, "succeeded", None),
        ({"outcome": "failed", "error": "It bounced."}, "failed", "It bounced."),
        ({"outcome": "unknown"}, "unknown", None),
        ({"outcome": "maybe"}, "unknown", "The check answered what says nothing"),
        ({"outcome": "failed", "result": 5}, "unknown", "The check answered what cannot be"),
        (None, "unknown", "The check did not answer."),
    ],
)
def test_what_a_check_finds_out_is_the_outcome_of_the_call(found: Any, outcome: str, error: str | None):
    resolved = the_event(agent(HANDLER, tools=CHECKING), *CHECKED, tool_succeeded(CHECK, result=raw(found)))

    assert isinstance(resolved, ToolResolved)
    assert (resolved.call, resolved.outcome, resolved.check, resolved.actor) == ("c1", outcome, CHECK, None)
    assert (resolved.error or "").startswith(error or "")


def test_a_check_that_fails_leaves_it_unknown_and_is_not_tried_again():
    resolved = the_event(agent(HANDLER, tools=CHECKING), *CHECKED, tool_failed(CHECK))
    after = decided(agent(HANDLER, tools=CHECKING), *CHECKED, tool_failed(CHECK), resolved)

    assert (resolved.outcome, resolved.error) == ("unknown", "The check did not answer.")
    assert isinstance(after, Ask)


def test_a_cancelled_turn_says_that_nobody_knows_not_that_the_call_was_cancelled():
    for waits in (left_unknown("ask-person"), ASKED, CHECKED):
        closed = decided(agent(HANDLER, tools=CHECKING), *waits, turn_cancel_requested())

        assert isinstance(closed, Append)
        assert (closed.events[0].outcome, closed.events[0].reason) == ("unknown", "cancelled")  # type: ignore[union-attr]


# ---- tried again

AGAIN_TOOLS = TOOLS.replace("retry: safe", "retry: safe\n  attempts: 3\n  backoff: 8s\n  timeout: 20s")
LOOKS = assistant_message(calls=[tool_call("c1", "get-account", arguments=raw({"userId": "u1"}))])
TRIED: list[AnyEvent] = [
    *STARTED,
    user_message(),
    LOOKS,
    tool_requested("c1", tool="get-account", arguments=raw({"userId": "u1"}), retry="safe", attempts=3),
]


def test_a_request_says_how_often_its_call_is_tried():
    asked = the_event(agent(HANDLER, tools=AGAIN_TOOLS), *STARTED, user_message(), LOOKS)

    assert (asked.attempt, asked.attempts, asked.not_before) == (1, 3, None)
    assert the_event(agent(HANDLER, tools=AGAIN_TOOLS), *STARTED, user_message(), LOOKS, tools={}).attempts == 1


@pytest.mark.parametrize("ended", [tool_failed("c1", again=True), tool_timed_out("c1", again=True)])
def test_what_is_tried_again_is_requested_with_the_same_arguments_after_a_pause(ended: AnyEvent):
    asked = the_event(agent(HANDLER, tools=AGAIN_TOOLS), *TRIED, ended)

    assert isinstance(asked, ToolRequested)
    assert (asked.call, asked.attempt, asked.attempts, asked.retry) == ("c1", 2, 3, "safe")
    assert bytes(asked.arguments) == b'{"userId":"u1"}'
    assert asked.not_before is not None
    assert 6.0 <= (asked.not_before - asked.at).total_seconds() <= 10.0
    assert (asked.deadline_at - asked.not_before).total_seconds() == 20


def test_the_pause_doubles_up_to_five_minutes_and_is_the_same_whoever_computes_it():
    tool = agent(HANDLER, tools=AGAIN_TOOLS).tools["get-account"]
    pauses = [effects.pause("c1", tool, failed) for failed in range(1, 10)]

    assert pauses == [effects.pause("c1", tool, failed) for failed in range(1, 10)]
    assert all(0.75 <= pause / min(8 * 2**i, 300) <= 1.25 for i, pause in enumerate(pauses))
    assert effects.pause("c2", tool, 1) != pauses[0]


def test_the_model_is_asked_when_the_last_attempt_failed():
    assert isinstance(decided(agent(HANDLER, tools=AGAIN_TOOLS), *TRIED, tool_failed("c1")), Ask)


# ---- with services


async def test_a_worker_that_fails_twice_and_then_answers_is_asked_three_times(stage: Stage):
    quick = TOOLS.replace("retry: safe", "retry: safe\n  attempts: 3\n  backoff: 0.2")
    talk = await stage.session(LOOK, tools=quick)
    ran: list[tuple[int, float]] = []
    worker = Worker(stage.settings.nats_url, name="w-1")

    @worker.tool("get-account", retry="safe")
    async def get_account(userId: str, *, call: ToolContext) -> dict[str, str]:
        ran.append((call.attempt, time.monotonic()))
        if call.attempt < 3:
            raise ToolError("the database is down")
        return {"plan": "pro"}

    task = asyncio.create_task(worker.run(signals=False))
    try:
        await worker.serving.wait()
        turn = await talk.send()
        await talk.end_of(turn)
    finally:
        worker.stop()
        await task

    assert [attempt for attempt, _ in ran] == [1, 2, 3]
    assert ran[1][1] - ran[0][1] >= 0.15
    assert ran[2][1] - ran[1][1] >= 0.3
    assert (await talk.said(turn))[-1] == 'You have {"plan":"pro"}'
    assert [one.again for one in await talk.all(ToolFailed)] == [True, True]
    await talk.check()


async def test_an_answer_to_an_attempt_that_another_one_followed_is_superseded(stage: Stage):
    quick = TOOLS.replace("retry: safe", "retry: safe\n  attempts: 2\n  backoff: 0.1\n  timeout: 1s")
    talk = await stage.session(LOOK, tools=quick)

    turn = await talk.send()
    first = await talk.request()
    second = await talk.request(2)
    await talk.answer(first, {"plan": "late"})
    superseded = await talk.until(ToolAnswerRejected)
    await talk.answer(second, {"plan": "pro"})
    await talk.end_of(turn)

    assert (superseded.reason, superseded.attempt) == ("superseded", 1)
    assert (await talk.said(turn))[-1] == 'You have {"plan":"pro"}'
    await talk.check()


async def begun(stage: Stage, tools: str, kind: Any) -> tuple[Talk, str, Any]:
    """Return a session whose call was begun by a worker that never answers, when the first event of `kind` follows."""
    talk = await stage.session(MAIL, tools=tools)
    turn = await talk.send()
    request = await talk.request()
    await publish(stage.nc, claim_subject(TENANT, request.tool, talk.id, request.call, 1), b'{"worker":"w-1"}')
    return talk, turn, await talk.until(kind, turn)


async def test_a_person_says_that_it_succeeded_and_the_model_reads_the_result(stage: Stage):
    talk, turn, asked = await begun(stage, ASKING, ResolutionRequested)
    [shown] = await talk.sdk.unresolved()

    event = await talk.sdk.resolve(asked.call, "succeeded", result={"id": "m1"}, name="ann")
    end = await talk.end_of(turn)
    again = await talk.sdk.resolve(asked.call, "succeeded", result={"id": "m1"}, name="bob")

    assert (shown.tool, shown.arguments) == ("send-mail", {"to": "ann"})
    assert again.id == event.id
    assert event.actor == Actor("nats", name="ann")
    assert end.outcome == "completed"
    assert (await talk.said(turn))[-1] == 'It says: {"id":"m1"}'
    with pytest.raises(NotDecided, match="succeeded, says ann"):
        await talk.sdk.resolve(asked.call, "failed")
    await talk.check()


async def test_a_call_that_nobody_knows_of_is_never_requested_again_whoever_restarts(stage: Stage):
    talk, turn, asked = await begun(stage, ASKING, ResolutionRequested)
    for name, build in (("orchestrator", orchestrator.build), ("tool-gateway", tool_gateway.build)):
        await stage.end(stage.running(name))
        await stage.start(build)

    await talk.sdk.resolve(asked.call, "failed", error="It bounced.")
    await talk.end_of(turn)

    assert (await talk.said(turn))[-1] == "It says: It bounced."
    assert len(await talk.all(ToolRequested)) == 1
    await talk.check()


async def test_nobody_says_it_in_time_so_the_model_is_told_that_nobody_knows(stage: Stage):
    talk, turn, asked = await begun(stage, QUICK, ResolutionRequested)

    end = await talk.end_of(turn, timeout=15)

    [resolved] = await talk.all(ToolResolved)
    assert (resolved.outcome, resolved.expired, end.outcome) == ("unknown", True, "completed")
    assert (await talk.said(turn))[-1] == f"It says: {UNKNOWN}"
    with pytest.raises(NotDecided, match="nobody said in time already"):
        await talk.sdk.resolve(asked.call, "failed")
    await talk.check()


async def test_a_worker_that_checks_says_what_came_of_it(stage: Stage):
    talk, turn, _ = await begun(stage, CHECKING, ToolOutcomeUnknown)
    check = await talk.request(2)
    await talk.answer(check, {"outcome": "failed", "error": "It bounced."})
    await talk.end_of(turn)

    [resolved] = await talk.all(ToolResolved)
    assert (check.tool, check.checks, resolved.check) == ("find-mail", resolved.call, check.call)
    assert (await talk.said(turn))[-1] == "It says: It bounced."
    await talk.check()


async def test_a_check_that_nobody_answers_leaves_it_unknown(stage: Stage):
    talk, turn, _ = await begun(stage, CHECKING, ToolOutcomeUnknown)
    await talk.end_of(turn)

    assert (await talk.said(turn))[-1] == f"It says: {UNKNOWN} The check did not answer."
    await talk.check()


async def test_what_does_not_fit_the_tool_is_refused_and_changes_nothing(stage: Stage):
    talk, turn, asked = await begun(stage, ASKING, ResolutionRequested)

    with pytest.raises(NotDecided, match="the result is not what the protocol declares"):
        await talk.sdk.resolve(asked.call, "succeeded", result=5)
    with pytest.raises(NotDecided, match="nobody was asked what came of a call nothing"):
        await talk.sdk.resolve("nothing", "unknown")
    with pytest.raises(ValueError, match="a result belongs to the outcome succeeded"):
        await talk.sdk.resolve(asked.call, "failed", result=5)
    await talk.cancel(turn)
    await talk.end_of(turn)

    [resolved] = await talk.all(ToolResolved)
    assert resolved.reason == "cancelled"
    await talk.check()
