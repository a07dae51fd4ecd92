"""The language over HTTP: budgets, child agents, typed answers, threads; real services, a scripted model."""

import httpx
from tests.gateway.streaming import triggered, turn
from tests.support.agents import CALL_THEN_SAY, HANDLER, SAY_HELLO
from tests.support.children import child_bundle
from tests.support.services import TENANT, Stage, Talk

from stenograph_events.types import (
    BudgetExceeded,
    BudgetRaised,
    ToolRequested,
    TurnFinished,
    TurnStarted,
)
from stenograph_services.runtime.agents import Agents

ONE_STEP = "budget: {turn: {steps: 1}}"

SAY_PLAN = """\
loop: true
turns:
  - - text: '{"plan":"pro"}'
      chunks: 4
"""

ASK_PLAN = HANDLER.replace("output: ANSWER", "output: PLAN\n  responseType: Plan")

RUN_CHILD = """\
Look:
  block: run-worker
  worker: helper
  input: {TOPIC: TEXT}
  output: ANSWER
"""

CALL_CHILD = """\
loop: true
turns:
  - - calls: [{tool: helper, arguments: {TOPIC: tides}}]
    - text: "It said {{last_result}}"
"""

ASIDE = """\
Begin:
  block: start-thread
  thread: notes
  model: scripted/play
  system: system
Add:
  block: add-message
  role: user
  prompt: said
  input: [TEXT]
  thread: notes
Note:
  block: next-message
  thread: notes
Draw:
  block: generate-image
  prompt: ANSWER
  imageModel: openai/gpt-image-1
"""


async def with_child(stage: Stage, script: str = SAY_HELLO, **protocol: str) -> Talk:
    """Return a session whose agent has the child agent `helper`."""
    await Agents(stage.nc).store(TENANT, child_bundle("helper", SAY_HELLO))
    workers = "workers:\n  helper: {description: Helps}\n"
    return await stage.session(script, top=workers, agent="workers: [helper]", **protocol)


async def over_budget(http: httpx.AsyncClient, talk: Talk, **headers: str) -> dict[str, object]:
    """Return the error with which the stream of a turn ends whose second answer its budget does not allow."""
    async with triggered(http, talk.id, **headers) as heard:
        request = await talk.request()
        await talk.answer(request, {"plan": "pro"})
        await heard.end()
    assert heard.done
    last: dict[str, object] = heard.events[-1]
    return last


async def test_a_turn_over_its_budget_ends_its_stream_and_goes_on_when_that_is_raised(
    http: httpx.AsyncClient, stage: Stage
):
    talk = await stage.session(CALL_THEN_SAY, agent=ONE_STEP)

    end = await over_budget(http, talk, **{"Idempotency-Key": "k1"})
    [exceeded] = await talk.all(BudgetExceeded)
    await talk.sdk.raise_budget(steps=1)
    raised = await talk.until(BudgetRaised)
    again = await turn(http, talk.id, **{"Idempotency-Key": "k1"})

    assert (end["errorType"], end["retryable"]) == ("quota_exceeded_error", False)
    assert "allows 1 step: 1 used" in str(end["message"])
    assert exceeded.turn == raised.turn
    assert again.text == 'You have {"plan":"pro"}'
    assert again.events[-1] == {"type": "finish", "finishReason": "stop"}
    assert len(await talk.all(TurnStarted)) == 1


async def test_while_a_turn_waits_for_its_budget_another_trigger_is_answered_busy_at_once(
    http: httpx.AsyncClient, stage: Stage
):
    talk = await stage.session(CALL_THEN_SAY, agent=ONE_STEP)
    await over_budget(http, talk)
    [waiting] = await talk.all(TurnStarted)

    body = {"triggerName": "user-message", "input": {"TEXT": "Hello?"}}
    busy = await http.post(f"/api/agent-sessions/{talk.id}/trigger", json=body)
    state = (await http.get(f"/api/agent-sessions/{talk.id}?format=ui")).json()
    await talk.cancel(waiting.turn or "")
    await talk.until(TurnFinished)

    assert (busy.status_code, busy.json()["code"]) == (429, "SESSION_BUSY")
    assert "raise-budget" in busy.json()["error"]
    assert state["messages"][-1]["status"] == "streaming"
    assert [event for event in await talk.types() if event.startswith("trigger.")] == []


async def test_a_typed_answer_is_an_object_while_it_streams_and_after(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(SAY_PLAN, handler=ASK_PLAN)

    heard = await turn(http, talk.id)
    state = (await http.get(f"/api/agent-sessions/{talk.id}?format=ui")).json()

    [start] = [event for event in heard.events if event["type"] == "text-start"]
    assert start["responseType"] == "Plan"
    assert heard.text == '{"plan":"pro"}'
    [part] = state["messages"][-1]["parts"]
    assert (part["type"], part["typeName"], part["object"]) == ("object", "Plan", {"plan": "pro"})


async def test_a_child_agent_that_the_model_asks_for_streams_as_a_call(http: httpx.AsyncClient, stage: Stage):
    talk = await with_child(stage, CALL_CHILD)

    heard = await turn(http, talk.id)

    [asked] = [event for event in heard.events if event["type"] == "tool-input-available"]
    [answered] = [event for event in heard.events if event["type"] == "tool-output-available"]
    assert (asked["toolName"], asked["input"], answered["output"]) == ("helper", {"TOPIC": "tides"}, "Hello!")
    assert heard.text == "It said Hello!"


async def test_a_child_agent_that_a_block_runs_streams_as_its_block(http: httpx.AsyncClient, stage: Stage):
    talk = await with_child(stage, handler=RUN_CHILD)

    heard = await turn(http, talk.id)
    full = (await http.get(f"/api/agent-sessions/{talk.id}")).json()
    [run] = await talk.all(ToolRequested)
    assert run.child is not None
    child = (await http.get(f"/api/agent-sessions/{run.child.session}?format=ui")).json()

    assert [event["type"] for event in heard.events] == ["start", "block-start", "block-end", "finish"]
    assert heard.events[1]["blockType"] == "run-worker"
    assert full["variables"]["ANSWER"] == "Hello!"
    assert full["messages"][-1]["toolCalls"][0]["name"] == "helper"
    assert child["messages"][-1]["parts"][0]["text"] == "Hello!"


async def test_a_child_agents_session_is_cleared_with_the_session_that_it_answered(
    http: httpx.AsyncClient, stage: Stage
):
    talk = await with_child(stage, handler=RUN_CHILD)
    await turn(http, talk.id)
    [run] = await talk.all(ToolRequested)
    assert run.child is not None
    child = f"/api/agent-sessions/{run.child.session}"
    assert (await http.get(f"{child}/logs")).status_code == 200

    await http.delete(f"/api/agent-sessions/{talk.id}")
    await http.post(f"/api/agent-sessions/{talk.id}/restore", json={"messages": []})

    for path in ("", "/logs", "/events", "/state", "/observe"):
        refused = await http.get(child + path)
        assert (refused.status_code, talk.id in refused.json()["error"]) == (404, True)
    await turn(http, talk.id)
    again = (await talk.all(ToolRequested))[-1].child
    assert again is not None
    assert (await http.get(f"/api/agent-sessions/{again.session}/events")).status_code == 200


async def test_a_block_that_is_not_run_here_ends_the_stream_with_an_error(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(handler=ASIDE)

    heard = await turn(http, talk.id)

    said = [event for event in heard.events if event["type"] == "block-start" and event["blockName"] == "Note"]
    assert said[0]["thread"] == "notes"
    assert heard.text == "Hello!"
    last = heard.events[-1]
    assert (last["type"], last["errorType"], last["code"]) == ("error", "provider_error", "unsupported")
    assert "generate-image" in last["message"]
