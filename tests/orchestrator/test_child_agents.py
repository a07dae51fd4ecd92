"""Child agents from end to end: a parent runs another agent, which has a session and a log of its own."""

import itertools
from typing import Any

import msgspec
from tests.support.agents import SAY_HELLO, SAY_SLOWLY
from tests.support.children import STEPS, Parent, by_another_process, child_bundle, turn_of
from tests.support.services import TENANT, Stage, Talk

from stenograph_events.testing import tool_cancelled
from stenograph_events.types import (
    BlockFinished,
    MessageAdded,
    SessionCreated,
    ToolCancelled,
    ToolFailed,
    ToolRefused,
    ToolRequested,
    ToolSucceeded,
    TriggerRejected,
    TurnCancelRequested,
    TurnFinished,
    TurnStarted,
)
from stenograph_services.orchestrator import app as orchestrator
from stenograph_services.runtime.agents import Agents
from stenograph_services.tool_gateway import app as tool_gateway

RUN = """\
Research:
  block: run-worker
  worker: {slug}
  input: {{TOPIC: TEXT}}
  output: ANSWER
Keep:
  block: set-resource
  resource: NOTE
  value: ANSWER
"""

STEPS_THAT_RUN = """\
workers:
  {slug}: {{description: Finds out}}
input:
  TOPIC: {{type: string}}
variables:
  ANSWER: {{type: unknown}}
output: ANSWER
steps:
  Research:
    block: run-worker
    worker: {slug}
    input: {{TOPIC: TOPIC}}
    output: ANSWER
"""

CALL_IT = """\
loop: true
turns:
  - - calls: [{{tool: {slug}, arguments: {{TOPIC: tides}}}}]
    - text: "It says {{{{last_result}}}}"
"""

FAIL = "loop: true\nturns:\n  - - error: {kind: bad-request, detail: No such model.}\n"

_numbers = itertools.count(1)


async def stored(stage: Stage, script: str = SAY_HELLO, protocol: str = STEPS, slug: str = "") -> str:
    """Store a child agent and return its slug, a new one."""
    slug = slug or f"child-{next(_numbers)}"
    await Agents(stage.nc).store(TENANT, child_bundle(slug, script, protocol))
    return slug


async def blocks_parent(stage: Stage, slug: str) -> Talk:
    """Return a session of an agent that runs child agent `slug` with a block, and keeps what it answers."""
    return await stage.session(handler=RUN.format(slug=slug), top=workers(slug))


async def models_parent(stage: Stage, slug: str) -> Talk:
    """Return a session of an agent whose model calls child agent `slug` and says what it answered."""
    return await stage.session(CALL_IT.format(slug=slug), top=workers(slug), agent=f"workers: [{slug}]")


def workers(slug: str, **more: Any) -> str:
    declared = msgspec.json.encode({slug: {"description": "Finds out", **more}}).decode()
    return f"workers: {declared}"


async def child_of(talk: Talk) -> Talk:
    """Return the session of the child that `talk` asks, as soon as it exists; its log is checked like any other."""
    request = await talk.request()
    assert request.child is not None
    child = Talk(talk.stage, request.child.session)
    await child.until(SessionCreated)
    talk.stage.talks.append(child)
    return child


async def kept(talk: Talk) -> Any:
    """Return what the parent kept of its child's answer."""
    (block,) = await talk.all(BlockFinished)
    return msgspec.json.decode(block.resources["NOTE"])


async def test_a_block_runs_a_child_in_a_session_of_its_own_and_takes_its_output(stage: Stage):
    talk = await blocks_parent(stage, await stored(stage))

    turn = await talk.send("tides")
    end = await talk.end_of(turn)

    assert end.outcome == "completed"
    assert await kept(talk) == "Hello!"
    child = await child_of(talk)
    assert await child.types() == [
        "session.created",
        "turn.started",
        "thread.started",
        "message.added",
        "message.added",
        "turn.finished",
    ]
    (asked, _) = await child.all(MessageAdded)
    assert asked.parts[0].text == "tides"  # type: ignore[union-attr]


async def test_a_child_keeps_the_version_that_was_stored_when_it_was_asked_for(stage: Stage):
    slug = await stored(stage, "loop: true\nturns: [[{text: Old.}]]\n")
    talk = await blocks_parent(stage, slug)

    await talk.end_of(await talk.send())
    await stored(stage, "loop: true\nturns: [[{text: New.}]]\n", slug=slug)
    await talk.end_of(await talk.send())

    first, second = await talk.all(ToolRequested)
    assert first.child is not None
    assert second.child is not None
    assert first.child.version != second.child.version
    assert [msgspec.json.decode(one.result) for one in await talk.all(ToolSucceeded)] == ["Old.", "New."]


async def test_a_model_calls_a_child_as_a_tool(stage: Stage):
    talk = await models_parent(stage, await stored(stage))

    turn = await talk.send()
    end = await talk.end_of(turn)

    assert end.outcome == "completed"
    assert await talk.said(turn) == ["", "It says Hello!"]
    await child_of(talk)


async def test_a_model_that_calls_a_child_with_a_wrong_input_is_told_so(stage: Stage):
    slug = await stored(stage)
    script = CALL_IT.format(slug=slug).replace("TOPIC: tides", "TOPIC: 5")
    talk = await stage.session(script, top=workers(slug), agent=f"workers: [{slug}]")

    turn = await talk.send()
    await talk.end_of(turn)

    (refused,) = await talk.all(ToolRefused)
    assert "/TOPIC: 5 is not of type" in refused.error


async def test_three_levels_answer_one_another(stage: Stage):
    innermost = await stored(stage)
    middle = await stored(stage, protocol=STEPS_THAT_RUN.format(slug=innermost))
    talk = await blocks_parent(stage, middle)

    end = await talk.end_of(await talk.send())

    assert end.outcome == "completed"
    assert await kept(talk) == "Hello!"
    second = await child_of(talk)
    third = await child_of(second)
    created = [(await one.all(SessionCreated))[0] for one in (second, third)]
    assert [(one.parent.session, one.parent.depth) for one in created if one.parent] == [(talk.id, 1), (second.id, 2)]


async def test_an_agent_that_runs_itself_ends_at_the_depth_limit(stage: Stage):
    slug = f"child-{next(_numbers)}"
    await stored(stage, protocol=STEPS_THAT_RUN.format(slug=slug), slug=slug)
    talk = await blocks_parent(stage, slug)

    end = await talk.end_of(await talk.send(), timeout=20)

    assert end.outcome == "completed"
    assert await kept(talk) == {"error": "child agents nest 8 deep at most"}
    deepest = talk
    for _ in range(stage.settings.child_depth_max):
        deepest = await child_of(deepest)
    assert await deepest.all(ToolRequested) == []


async def test_a_child_uses_the_tools_of_its_parent_under_its_own_names(stage: Stage):
    steps = STEPS.replace(
        "  Begin:\n    block: start-thread\n", "  Begin:\n    block: start-thread\n    tools: [find]\n"
    )
    tools = "tools:\n  find: {description: Find, parameters: {userId: {type: string}}}\n"
    find = "loop: true\nturns:\n  - - calls: [{tool: find, arguments: {userId: u1}}]\n    - text: '{{last_result}}'\n"
    slug = await stored(stage, find, tools + steps)
    talk = await stage.session(handler=RUN.format(slug=slug), top=workers(slug, tools={"find": "get-account"}))

    turn = await talk.send()
    child = await child_of(talk)
    request = await child.request()
    await child.answer(request, {"plan": "pro"})
    await talk.end_of(turn)

    assert request.tool == "get-account"
    assert await kept(talk) == '{"plan":"pro"}'


async def test_the_failure_of_a_child_comes_up_as_a_failed_call(stage: Stage):
    talk = await models_parent(stage, await stored(stage, FAIL))

    turn = await talk.send()
    end = await talk.end_of(turn)

    child = await child_of(talk)
    (failed,) = await talk.all(ToolFailed)
    (of_child,) = await child.all(TurnFinished)
    assert (end.outcome, of_child.outcome) == ("completed", "failed")
    assert failed.error.startswith("the child agent 'child-")
    assert "No such model." in failed.error
    assert (await talk.said(turn))[-1] == f"It says {failed.error}"


async def test_cancelling_the_parent_stops_the_child_and_the_childs_child(stage: Stage):
    innermost = await stored(stage, SAY_SLOWLY)
    middle = await stored(stage, protocol=STEPS_THAT_RUN.format(slug=innermost))
    talk = await blocks_parent(stage, middle)

    turn = await talk.send()
    second = await child_of(talk)
    third = await child_of(second)
    await third.until(TurnStarted)
    await talk.cancel(turn)
    ends = [await one.until(TurnFinished) for one in (talk, second, third)]

    assert [end.outcome for end in ends] == ["cancelled"] * 3
    (cancelled,) = await talk.all(ToolCancelled)
    assert cancelled.child == second.id


async def test_a_child_that_is_too_slow_is_stopped_and_its_parent_goes_on(stage: Stage):
    slug = await stored(stage, SAY_SLOWLY)
    talk = await stage.session(handler=RUN.format(slug=slug), top=workers(slug, timeout="1s"))

    end = await talk.end_of(await talk.send())
    child = await child_of(talk)

    assert end.outcome == "completed"
    assert await kept(talk) == {"error": "tool.timed_out"}
    assert (await child.until(TurnFinished)).outcome == "cancelled"


async def test_a_child_and_its_parent_go_on_after_all_services_were_gone(stage: Stage):
    talk = await blocks_parent(stage, await stored(stage, SAY_SLOWLY))

    turn = await talk.send()
    child = await child_of(talk)
    await child.until(TurnStarted)
    for name in ("tool-gateway", "orchestrator"):
        await stage.end(stage.running(name))
    for build in (orchestrator.build, tool_gateway.build):
        await stage.start(build)
    end = await talk.end_of(turn, timeout=15)

    assert end.outcome == "completed"
    assert await kept(talk) == "one two three four five six seven eight nine ten"


async def test_a_trigger_that_comes_after_its_cancel_starts_no_child(stage: Stage):
    """A tool gateway looks at the call and is paused, another one finds it cancelled, then the first one goes on."""
    await stage.end(stage.running("tool-gateway"))
    slug = await stored(stage)
    version = (await Agents(stage.nc).current(TENANT, slug)).version
    parent = await Parent.begun(stage)
    request = await parent.asks(slug, version, {"TOPIC": "tides"})
    assert request.child is not None
    child = Talk(stage, request.child.session)

    class Paused(Agents):
        async def version(self, tenant: str, slug: str, version: str) -> Any:
            await parent.happens(tool_cancelled(request.call, session=parent.id, child=child.id))
            assert request.child is not None
            await by_another_process(stage).start(request, request.child)
            await child.until(TurnCancelRequested)
            return await super().version(tenant, slug, version)

    await by_another_process(stage, Paused(stage.nc)).start(request, request.child)
    rejected = await child.until(TriggerRejected)

    assert rejected.reason == "cancelled"
    assert rejected.turn == turn_of(request)
    assert await child.types() == ["session.created", "turn.cancel_requested", "trigger.rejected"]
    await stage.start(tool_gateway.build)
