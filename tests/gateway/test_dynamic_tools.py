"""Tools known only at run time, over HTTP: offered with a trigger, called by the model, answered by the application."""

from typing import Any

import httpx
import msgspec
import pytest
from tests.gateway.streaming import Heard, leg
from tests.support.agents import bundle
from tests.support.children import STEPS, child_bundle
from tests.support.services import TENANT, Stage, Talk

from stenograph_events import SessionId
from stenograph_events.types import ToolRefused, ToolRequested, TurnStarted
from stenograph_sdk import HttpClient, OfferedTool, tool
from stenograph_services.runtime.agents import Agents

ASKS = """\
loop: true
turns:
  - - text: Let me look.
      calls: [{tool: files__search, arguments: {query: tides}}]
    - text: "Found {{last_result}}"
"""
ASKS_TWICE = ASKS.replace(
    '    - text: "Found', '    - calls: [{tool: files__search, arguments: {query: moon}}]\n    - text: "Found'
)
ASKS_WRONGLY = ASKS.replace("query: tides", "query: 5")

SEARCH = {
    "name": "files__search",
    "description": "Search the files",
    "inputSchema": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
    "outputSchema": {"type": "array"},
}
OTHER = {"name": "files__other", "inputSchema": {"type": "object"}}
FULL = {"X-Octavus-Sdk-Version": "4"}


def trigger_body(*tools: Any, **beside: Any) -> dict[str, Any]:
    return {"triggerName": "user-message", "input": {"TEXT": "Hi"}, "dynamicToolSchemas": tools, **beside}


async def posted(http: httpx.AsyncClient, path: str, body: dict[str, Any], **headers: str) -> Heard:
    """Return the whole stream that answers `body`."""
    async with http.stream("POST", path, json=body, headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        heard = Heard(response)
        await heard.end()
        return heard


async def triggered(http: httpx.AsyncClient, session: str, *tools: Any, **beside: Any) -> Heard:
    return await posted(http, f"/api/agent-sessions/{session}/trigger", trigger_body(*tools, **beside))


def found(heard: Heard, result: Any) -> dict[str, Any]:
    [call] = heard.asked
    return {"toolCallId": call["toolCallId"], "toolName": call["toolName"], "result": result}


async def test_a_tool_known_only_at_run_time_is_called_and_answered(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(ASKS)

    first = await triggered(http, talk.id, SEARCH)
    second = await leg(http, talk.id, first.execution, found(first, ["tides.txt"]), dynamicToolSchemas=[SEARCH])

    [call] = first.asked
    assert (call["toolName"], call["args"], call["source"]) == ("files__search", {"query": "tides"}, "llm")
    assert second.text == 'Found ["tides.txt"]'
    assert second.events[-1]["finishReason"] == "stop"


async def test_the_log_holds_the_tools_once_however_many_legs_there_are(http: httpx.AsyncClient, stage: Stage):
    """A later leg may bring others, or nonsense: the turn keeps those that it started with."""
    talk = await stage.session(ASKS_TWICE)

    first = await triggered(http, talk.id, SEARCH)
    second = await leg(http, talk.id, first.execution, found(first, "a"), dynamicToolSchemas=[OTHER])
    third = await leg(http, talk.id, first.execution, found(second, "b"), dynamicToolSchemas=[{"name": 5}])

    events = await talk.events()
    [started] = await talk.all(TurnStarted)
    assert third.text == "Found b"
    assert [one.name for one in started.tools] == ["files__search"]
    assert sum(b'"Search the files"' in msgspec.json.encode(event) for event in events) == 1


async def test_a_key_that_comes_again_with_other_tools_is_refused(http: httpx.AsyncClient, stage: Stage):
    """Other tools are another trigger. In another order they are the same ones."""
    talk = await stage.session(ASKS)
    path, headers = f"/api/agent-sessions/{talk.id}/trigger", {"Idempotency-Key": "k1"}
    body = {"triggerName": "user-message", "input": {"TEXT": "Hello"}}

    begun, same, other, none = [
        await http.post(path, json=body | {"dynamicToolSchemas": tools}, headers=headers)
        for tools in ([SEARCH, OTHER], [OTHER, SEARCH], [OTHER], None)
    ]

    assert (begun.status_code, same.status_code) == (200, 200)
    assert [(one.status_code, one.json()["code"]) for one in (other, none)] == [(400, "VALIDATION_ERROR")] * 2
    [started] = await talk.all(TurnStarted)
    await talk.cancel(str(started.turn))
    assert (await talk.end_of(str(started.turn))).outcome == "cancelled"


async def test_a_turn_without_them_is_refused_the_call(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(ASKS)

    first = await triggered(http, talk.id, OTHER)

    [refused] = await talk.all(ToolRefused)
    assert refused.error == "'files__search' is not run here; answer without it"
    assert "tool-request" not in first.types


async def test_arguments_that_break_the_schema_reach_nobody(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(ASKS_WRONGLY)

    heard = await triggered(http, talk.id, SEARCH)

    [refused] = await talk.all(ToolRefused)
    assert refused.error == 'the arguments are wrong: /query: 5 is not of type "string"'
    assert await talk.all(ToolRequested) == []
    assert heard.events[-1]["finishReason"] == "stop"


async def test_a_tool_that_the_protocol_declares_is_the_protocol_s(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(ASKS)
    mine = {"name": "get-account", "inputSchema": {"type": "object"}}

    heard = await triggered(http, talk.id, mine, SEARCH)
    await leg(http, talk.id, heard.execution, found(heard, 3))

    [started] = await talk.all(TurnStarted)
    assert [one.name for one in started.tools] == ["files__search"]


async def test_a_session_that_is_started_with_its_trigger_takes_them_too(http: httpx.AsyncClient, stage: Stage):
    agent, _ = await Agents(stage.nc).store(TENANT, bundle("dynamic-start", ASKS))
    body = {"agentId": agent.id, "trigger": trigger_body(SEARCH), "idempotencyKey": "dynamic-1"}
    wrong = {**body, "trigger": trigger_body({"name": "a"}), "idempotencyKey": "dynamic-2"}

    heard = await posted(http, "/api/agent-sessions/start", body)
    refused = await http.post("/api/agent-sessions/start", json=wrong)

    stage.talks.append(talk := Talk(stage, SessionId(heard.response.headers["X-Octavus-Session-Id"])))
    second = await leg(http, talk.id, heard.execution, found(heard, 3))
    assert second.text == "Found 3"
    assert refused.json()["error"] == "trigger.dynamicToolSchemas[0].inputSchema: is missing"


async def test_a_worker_that_is_executed_takes_them_in_each_of_its_threads(http: httpx.AsyncClient, stage: Stage):
    steps = STEPS.replace("thread: main", "thread: deep").replace("role: user", "role: user\n    thread: deep")
    steps = steps.replace("block: next-message", "block: next-message\n    thread: deep")
    await Agents(stage.nc).store(TENANT, child_bundle("dynamic-worker", ASKS, steps))
    path = "/api/agents/dynamic-worker/execute"

    start = {"type": "start", "input": {"TOPIC": "tides"}, "dynamicToolSchemas": [SEARCH]}
    first = await posted(http, path, start, **FULL)
    stage.talks.append(Talk(stage, SessionId(first.execution)))
    body = {"type": "continue", "executionId": first.execution, "toolResults": [found(first, 3)]}
    second = await posted(http, path, body | {"dynamicToolSchemas": [SEARCH]}, **FULL)

    results = [event for event in second.events if event["type"] == "worker-result"]
    assert results == [{"type": "worker-result", "workerId": first.execution, "output": "Found 3"}]


@pytest.mark.parametrize(
    ("tools", "status", "sentence"),
    [
        ("all", 400, "dynamicToolSchemas: must be a list of tools, not 'all'"),
        ([SEARCH, SEARCH], 400, "dynamicToolSchemas[1].name: 'files__search' is there twice"),
        (
            [SEARCH, OTHER, {"name": "c", "inputSchema": {"type": "objct"}}],
            400,
            "dynamicToolSchemas[2].inputSchema.type: must be one of array, boolean, integer, null, number, object, "
            "string, not 'objct'; did you mean 'object'?",
        ),
        ([{"name": "a.>", "inputSchema": {}}], 400, "dynamicToolSchemas[0].name: 'a.>' must be 1 to 64 letters"),
        ([SEARCH | {"description": "x" * 10_000}], 413, "input, sender and dynamicToolSchemas take 10"),
        ([SEARCH | {"description": "x" * 300_000}], 413, "dynamicToolSchemas: the tools take 300"),
    ],
)
async def test_tools_that_cannot_be_offered_are_refused_with_one_sentence(
    http: httpx.AsyncClient, stage: Stage, tools: Any, status: int, sentence: str
):
    talk = await stage.session(ASKS)

    refused = await http.post(
        f"/api/agent-sessions/{talk.id}/trigger", json=trigger_body() | {"dynamicToolSchemas": tools}
    )

    assert refused.status_code == status
    assert refused.json()["error"].startswith(sentence)
    assert await talk.types() == ["session.created"]


async def test_null_offers_nothing(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session()

    heard = await posted(
        http, f"/api/agent-sessions/{talk.id}/trigger", trigger_body() | {"dynamicToolSchemas": None, "sender": None}
    )

    assert heard.text == "Hello!"


async def test_functions_given_with_a_trigger_are_offered_and_answer_their_calls(base_url: str, stage: Stage):
    @tool("files__search")
    def search(query: str) -> list[str]:
        """Search the files"""
        return [f"{query}.txt"]

    talk = await stage.session(ASKS)
    read = OfferedTool("files__read", "Read a file")
    said = ""
    async with HttpClient.connect(base_url) as client:
        async for event in client.session(talk.id).trigger("user-message", {"TEXT": "Hi"}, tools=[search, read]):
            said += getattr(event, "delta", "") if type(event).__name__ == "TextDelta" else ""

    [started] = await talk.all(TurnStarted)
    assert said == 'Let me look.Found ["tides.txt"]'
    assert [one.name for one in started.tools] == ["files__search", "files__read"]


# ---- who sends a trigger


SENDER = {"id": "u-7", "name": "Ada", "image": "https://example.com/ada.png"}


async def test_the_sender_comes_back_on_what_the_user_said_in_the_full_shape_alone(
    http: httpx.AsyncClient, stage: Stage
):
    talk = await stage.session()
    path = f"/api/agent-sessions/{talk.id}"

    await triggered(http, talk.id, sender=SENDER)
    await triggered(http, talk.id, sender={"name": "Bo"})
    await triggered(http, talk.id)

    for shape in ("?format=ui", ""):
        full = (await http.get(path + shape, headers=FULL)).json()["messages"]
        first = (await http.get(path + shape)).json()["messages"]
        assert [one.get("sender") for one in full] == [SENDER, None, {"name": "Bo"}, None, None, None]
        assert [one["role"] for one in full if "sender" in one] == ["user", "user"]
        assert not [one for one in first if "sender" in one]


async def test_a_sender_that_is_none_is_refused(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session()

    refused = await http.post(f"/api/agent-sessions/{talk.id}/trigger", json=trigger_body(sender={"id": 7}))

    assert (refused.status_code, refused.json()["error"]) == (400, "sender.id: this must be a text")
