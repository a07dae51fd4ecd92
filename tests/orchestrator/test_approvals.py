"""Calls that wait for a person: asked, decided, answered; whoever dies meanwhile, the log says how it stands."""

from typing import Any

import msgspec
import pytest
from tests.support.agents import HANDLER, TOOLS
from tests.support.deciding import STARTED, agent, decided, the_event
from tests.support.services import TENANT, Frames, Stage, Talk
from tests.support.wait import until

from stenograph_events import AnyEvent, canonical, decision_id, digest_of
from stenograph_events.subjects import control_subject
from stenograph_events.testing import (
    PERSON,
    approval_denied,
    approval_edited,
    approval_granted,
    approval_requested,
    assistant_message,
    raw,
    tool_call,
    tool_timed_out,
    user_message,
)
from stenograph_events.types import (
    ApprovalEdited,
    ApprovalGranted,
    ApprovalRequested,
    ToolCancelled,
    ToolRefused,
    ToolRequested,
    ToolSucceeded,
    ToolTimedOut,
)
from stenograph_events.wire import Approve
from stenograph_sdk import NotDecided, TurnNotCompleted
from stenograph_services.orchestrator import app as orchestrator
from stenograph_services.orchestrator.decisions import Append, Wait
from stenograph_services.runtime.jetstream import publish
from stenograph_services.tool_gateway import app as tool_gateway

GUARDED = TOOLS.replace("retry: safe", "retry: safe\n  approval: arguments.userId != 'me'")
QUICK = GUARDED.replace("!= 'me'", "!= 'me'\n  approvalTimeout: 1s")
CALL = """\
loop: true
turns:
  - - calls: [{tool: get-account, arguments: {userId: u1}}, {tool: send-mail, arguments: {to: a}}]
    - text: "You have {{last_result}}"
"""
ARGUMENTS = raw({"userId": "u1"})
DIGEST = digest_of(ARGUMENTS)
ASKS = assistant_message(calls=[tool_call("c1", "get-account", arguments=msgspec.Raw(b'{ "userId": "u1" }'))])
NEEDED: list[AnyEvent] = [*STARTED, user_message(), ASKS]
WAITS: list[AnyEvent] = [*NEEDED, approval_requested("c1", tool="get-account", arguments=ARGUMENTS)]
AGENT = agent(HANDLER, tools=GUARDED)


def test_a_call_that_needs_a_person_is_not_requested_but_asked_about_with_its_digest():
    asked = the_event(AGENT, *NEEDED)

    assert isinstance(asked, ApprovalRequested)
    assert (asked.call, bytes(asked.arguments), asked.digest) == ("c1", b'{"userId":"u1"}', DIGEST)
    assert (asked.deadline_at - asked.at).days == 7


def test_arguments_decide_whether_a_person_is_needed():
    own = assistant_message(calls=[tool_call("c1", "get-account", arguments=raw({"userId": "me"}))])

    assert isinstance(the_event(AGENT, *STARTED, user_message(), own), ToolRequested)


def test_nothing_follows_while_a_person_is_asked():
    assert isinstance(decided(AGENT, *WAITS), Wait)


@pytest.mark.parametrize(
    ("decision", "arguments"),
    [
        (approval_granted("c1", digest=DIGEST), b'{"userId":"u1"}'),
        (approval_edited("c1", digest=DIGEST, arguments=raw({"userId": "u2"})), b'{"userId":"u2"}'),
    ],
)
def test_what_a_person_agreed_to_is_what_is_requested(decision: AnyEvent, arguments: bytes):
    requested = the_event(AGENT, *WAITS, decision)

    assert isinstance(requested, ToolRequested)
    assert bytes(requested.arguments) == arguments


def test_a_denied_call_is_refused_with_the_reason():
    refused = the_event(AGENT, *WAITS, approval_denied("c1", digest=DIGEST, reason="Not yours."))

    assert isinstance(refused, ToolRefused)
    assert refused.error == "a person did not allow this call: Not yours."


def test_a_decision_on_another_digest_changes_nothing():
    assert isinstance(decided(AGENT, *WAITS, approval_granted("c1", digest="0" * 64)), Wait)


def test_a_call_on_which_nobody_decided_in_time_is_answered():
    assert not isinstance(decided(AGENT, *WAITS, tool_timed_out("c1", 0)), (Wait, Append))


# ---- with services


async def waiting(stage: Stage, tools: str = GUARDED, **more: Any) -> tuple[Talk, str, ApprovalRequested]:
    """Return a session whose turn waits for a person, after the call beside it was answered."""
    talk = await stage.session(CALL, tools=tools, **more)
    turn = await talk.send()
    asked = await talk.until(ApprovalRequested, turn)
    await talk.answer(await talk.request(), "sent")
    await talk.until(ToolSucceeded, turn)
    return talk, turn, asked


async def over(talk: Talk) -> None:
    """End the turn that runs: a test leaves none open."""
    turn = str((await talk.events())[1].turn)
    await talk.cancel(turn)
    await talk.end_of(turn)


async def test_a_call_runs_only_after_it_was_granted_and_the_others_run_meanwhile(stage: Stage):
    talk, turn, asked = await waiting(stage)
    [shown] = await talk.sdk.approvals()

    granted = await talk.sdk.approve(asked.call, digest=shown.digest, reason="fine", name="ann")
    request = await talk.request(2)
    await talk.answer(request, {"plan": "pro"})
    end = await talk.end_of(turn)

    assert (shown.tool, shown.arguments) == ("get-account", {"userId": "u1"})
    assert (await talk.request()).tool == "send-mail"
    assert request.n > granted.n > asked.n
    assert end.outcome == "completed"
    await talk.check()


async def test_a_decision_is_recorded_with_who_decided_and_why(stage: Stage):
    talk, turn, asked = await waiting(stage)

    await talk.sdk.edit(asked.call, {"userId": "u2"}, digest=asked.digest, reason="the other one", name="ann")
    request = await talk.request(2)
    await talk.answer(request, {"plan": "pro"})
    await talk.end_of(turn)

    [edited] = await talk.all(ApprovalEdited)
    assert (edited.actor.via, edited.actor.name, edited.reason) == ("nats", "ann", "the other one")
    assert bytes(edited.arguments) == bytes(request.arguments) == b'{"userId":"u2"}'
    assert edited.edited_digest == digest_of(canonical(request.arguments))
    await talk.check()


async def test_days_and_restarts_lie_between_the_question_and_the_answer(stage: Stage):
    talk, turn, asked = await waiting(stage)
    for name, build in (("orchestrator", orchestrator.build), ("tool-gateway", tool_gateway.build)):
        await stage.end(stage.running(name))
        await stage.start(build)

    await talk.sdk.deny(asked.call, digest=asked.digest, reason="no")
    end = await talk.end_of(turn)

    assert end.outcome == "completed"
    assert [one.error for one in await talk.all(ToolRefused)] == ["a person did not allow this call: no"]
    await talk.check()


async def test_nobody_decides_so_the_call_times_out_and_the_turn_goes_on(stage: Stage):
    talk, turn, asked = await waiting(stage, QUICK)

    end = await talk.end_of(turn, timeout=15)

    [late] = await talk.all(ToolTimedOut)
    assert (late.call, late.attempt, end.outcome) == (asked.call, 0, "completed")
    assert len(await talk.all(ToolRequested)) == 1
    with pytest.raises(NotDecided, match="does not wait any more"):
        await talk.sdk.approve(asked.call, digest=asked.digest)
    await talk.check()


async def test_a_cancelled_turn_closes_what_waits(stage: Stage):
    talk, turn, asked = await waiting(stage)

    await talk.cancel(turn)
    end = await talk.end_of(turn)

    assert [one.call for one in await talk.all(ToolCancelled)] == [asked.call]
    assert end.outcome == "cancelled"
    await talk.check()


async def test_the_same_decision_again_changes_nothing_and_another_is_refused(stage: Stage):
    talk, _, asked = await waiting(stage)

    first = await talk.sdk.approve(asked.call, digest=asked.digest, name="ann")
    again = await talk.sdk.approve(asked.call, digest=asked.digest, name="bob")

    assert first.id == again.id
    with pytest.raises(NotDecided, match="granted by ann already"):
        await talk.sdk.deny(asked.call, digest=asked.digest)
    assert len(await talk.all(ApprovalGranted)) == 1
    await over(talk)


@pytest.mark.parametrize(
    ("decide", "sentence"),
    [
        ({"digest": "0" * 64}, "the digest is not that of call"),
        ({"call": "nothing"}, "no call nothing was to be approved in this session"),
        ({"arguments": {"userId": 5}}, "the arguments are wrong: /userId: 5 is not of type"),
    ],
)
async def test_what_decides_nothing_is_refused_and_changes_nothing(stage: Stage, decide: dict[str, Any], sentence: str):
    talk, _, asked = await waiting(stage)
    before = await talk.types()
    given: dict[str, Any] = {"call": asked.call, "decision": "grant", "digest": asked.digest, "actor": PERSON} | decide
    if "arguments" in decide:
        given["decision"] = "edit"

    with pytest.raises(NotDecided, match=sentence):
        await talk.sdk.decide(**given)

    assert (await talk.types())[: len(before)] == before
    assert not [one for one in await talk.types() if one.startswith("approval.") and one != "approval.requested"]
    await over(talk)


async def test_a_decision_that_comes_second_is_told_so_and_changes_nothing(stage: Stage):
    talk, _, asked = await waiting(stage)

    refused: Any
    async with Frames(stage.nc, talk.id) as frames:
        for request in ("r1", "r2"):
            body = msgspec.json.encode(Approve(request, asked.call, "grant", asked.digest, PERSON))
            await publish(stage.nc, control_subject(TENANT, talk.id, "approve"), body)
        refused = await until(
            lambda: next((one for one in frames.heard if hasattr(one, "request")), None), what="a refusal"
        )

    [granted] = await talk.all(ApprovalGranted)
    other = {"r1": "r2", "r2": "r1"}[refused.request]
    assert granted.id == decision_id(talk.id, other)
    assert "does not wait for an approval" in refused.detail
    await over(talk)


async def test_who_asks_is_told_that_the_turn_waits_for_a_person(stage: Stage):
    only = CALL.replace(", {tool: send-mail, arguments: {to: a}}", "")
    talk = await stage.session(only, tools=GUARDED)

    with pytest.raises(TurnNotCompleted, match=r"get-account .* has to be approved; decide with `stenograph approvals"):
        await talk.sdk.ask("user-message", {"TEXT": "Hi"})
    await over(talk)


async def test_a_step_may_wait_for_a_person_an_application_and_a_worker_at_once(stage: Stage):
    await stage.unserve("send-mail")
    talk = await stage.session(CALL, tools=GUARDED)
    turn = await talk.send()
    asked = await talk.until(ApprovalRequested, turn)
    of_client = await talk.request()

    await talk.sdk.answer(of_client, "sent")
    await talk.until(ToolSucceeded, turn)
    await talk.sdk.approve(asked.call, digest=asked.digest)
    of_worker = await talk.request(2)
    await talk.answer(of_worker, {"plan": "pro"})
    end = await talk.end_of(turn)

    assert [(one.tool, one.client) for one in (of_client, of_worker)] == [("send-mail", True), ("get-account", False)]
    assert end.outcome == "completed"
    await talk.check()
