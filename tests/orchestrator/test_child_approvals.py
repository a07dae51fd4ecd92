"""A child agent whose call waits for a person: its parent waits with it, and no deadline comes before that person's."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.orchestrator.test_child_agents import RUN, STEPS_THAT_RUN, child_of, kept, stored, workers
from tests.support.agents import HANDLER, TOOLS
from tests.support.children import STEPS
from tests.support.deciding import STARTED, agent, the_event
from tests.support.services import Stage, Talk
from tests.support.wait import until

from stenograph_events import AnyEvent
from stenograph_events.testing import assistant_message, parent, raw, session_created, tool_call, turn_started
from stenograph_events.types import (
    ApprovalRequested,
    ToolCancelled,
    ToolRefused,
    ToolRequested,
    ToolSucceeded,
    ToolTimedOut,
)
from stenograph_events.values import Guard
from stenograph_sdk import NotDecided, TurnNotCompleted
from stenograph_services.orchestrator.decisions import ChildVersion
from stenograph_services.protocol.schemas import compiled
from stenograph_services.runtime.streams import log_stream
from stenograph_services.tool_gateway import app as tool_gateway

GUARDED = TOOLS.replace("retry: safe", "retry: safe\n  approval: arguments.userId != 'me'\n  approvalTimeout: 2d")
LOOK = "Look:\n  block: tool-call\n  tool: get-account\n  input: {userId: TEXT}\n  output: ACCOUNT\n"
FIND = "loop: true\nturns:\n  - - calls: [{tool: find, arguments: {userId: u1}}]\n    - text: '{{last_result}}'\n"
STEPS_WITH_FIND = "tools:\n  find: {description: Find, parameters: {userId: {type: string}}%s}\n" + STEPS.replace(
    "  Begin:\n    block: start-thread\n", "  Begin:\n    block: start-thread\n    tools: [find]\n"
)


# ---- what follows from a log


def in_child(tools: str = TOOLS, said: str = "Hi", **of_parent: Any) -> Any:
    """Return what follows in a child's session on the call of a block."""
    begun: list[AnyEvent] = [session_created(parent=parent(**of_parent)), turn_started(input=raw({"TEXT": said}))]
    return the_event(agent(LOOK, tools=tools), *begun)


def test_in_the_session_of_a_child_agent_a_person_is_asked_as_in_any():
    asked = in_child(GUARDED)

    assert isinstance(asked, ApprovalRequested)
    assert (asked.deadline_at - asked.at).days == 2


def test_a_tool_that_a_parent_hands_on_is_guarded_as_the_parent_says():
    guards = {"get-account": (Guard("arguments.userId != 'me'", 60), Guard("always", 3600))}

    asked = in_child(said="you", guards=guards)
    own = in_child(said="me", guards={"get-account": guards["get-account"][:1]})

    assert isinstance(asked, ApprovalRequested)
    assert (asked.deadline_at - asked.at).seconds == 60
    assert isinstance(own, ToolRequested)


def test_a_request_to_a_child_says_when_a_person_has_to_agree_to_what_is_handed_on():
    hands_on = workers("finder", tools={"find": "get-account", "send": "send-mail", "look": "search"})
    tools = GUARDED + "search:\n  description: Search\n  retry: safe\n"
    caller = agent(HANDLER, tools=tools, top=hands_on, agent="workers: [finder]")
    asks = assistant_message(calls=[tool_call("c1", "finder")])
    finder = ChildVersion("v1", compiled({"type": "object"}))
    ours = parent(guards={"search": (Guard("always", 5),)})
    begun: list[AnyEvent] = [session_created(parent=ours), *STARTED[1:], asks]

    request = the_event(caller, *begun, children={"finder": finder})

    assert request.child.guards == {
        "find": (Guard("arguments.userId != 'me'", 2 * 24 * 3600),),
        "look": (Guard("always", 5),),
    }


# ---- with services


async def guarded_child(stage: Stage, more: str = ", retry: safe, approval: always") -> str:
    """Store a child agent that finds something, if a person lets it, and says what."""
    return await stored(stage, FIND, STEPS_WITH_FIND % more)


async def parent_of(stage: Stage, slug: str, **of_worker: Any) -> Talk:
    """Return a session that runs that child with a block, and hands it a tool."""
    top = workers(slug, tools={"find": "get-account"}, **of_worker)
    return await stage.session(handler=RUN.format(slug=slug), top=top)


async def waiting(stage: Stage, slug: str, **of_worker: Any) -> tuple[Talk, str, Talk, ApprovalRequested]:
    """Return a parent, its turn, and its child, in whose session a person is asked."""
    talk = await parent_of(stage, slug, **of_worker)
    turn = await talk.send()
    child = await child_of(talk)
    return talk, turn, child, await child.until(ApprovalRequested)


async def late(talk: Talk) -> None:
    """Return when the time of a session's call is up, and nothing is left to do about that."""
    request = await talk.request()
    await until(lambda: datetime.now(UTC) > request.deadline_at + timedelta(seconds=1), what="its time is up")
    await settled(talk.stage, "TIM", "tool-gateway-timers")


async def finds(child: Talk) -> None:
    """Answer as the worker of the tool that waited."""
    await child.answer(await child.request(), {"plan": "pro"})


async def test_a_child_waits_for_a_person_and_its_parent_with_it_past_the_time_of_the_call(stage: Stage):
    talk, turn, child, asked = await waiting(stage, await guarded_child(stage), timeout="1s")
    await late(talk)
    open_still = await talk.types()

    granted = await child.sdk.approve(asked.call, digest=asked.digest, name="ann")
    await finds(child)
    end = await talk.end_of(turn)

    assert open_still[-1] == "tool.requested"
    request = await child.request()
    assert (request.tool, request.n > granted.n) == ("get-account", True)
    assert end.outcome == "completed"
    assert await kept(talk) == '{"plan":"pro"}'
    for one in (talk, child):
        await one.check()


async def test_what_the_parent_guards_is_guarded_in_the_child_too(stage: Stage):
    slug = await guarded_child(stage, ", retry: safe")
    top = workers(slug, tools={"find": "get-account"})
    talk = await stage.session(handler=RUN.format(slug=slug), top=top, tools=GUARDED)
    turn = await talk.send()
    child = await child_of(talk)
    asked = await child.until(ApprovalRequested)

    await child.sdk.deny(asked.call, digest=asked.digest, reason="Not now.")
    end = await talk.end_of(turn)

    assert asked.tool == "find"
    assert [one.error for one in await child.all(ToolRefused)] == ["a person did not allow this call: Not now."]
    assert end.outcome == "completed"
    assert await child.all(ToolRequested) == []
    await child.check()


async def test_nobody_decides_in_a_child_so_the_call_times_out_there_and_both_go_on(stage: Stage):
    slug = await guarded_child(stage, ", retry: safe, approval: always, approvalTimeout: 2s")
    talk, turn, child, asked = await waiting(stage, slug, timeout="1s")

    end = await talk.end_of(turn, timeout=15)

    [expired] = await child.all(ToolTimedOut)
    assert (expired.call, expired.attempt, end.outcome) == (asked.call, 0, "completed")
    assert await talk.all(ToolTimedOut) == []
    for one in (talk, child):
        await one.check()


async def test_after_a_decision_a_child_has_the_time_of_its_call_again_and_no_more(stage: Stage):
    """The tool never answers: nothing but the call's own time ends the wait, long before the person's would have."""
    talk, turn, child, asked = await waiting(stage, await guarded_child(stage), timeout="1s")
    await late(talk)

    granted = await child.sdk.approve(asked.call, digest=asked.digest)
    end = await talk.end_of(turn)
    await child.end_of(str(asked.turn))

    [over] = await talk.all(ToolTimedOut)
    assert 1 <= (over.at - granted.at).total_seconds() < 5
    assert await kept(talk) == {"error": "tool.timed_out"}
    assert end.outcome == "completed"
    for one in (talk, child):
        await one.check()


async def test_cancelling_the_parent_closes_what_waits_in_its_child(stage: Stage):
    talk, turn, child, asked = await waiting(stage, await guarded_child(stage))

    await talk.cancel(turn)
    ends = [await talk.end_of(turn), await child.end_of(str(asked.turn))]

    assert [end.outcome for end in ends] == ["cancelled", "cancelled"]
    assert [one.call for one in await child.all(ToolCancelled)] == [asked.call]
    with pytest.raises(NotDecided, match="does not wait any more"):
        await child.sdk.approve(asked.call, digest=asked.digest)
    for one in (talk, child):
        await one.check()


async def test_a_childs_child_waits_and_no_call_above_it_is_late(stage: Stage):
    innermost = await stored(
        stage, FIND.replace("find", "get-account"), _serving_itself(STEPS_WITH_FIND % ", retry: safe, approval: always")
    )
    runs = STEPS_THAT_RUN.format(slug=innermost).replace("description: Finds out", "description: Finds, timeout: 1s")
    slug = await stored(stage, protocol=runs)
    talk = await stage.session(handler=RUN.format(slug=slug), top=workers(slug, timeout="1s"))
    turn = await talk.send()
    middle = await child_of(talk)
    child = await child_of(middle)
    asked = await child.until(ApprovalRequested)
    await late(middle)

    await child.sdk.approve(asked.call, digest=asked.digest)
    await finds(child)
    end = await talk.end_of(turn)

    assert end.outcome == "completed"
    for one in (talk, middle):
        assert len(await one.all(ToolSucceeded)) == 1


def _serving_itself(steps: str) -> str:
    """Return a child agent whose tool is no parent's."""
    return steps.replace("find:", "get-account:").replace("[find]", "[get-account]")


async def test_a_child_waits_over_the_time_of_its_call_while_no_tool_gateway_runs(stage: Stage):
    """Its start may come again after that: what began before is then not taken for late."""
    talk, turn, child, asked = await waiting(stage, await guarded_child(stage), timeout="1s")
    await stage.end(stage.running("tool-gateway"))
    request = await talk.request()
    await until(lambda: datetime.now(UTC) > request.deadline_at, what="its time is up")

    await stage.start(tool_gateway.build)
    await settled(stage, "TIM", "tool-gateway-timers")
    await settled(stage, log_stream(stage.settings, talk.id), "tool-gateway-children")
    [still] = await child.sdk.approvals()
    await child.sdk.approve(asked.call, digest=still.digest)
    await finds(child)

    assert (await talk.end_of(turn)).outcome == "completed"
    await talk.check()


async def settled(stage: Stage, stream: str, consumer: str) -> None:
    async def done() -> bool:
        return not await stage.unsettled(stream, consumer)

    await until(done, what=f"{consumer} has nothing to do")


async def test_whoever_asks_the_parent_is_shown_what_waits_in_its_child(stage: Stage):
    talk, turn, child, asked = await waiting(stage, await guarded_child(stage))

    [shown] = await talk.sdk.approvals()
    with pytest.raises(NotDecided, match=f"no call {asked.call} was to be approved in this session"):
        await talk.sdk.approve(asked.call, digest=shown.digest)
    await child.sdk.deny(shown.call, digest=shown.digest)
    await talk.end_of(turn)

    assert (shown.session, shown.parent, shown.call, shown.tool) == (child.id, talk.id, asked.call, "find")
    assert await talk.sdk.approvals() == []


async def test_who_asks_the_parent_is_told_where_its_child_waits_for_a_person(stage: Stage):
    talk = await parent_of(stage, await guarded_child(stage))

    with pytest.raises(TurnNotCompleted, match=r"find .* has to be approved") as told:
        await talk.sdk.ask("user-message", {"TEXT": "Hi"})
    child = await child_of(talk)
    [asked] = await child.all(ApprovalRequested)
    await talk.cancel(str((await talk.request()).turn))
    await child.end_of(str(asked.turn))

    assert f"stenograph approvals grant {child.id} {asked.call}" in str(told.value)
