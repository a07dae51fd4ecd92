"""Sessions that are made for a turn: with a key, by their first trigger; for a worker, by its run."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from tests.gateway.streaming import Heard
from tests.support.agents import CALL_THEN_SAY, SAY_HELLO, bundle
from tests.support.children import STEPS, child_bundle
from tests.support.services import TENANT, Stage, Talk

from stenograph_events import SessionId
from stenograph_events.types import TurnStarted
from stenograph_services.protocol import Bundle
from stenograph_services.runtime.agents import Agents

SDK_4 = {"X-Octavus-Sdk-Version": "4"}

ASKING_STEPS = (
    STEPS.replace(
        "steps:\n",
        """\
tools:
  ask-user:
    description: Ask
    parameters: {question: {type: string}}
steps:
  Sure:
    block: tool-call
    tool: ask-user
    input: {question: TOPIC}
    output: REPLY
""",
    )
    .replace("variables:\n", "variables:\n  REPLY: {type: string}\n")
    .replace("input: [TOPIC]", "input: [{TOPIC: REPLY}]")
)

FAILS = """\
turns:
  - - error: {kind: authentication, detail: the key is wrong}
"""


async def test_a_start_makes_a_session_and_streams_its_first_turn(http: httpx.AsyncClient, stage: Stage):
    agent = await stored(stage, bundle("start-1", SAY_HELLO))

    heard = await start(http, agent, "order-1")
    talk = talk_of(stage, heard.response.headers["X-Octavus-Session-Id"])

    assert heard.response.status_code == 200
    [started] = await talk.all(TurnStarted)
    assert heard.events[0] == {"type": "start", "executionId": started.turn, "sessionId": talk.id}
    assert heard.text == "Hello!"
    assert heard.done


async def test_the_same_key_is_the_same_session_and_turn(http: httpx.AsyncClient, stage: Stage):
    agent = await stored(stage, bundle("start-2", SAY_HELLO))

    twice = await asyncio.gather(start(http, agent, "order-2"), start(http, "start-2", "order-2"))
    later = await start(http, agent, "order-2")
    other = await start(http, agent, "order-3")

    sessions = [heard.events[0]["sessionId"] for heard in (*twice, later)]
    assert len(set(sessions)) == 1
    assert [heard.text for heard in (*twice, later)] == ["Hello!"] * 3
    assert len(await talk_of(stage, sessions[0]).all(TurnStarted)) == 1
    assert other.events[0]["sessionId"] != sessions[0]
    talk_of(stage, other.events[0]["sessionId"])


async def test_a_start_that_comes_again_with_the_last_id_goes_on_there(http: httpx.AsyncClient, stage: Stage):
    agent = await stored(stage, bundle("start-7", CALL_THEN_SAY))
    path, body = "/api/agent-sessions/start", start_body(agent, "order-7")
    async with http.stream("POST", path, json=body) as response:
        broken = Heard(response)
        await broken.until("tool-input-available")
    talk = talk_of(stage, broken.events[0]["sessionId"])

    async with http.stream("POST", path, json=body, headers={"Last-Event-ID": broken.ids[-1]}) as response:
        rest = Heard(response)
        await rest.begun()
        await talk.answer(await talk.request(), {"plan": "pro"})
        await rest.end()
    over = await start(http, agent, "order-7", rest.ids[-1])
    other = await http.post(path, json=body | {"trigger": {"triggerName": "user-message", "input": {"TEXT": "Other"}}})

    assert rest.events[0] == over.events[0] == broken.events[0]
    assert rest.response.headers["X-Octavus-Session-Id"] == talk.id
    assert "tool-input-start" not in rest.types
    assert rest.text == 'You have {"plan":"pro"}'
    assert (over.types, over.done) == (["start"], True)
    assert (other.status_code, other.json()["code"]) == (400, "VALIDATION_ERROR")
    assert len(await talk.all(TurnStarted)) == 1


async def test_a_key_stands_for_one_agent(http: httpx.AsyncClient, stage: Stage):
    one, other = await stored(stage, bundle("start-3", SAY_HELLO)), await stored(stage, bundle("start-4", SAY_HELLO))

    heard = await start(http, one, "order-4")
    refused = await http.post("/api/agent-sessions/start", json=start_body(other, "order-4"))

    assert (refused.status_code, refused.json()["code"]) == (400, "VALIDATION_ERROR")
    assert heard.events[0]["sessionId"] in refused.json()["error"]
    assert "'start-3'" in refused.json()["error"]


async def test_a_key_stands_for_one_input_of_its_session(http: httpx.AsyncClient, stage: Stage):
    takes_name = "input: {NAME: {type: string, default: Ann}}"
    agent = await stored(stage, bundle("start-9", SAY_HELLO, top=takes_name))
    body = start_body(agent, "order-9")

    await start(http, agent, "order-9")
    same = await http.post("/api/agent-sessions/start", json=body | {"input": {"NAME": "Ann"}})
    other = await http.post("/api/agent-sessions/start", json=body | {"input": {"NAME": "Bob"}})

    assert same.status_code == 200
    assert (other.status_code, other.json()["code"]) == (400, "VALIDATION_ERROR")
    assert other.json()["error"].endswith("which was made with another input")


@pytest.mark.parametrize(
    ("change", "status", "sentence"),
    [
        ({"agentId": "nobody"}, 404, "nobody"),
        ({"idempotencyKey": ""}, 400, "idempotencyKey"),
        ({"idempotencyKey": None}, 400, "idempotencyKey"),
        ({"trigger": {}}, 400, "trigger.triggerName: this is missing"),
        ({"trigger": {"triggerName": "a.b"}}, 400, "trigger.triggerName"),
        ({"trigger": {"triggerName": "user-mesage", "input": {}}}, 400, "no trigger 'user-mesage'"),
        ({"input": {"WHAT": 1}}, 400, "WHAT"),
    ],
)
async def test_a_start_that_cannot_be_is_refused(
    http: httpx.AsyncClient, stage: Stage, change: dict[str, Any], status: int, sentence: str
):
    agent = await stored(stage, bundle("start-5", SAY_HELLO))

    refused = await http.post("/api/agent-sessions/start", json=start_body(agent, f"order-{sentence}") | change)

    assert refused.status_code == status
    assert sentence in refused.json()["error"]


async def test_a_worker_runs_and_its_result_comes_before_the_finish(http: httpx.AsyncClient, stage: Stage):
    agent = await stored(stage, child_bundle("worker-1", SAY_HELLO))

    async with executed(http, agent, {"type": "start", "input": {"TOPIC": "tides"}}, SDK_4) as heard:
        await heard.end()
    talk = talk_of(stage, heard.execution)

    assert heard.text == "Hello!"
    assert heard.events[-3] == {"type": "worker-result", "workerId": talk.id, "output": "Hello!"}
    assert heard.events[-2] == {"type": "finish", "finishReason": "stop"}
    assert heard.types[-1] == "usage"
    assert len(await talk.all(TurnStarted)) == 1


async def test_a_client_of_version_2_is_told_nothing_of_workers(http: httpx.AsyncClient, stage: Stage):
    agent = await stored(stage, child_bundle("worker-2", SAY_HELLO))

    async with executed(http, agent, {"type": "start", "input": {"TOPIC": "tides"}}) as heard:
        await heard.end()

    assert not [kind for kind in heard.types if kind.startswith("worker")]
    assert heard.types[-1] == "finish"


async def test_a_worker_that_fails_says_so_in_its_result_and_at_the_end(http: httpx.AsyncClient, stage: Stage):
    agent = await stored(stage, child_bundle("worker-3", FAILS))

    async with executed(http, agent, {"type": "start", "input": {"TOPIC": "tides"}}, SDK_4) as heard:
        await heard.end()

    result, last = heard.events[-2:]
    assert (result["type"], last["type"]) == ("worker-result", "error")
    assert result["error"] == last["message"]
    assert "the key is wrong" in result["error"]


async def test_a_worker_that_asks_its_client_goes_on_with_the_answer(http: httpx.AsyncClient, stage: Stage):
    agent = await stored(stage, child_bundle("worker-4", SAY_HELLO, ASKING_STEPS))

    async with executed(http, agent, {"type": "start", "input": {"TOPIC": "tides"}}, SDK_4) as first:
        await first.end()
    [call] = first.asked
    result = {"toolCallId": call["toolCallId"], "result": "yes"}
    body = {"type": "continue", "executionId": first.execution, "toolResults": [result]}
    async with executed(http, agent, body, SDK_4) as second:
        await second.end()
    talk_of(stage, first.execution)

    assert first.events[-1] == {"type": "finish", "finishReason": "tool-calls"}
    assert "worker-result" not in first.types
    assert second.events[0] == first.events[0]
    assert second.events[-3]["output"] == "Hello!"


async def test_a_run_is_continued_by_the_agent_that_runs_alone(http: httpx.AsyncClient, stage: Stage):
    """Any agent's path used to do."""
    agent = await stored(stage, child_bundle("worker-6", SAY_HELLO, ASKING_STEPS))
    other = await stored(stage, child_bundle("worker-7", SAY_HELLO, ASKING_STEPS))
    async with executed(http, agent, {"type": "start", "input": {"TOPIC": "tides"}}, SDK_4) as first:
        await first.end()
    result = {"toolCallId": first.asked[0]["toolCallId"], "result": "yes"}
    body = {"type": "continue", "executionId": first.execution, "toolResults": [result]}

    for named in (other, "worker-7", "nobody"):
        refused = await http.post(f"/api/agents/{named}/execute", json=body)
        assert (refused.status_code, refused.json()["code"]) == (404, "NOT_FOUND")
        assert f"agent '{named}' has no execution" in refused.json()["error"]
    async with executed(http, "worker-6", body, SDK_4) as second:
        await second.end()

    talk_of(stage, first.execution)
    assert second.text == "Hello!"


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({}, 400, "type: this is missing"),
        ({"type": "stop"}, 400, "type"),
        ({"type": "start"}, 400, "TOPIC"),
        ({"type": "continue"}, 400, "executionId is missing"),
        ({"type": "continue", "executionId": "zz.1"}, 404, "not a session id"),
        ({"type": "continue", "executionId": "00" + "0" * 32}, 404, "no session"),
    ],
)
async def test_a_run_that_cannot_be_is_refused(
    http: httpx.AsyncClient, stage: Stage, body: dict[str, Any], status: int, sentence: str
):
    agent = await stored(stage, child_bundle("worker-5", SAY_HELLO))

    refused = await http.post(f"/api/agents/{agent}/execute", json=body)

    assert refused.status_code == status
    assert sentence in refused.json()["error"]


async def test_an_agent_that_is_no_worker_is_not_executed(http: httpx.AsyncClient, stage: Stage):
    agent = await stored(stage, bundle("start-6", SAY_HELLO))

    refused = await http.post(f"/api/agents/{agent}/execute", json={"type": "start", "input": {}})

    assert refused.status_code == 400
    assert "no worker" in refused.json()["error"]


async def stored(stage: Stage, files: Bundle) -> str:
    """Store an agent and return its id."""
    agent, _ = await Agents(stage.nc).store(TENANT, files)
    return agent.id


def talk_of(stage: Stage, session: str) -> Talk:
    """Return a session that the gateway made; its log is checked when the test ends."""
    talk = Talk(stage, SessionId(session))
    stage.talks.append(talk)
    return talk


def start_body(agent: str, key: str) -> dict[str, Any]:
    trigger = {"triggerName": "user-message", "input": {"TEXT": "Hi"}}
    return {"agentId": agent, "trigger": trigger, "idempotencyKey": key}


async def start(http: httpx.AsyncClient, agent: str, key: str, last: str | None = None) -> Heard:
    """Return the whole stream of the turn that a session is made for, or what comes after `last`."""
    body, headers = start_body(agent, key), {} if last is None else {"Last-Event-ID": last}
    async with http.stream("POST", "/api/agent-sessions/start", json=body, headers=headers) as response:
        heard = Heard(response)
        await heard.end()
        return heard


@asynccontextmanager
async def executed(
    http: httpx.AsyncClient, agent: str, body: dict[str, Any], headers: dict[str, str] | None = None
) -> AsyncIterator[Heard]:
    async with http.stream("POST", f"/api/agents/{agent}/execute", json=body, headers=headers) as response:
        yield Heard(response)
