"""Unknown outcomes over HTTP: shown, resolved by who may, and what a client that streams the turn is told meanwhile."""

from typing import Any

import httpx
import pytest
from tests.gateway.doors import gateway_with, key_for
from tests.orchestrator.test_effects import ASKING, CHECKING, begun
from tests.support.services import Stage

from stenograph_events.types import ResolutionRequested, ToolOutcomeUnknown
from stenograph_sdk import HttpClient


async def test_a_call_that_nobody_knows_of_is_shown_and_resolved(
    services: Stage, http: httpx.AsyncClient, base_url: str
):
    talk, turn, asked = await begun(services, ASKING, ResolutionRequested)
    path = f"/api/agent-sessions/{talk.id}/resolutions"

    state = (await http.get(f"/api/agent-sessions/{talk.id}/state")).json()
    async with HttpClient.connect(base_url) as client:
        session = client.session(talk.id)
        [shown] = await session.unresolved()
        first = await session.resolve(shown["call"], "succeeded", result={"id": "m1"}, name="ann")
        again = await session.resolve(shown["call"], "succeeded", result={"id": "m1"})
    other = await http.post(f"{path}/{asked.call}", json={"outcome": "failed"})
    await talk.end_of(turn)

    assert (shown["tool"], shown["arguments"], shown["attempt"]) == ("send-mail", {"to": "ann"}, 1)
    assert (state["status"], state["turn"]["calls"][0]["status"]) == ("waiting", "resolution")
    assert first == again
    assert (first["outcome"], first["actor"], first["result"]) == (
        "succeeded",
        {"via": "http", "name": "ann"},
        {"id": "m1"},
    )
    assert (other.status_code, other.json()["code"]) == (409, "CONFLICT")
    assert (await http.get(path)).json() == {"resolutions": []}
    await talk.check()


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"outcome": "maybe"}, 400, "outcome"),
        ({"outcome": "succeeded", "result": 5}, 400, "result: 5 is not of type"),
        ({"outcome": "failed", "result": {"id": "m1"}}, 400, "a result belongs to the outcome succeeded"),
        ({"outcome": "unknown", "call": "nothing"}, 404, "nobody was asked what came of a call nothing"),
        ({"outcome": "unknown", "session": "3f" + "0" * 32}, 404, "no session"),
    ],
)
async def test_what_resolves_nothing_is_refused_with_its_reason_and_stores_nothing(
    services: Stage, http: httpx.AsyncClient, body: dict[str, Any], status: int, sentence: str
):
    talk, turn, asked = await begun(services, ASKING, ResolutionRequested)
    before = await talk.types()
    call, session = body.pop("call", asked.call), body.pop("session", talk.id)

    answer = await http.post(f"/api/agent-sessions/{session}/resolutions/{call}", json=body)

    assert (answer.status_code, await talk.types()) == (status, before)
    assert sentence in answer.json()["error"]
    await talk.cancel(turn)
    await talk.end_of(turn)


async def test_a_stream_ends_while_a_person_is_asked_and_shows_the_answer_to_whoever_comes_back(
    services: Stage, http: httpx.AsyncClient
):
    talk, turn, asked = await begun(services, ASKING, ResolutionRequested)

    watching = await http.get(f"/api/agent-sessions/{talk.id}/observe")
    await talk.sdk.resolve(asked.call, "failed", error="It bounced.")
    await talk.end_of(turn)
    after = await http.get(f"/api/agent-sessions/{talk.id}/observe")

    assert '"code":"outcome-unknown"' in watching.text
    assert "tool-output" not in watching.text
    assert "outcome-unknown" not in after.text
    assert after.text.count('"type":"tool-output-error"') == 1
    assert "It bounced." in after.text


async def test_a_stream_shows_one_call_not_its_check(services: Stage, http: httpx.AsyncClient):
    talk, turn, _ = await begun(services, CHECKING, ToolOutcomeUnknown)
    check = await talk.request(2)
    await talk.answer(check, {"outcome": "succeeded", "result": "sent"})
    await talk.end_of(turn)

    told = await http.get(f"/api/agent-sessions/{talk.id}/observe")
    [message] = [
        one
        for one in (await http.get(f"/api/agent-sessions/{talk.id}?format=ui")).json()["messages"]
        if one["role"] == "assistant"
    ]

    assert check.call not in told.text
    assert told.text.count('"type":"tool-output-available"') == 1
    assert [part["toolName"] for part in message["parts"] if part["type"] == "tool-call"] == ["send-mail"]


async def test_who_may_only_drive_sessions_resolves_nothing(services: Stage):
    talk, turn, asked = await begun(services, ASKING, ResolutionRequested)
    key, may = await key_for(services, "approve")
    _, may_not = await key_for(services, "sessions")
    path = f"/api/agent-sessions/{talk.id}/resolutions"
    async with gateway_with(services) as gate:
        async with gate.client(may_not) as http:
            seen = await http.get(path)
            refused = await http.post(f"{path}/{asked.call}", json={"outcome": "unknown"})
        async with gate.client(may) as http:
            resolved = await http.post(f"{path}/{asked.call}", json={"outcome": "unknown"})
    await talk.end_of(turn)

    assert [seen.status_code, refused.status_code, resolved.status_code] == [200, 403, 200]
    assert resolved.json()["actor"] == {"via": "http", "credential": key.id}
