"""Requests and their answers, as an application meets them."""

import contextlib
import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import httpx
import pytest
from tests.gateway.streaming import turn
from tests.support.agents import CALL_THEN_SAY, SAY_HELLO
from tests.support.nats import connect
from tests.support.services import TENANT, Stage
from tests.support.small_agent import BUNDLE
from tests.support.wait import until

from stenograph_events import Head, decode, new_session_id, seal
from stenograph_events.subjects import event_subject
from stenograph_events.testing import turn_started
from stenograph_events.types import MessageAdded, SessionCreated, TurnFinished
from stenograph_sdk import Client, Refused
from stenograph_services.gateway import app as gateway
from stenograph_services.runtime.agents import AgentEntry, Agents
from stenograph_services.runtime.jetstream import publish
from stenograph_services.runtime.nats_server import NatsServer
from stenograph_services.runtime.service import Running
from stenograph_services.runtime.streams import declare

SHOWN = """\
get-account:
  description: Look it up
  display: stream
  parameters: {userId: {type: string}}
  retry: safe
"""


@pytest.fixture
async def agent(services: Stage) -> AgentEntry:
    """The small agent: it needs COMPANY, and USER_ID is optional."""
    entry, _ = await Agents(services.nc).store(TENANT, BUNDLE)
    return entry


async def refused(response: httpx.Response) -> tuple[int, str, str]:
    """Return status, code and sentence of a flat error body."""
    body = response.json()
    assert set(body) == {"error", "code"}, body
    assert "Traceback" not in response.text
    return response.status_code, body["code"], body["error"]


# ---- agents


async def test_the_list_holds_every_field_that_the_client_demands(http: httpx.AsyncClient, agent: AgentEntry):
    agents = (await http.get("/api/agents")).json()["agents"]

    found = next(one for one in agents if one["slug"] == "x")
    assert (found["id"], found["name"], found["format"], found["projectId"]) == (agent.id, "X", "interactive", TENANT)
    assert found["description"] is None
    datetime.fromisoformat(found["createdAt"])
    datetime.fromisoformat(found["updatedAt"])


@pytest.mark.parametrize("by", ["id", "slug"])
async def test_an_agent_is_found_by_id_and_by_slug(http: httpx.AsyncClient, agent: AgentEntry, by: str):
    name = agent.id if by == "id" else "x?by=slug"

    found = (await http.get(f"/api/agents/{name}")).json()

    assert found["id"] == agent.id
    assert found["settings"] == {"slug": "x", "name": "X", "format": "interactive"}
    assert found["protocol"] == BUNDLE.protocol
    assert {prompt["name"]: prompt["content"] for prompt in found["prompts"]} == BUNDLE.prompts


@pytest.mark.parametrize("name", ["nobody", "a.b", "*", ">", "x" * 300, "%00", "ä"])
async def test_an_agent_that_is_not_there_is_not_found(http: httpx.AsyncClient, name: str):
    assert (await refused(await http.get(f"/api/agents/{name}")))[:2] == (404, "NOT_FOUND")


# ---- sessions are made


@pytest.mark.parametrize("by", ["id", "slug"])
async def test_a_session_is_pinned_to_the_version_of_its_agent(
    http: httpx.AsyncClient, services: Stage, agent: AgentEntry, by: str
):
    body = {"agentId": agent.id if by == "id" else "x", "input": {"COMPANY": "Acme"}, "from": "a later client"}

    made = await http.post("/api/agent-sessions", json=body)

    assert made.status_code == 201
    log = await services.log.read(TENANT, made.json()["sessionId"])
    created = decode(log[0].data)
    assert isinstance(created, SessionCreated)
    assert (created.agent, created.agent_version) == ("x", agent.version)
    assert json.loads(bytes(created.input)) == {"COMPANY": "Acme"}
    assert len(log) == 1


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"agentId": "x"}, 400, "input: COMPANY is missing"),
        ({"agentId": "x", "input": None}, 400, "input: COMPANY is missing"),
        ({"agentId": "x", "input": {"COMPANY": 5}}, 400, 'input: /COMPANY: 5 is not of type "string"'),
        ({"agentId": "x", "input": {"COMPANY": "A", "USER": "u"}}, 400, "unknown name 'USER'"),
        ({"agentId": "x", "input": []}, 400, "input: this must be a JSON object"),
        ({"agentId": "nobody"}, 404, "no agent 'nobody'"),
        ({"agentId": "a.b.>"}, 404, "no agent 'a.b.>'"),
        ({"agentId": ""}, 400, "agentId: this must not be empty"),
        ({"agentId": 7}, 400, "agentId: this must be a text"),
        ({}, 400, "agentId: this is missing"),
        ([], 400, "the body: this must be a JSON object"),
        ({"agentId": "x", "input": {"COMPANY": "A" * 20_000}}, 413, "the input is 200"),
    ],
)
async def test_what_is_wrong_with_a_new_session_is_said(
    http: httpx.AsyncClient, agent: AgentEntry, body: Any, status: int, sentence: str
):
    answer = await refused(await http.post("/api/agent-sessions", json=body))

    assert answer[0] == status
    assert sentence in answer[2]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "the body is not JSON: "),
        (b"{", "the body is not JSON: "),
        (b"null", "the body: this must be a JSON object"),
        (b'{"agentId":"\xff"}', "the body is not JSON: it is not UTF-8: byte 13 is 0xff"),
        (b'{"agentId": NaN}', "the body is not JSON: "),
        (b'{"agentId":"\\ud800"}', "the body is not JSON: a text holds half of a surrogate pair"),
        (b"[" * 100_000, "the body is not JSON: it is nested too deep"),
        (b'{"a":1}{', "the body is not JSON: "),
    ],
)
async def test_a_body_that_is_no_json_object_is_refused(http: httpx.AsyncClient, content: bytes, sentence: str):
    for path in ("/api/agent-sessions", f"/api/agent-sessions/{new_session_id()}/trigger"):
        answer = await refused(await http.post(path, content=content))
        assert answer[:2] == (400, "VALIDATION_ERROR")
        assert answer[2].startswith(sentence)


async def test_a_path_that_is_none_and_a_method_that_it_does_not_take_are_named(http: httpx.AsyncClient):
    session = new_session_id()

    unknown = await http.post(f"/api/agent-sessions/{session}/triger", json={})
    wrong = await http.put(f"/api/agent-sessions/{session}/trigger", json={})

    assert (await refused(unknown))[
        2
    ] == f"there is no route POST /api/agent-sessions/{session}/triger; GET / shows all"
    assert (await refused(wrong))[2] == f"PUT /api/agent-sessions/{session}/trigger: this path takes POST"
    assert (wrong.status_code, wrong.headers["Allow"]) == (405, "POST")


async def test_a_body_must_say_that_it_is_json(http: httpx.AsyncClient):
    headers = {"Content-Type": "text/plain"}

    answer = await refused(await http.post("/api/agent-sessions", content=b'{"agentId":"x"}', headers=headers))

    assert answer[0] == 400
    assert "Content-Type: application/json" in answer[2]


async def test_a_body_over_the_limit_is_refused_before_it_is_read(http: httpx.AsyncClient):
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 100_000
            yield b" " * 100_000

    announced = await http.post("/api/agent-sessions", content=b" " * 500_000)
    with_chunks = http.post("/api/agent-sessions", content=endless())

    assert (await refused(announced))[:2] == (413, "TOO_LARGE")
    with contextlib.suppress(httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):  # closed while we sent
        assert (await refused(await with_chunks))[:2] == (413, "TOO_LARGE")
    assert sent < 50_000_000


async def test_an_sdk_client_makes_its_sessions_over_nats(services: Stage, base_url: str, agent: AgentEntry):
    async with Client.connect(services.settings.nats_url) as client:
        session = await client.sessions.create("x", {"COMPANY": "Acme"})

        assert len(await services.log.read(TENANT, session.id)) == 1
        with pytest.raises(Refused, match=r"VALIDATION_ERROR.*COMPANY is missing"):
            await client.sessions.create("x")
        with pytest.raises(Refused, match=r"NOT_FOUND.*no agent 'nobody'"):
            await client.sessions.create("nobody")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"agent":7}', b"\xff", b'{"agent":"x","input":"text"}'])
async def test_a_request_over_nats_that_cannot_be_read_is_answered(
    services: Stage, base_url: str, agent: AgentEntry, body: bytes
):
    reply = await services.nc.request(f"api.{TENANT}.sessions.create", body, timeout=5)

    assert json.loads(reply.data)["code"] == "VALIDATION_ERROR"


# ---- sessions are read


async def test_a_session_reads_as_full_state(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(CALL_THEN_SAY)
    sent = await talk.send("What plan am I on?")
    await talk.answer(await talk.request(), {"plan": "pro"})
    await talk.end_of(sent)

    state = (await http.get(f"/api/agent-sessions/{talk.id}")).json()

    assert {"id", "agentId", "input", "variables", "resources", "messages", "createdAt", "updatedAt"} <= set(state)
    assert (state["id"], state["status"]) == (talk.id, "active")
    assert state["variables"]["ANSWER"] == 'You have {"plan":"pro"}'
    asked, called, answered = state["messages"]
    assert (asked["role"], asked["content"]) == ("user", "What plan am I on?")
    [part] = called["parts"]
    assert part["type"] == "tool-call"
    assert part["toolCall"]["status"] == "available"
    assert part["toolCall"]["arguments"] == {"userId": "u1"}
    assert part["toolCall"]["result"] == {"plan": "pro"}
    assert answered["parts"] == [{"type": "text", "visible": True, "content": 'You have {"plan":"pro"}'}]
    assert "null" not in json.dumps(state)


async def test_a_session_reads_as_a_screen_shows_it(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(CALL_THEN_SAY, tools=SHOWN + "send-mail: {description: Send, parameters: {}}\n")
    sent = await talk.send("What plan am I on?")
    request = await talk.request()
    waiting = (await http.get(f"/api/agent-sessions/{talk.id}?format=ui")).json()
    await talk.answer(request, {"plan": "pro"})
    await talk.end_of(sent)

    state = (await http.get(f"/api/agent-sessions/{talk.id}?format=ui")).json()

    assert set(state) == {"sessionId", "agentId", "messages", "status"}
    user, assistant = state["messages"]
    assert user["parts"] == [{"type": "text", "text": "What plan am I on?", "status": "done"}]
    call, text = assistant["parts"]
    assert (call["status"], call["args"], call["result"]) == ("done", {"userId": "u1"}, {"plan": "pro"})
    assert text["text"] == 'You have {"plan":"pro"}'
    assert (waiting["messages"][1]["status"], assistant["status"]) == ("streaming", "done")
    assert waiting["messages"][1]["parts"][0]["status"] == "running"


async def test_a_screen_keeps_arguments_and_results_only_of_tools_that_say_so(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(CALL_THEN_SAY)
    sent = await talk.send()
    await talk.answer(await talk.request(), {"plan": "pro"})
    await talk.end_of(sent)

    state = (await http.get(f"/api/agent-sessions/{talk.id}?format=ui")).json()

    call = state["messages"][1]["parts"][0]
    assert call["args"] == {}
    assert "result" not in call


async def test_the_log_reads_as_lines_of_the_stored_bytes(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(SAY_HELLO)
    await talk.end_of(await talk.send())
    stored = [one.data for one in await stage.log.read(TENANT, talk.id)]

    whole = await http.get(f"/api/agent-sessions/{talk.id}/events")
    tail = await http.get(f"/api/agent-sessions/{talk.id}/events?after=3")
    beyond = await http.get(f"/api/agent-sessions/{talk.id}/events?after=99")

    assert whole.headers["content-type"] == "application/x-ndjson"
    assert whole.content.splitlines() == stored
    assert tail.content.splitlines() == stored[3:]
    assert beyond.content == b""


@pytest.mark.parametrize("query", ["after=-1", "after=x", "after=", "after=1e3"])
async def test_a_position_that_is_no_number_is_refused(http: httpx.AsyncClient, query: str):
    answer = await refused(await http.get(f"/api/agent-sessions/{new_session_id()}/events?{query}"))

    assert answer[:2] == (400, "VALIDATION_ERROR")


WRONG_IDS = ["2fnobody", "zz0193a5c1", "a*b", "a.b", ">", "x" * 200, "%00", "%2e%2e", "ä", "2f 1"]


@pytest.mark.parametrize("session", WRONG_IDS)
async def test_a_session_that_is_not_there_is_not_found(http: httpx.AsyncClient, session: str):
    for path in ("", "?format=ui", "/events"):
        assert (await refused(await http.get(f"/api/agent-sessions/{session}{path}")))[:2] == (404, "NOT_FOUND")
    body = {"triggerName": "user-message", "input": {}}
    answer = await refused(await http.post(f"/api/agent-sessions/{session}/trigger", json=body))
    assert answer[:2] == (404, "NOT_FOUND")


async def test_a_path_and_a_method_that_are_not_there_are_refused_flat(http: httpx.AsyncClient):
    assert (await refused(await http.get("/api/nothing")))[:2] == (404, "NOT_FOUND")
    assert (await refused(await http.delete("/api/agents")))[:2] == (405, "METHOD_NOT_ALLOWED")


async def test_a_damaged_log_is_said_to_be_damaged(http: httpx.AsyncClient, services: Stage):
    talk = await services.session(SAY_HELLO)
    services.talks.remove(talk)  # whose log is damaged on purpose
    forged, data = seal(turn_started(session=talk.id), Head(0, 1, "not the hash of event 1"))
    await publish(services.nc, event_subject(forged), data)

    answer = await refused(await http.get(f"/api/agent-sessions/{talk.id}"))

    assert answer[:2] == (500, "INTERNAL")
    assert "the log is broken at event 2" in answer[2]


async def test_readiness_names_what_is_missing(http: httpx.AsyncClient, services: Stage, base_url: str):
    ready = await http.get("/readyz")
    await services.nc.jetstream().delete_stream("BLOB")
    lacking = await http.get("/readyz")
    await declare(services.nc, services.settings)

    assert (ready.status_code, ready.json()) == (
        200,
        {"ready": True, "nats": True, "durable": "unknown", "missing": []},
    )
    assert (lacking.status_code, lacking.json()["missing"]) == (503, ["BLOB"])


async def test_without_nats_everything_but_health_is_unavailable(nats_server: NatsServer, services: Stage):
    running = Running(gateway.build, services.settings.model_copy(update={"nats_url": nats_server.url}))
    await running.start()
    nc = await connect(nats_server.url)
    entry, _ = await Agents(nc).store(TENANT, BUNDLE)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{running.service.port}") as http:  # type: ignore[attr-defined]
        assert (await http.get("/api/agents")).status_code == 200
        await nats_server.kill()
        await until(lambda: running.broker.connection is not None and not running.broker.connection.is_connected)

        down = await http.post("/api/agent-sessions", json={"agentId": entry.id, "input": {"COMPANY": "A"}})
        assert (await refused(down))[:2] == (503, "UNAVAILABLE")
        assert down.headers["retry-after"] == "2"
        assert (await http.get("/healthz")).status_code == 200
        assert (await http.get("/readyz")).json() == {"ready": False, "nats": False, "durable": "unknown"}

        await nats_server.start()

        async def back() -> bool:
            return (await http.get("/api/agents")).status_code == 200

        await until(back)
    await nc.close()
    await running.stop()


async def test_a_trigger_leaves_the_log_as_a_trigger_over_nats_does(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(SAY_HELLO)

    await turn(http, talk.id, "Hi")
    await talk.end_of(await talk.send("Hi"))

    kinds = await talk.types()
    assert kinds[1:5] == kinds[5:] == ["turn.started", "message.added", "message.added", "turn.finished"]
    assert [one.outcome for one in await talk.all(TurnFinished)] == ["completed", "completed"]
    assert len(await talk.all(MessageAdded)) == 4
