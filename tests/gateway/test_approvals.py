"""Approvals over HTTP: shown, decided by who may, and what a client that streams the turn is told meanwhile."""

import asyncio
from typing import Any

import httpx
import pytest
from tests.gateway.doors import gateway_with, key_for
from tests.gateway.streaming import turn
from tests.orchestrator import test_child_approvals as children
from tests.support.agents import CALL_THEN_SAY, TOOLS
from tests.support.services import Stage, Talk

from stenograph_events.types import ApprovalDenied, ApprovalGranted, ApprovalRequested, ToolRequested
from stenograph_sdk import HttpClient, SyncHttpClient

GUARDED = TOOLS.replace("retry: safe", "retry: safe\n  approval: always")


async def waiting(stage: Stage) -> tuple[Talk, str, ApprovalRequested]:
    talk = await stage.session(CALL_THEN_SAY, tools=GUARDED)
    turn = await talk.send()
    return talk, turn, await talk.until(ApprovalRequested, turn)


async def over(talk: Talk, turn: str) -> None:
    await talk.cancel(turn)
    await talk.end_of(turn)


async def test_a_call_that_waits_is_shown_and_runs_once_it_is_granted(services: Stage, http: httpx.AsyncClient):
    talk, turn, asked = await waiting(services)
    path = f"/api/agent-sessions/{talk.id}/approvals"

    [shown] = (await http.get(path)).json()["approvals"]
    state = (await http.get(f"/api/agent-sessions/{talk.id}/state")).json()
    body = {"decision": "grant", "digest": shown["digest"], "actor": "ann"}
    granted = await http.post(f"{path}/{shown['call']}", json=body)
    again = await http.post(f"{path}/{shown['call']}", json=body)
    await talk.answer(await talk.request(), {"plan": "pro"})
    await talk.end_of(turn)

    assert (shown["call"], shown["tool"], shown["arguments"]) == (asked.call, "get-account", {"userId": "u1"})
    assert (state["status"], state["turn"]["calls"][0]["status"]) == ("waiting", "approval")
    assert granted.status_code == again.status_code == 200
    assert granted.json() == again.json()
    assert granted.json()["actor"] == {"via": "http", "name": "ann"}
    assert (await http.get(path)).json() == {"approvals": []}
    await talk.check()


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"digest": "0" * 64}, 409, "the digest is not that of call"),
        ({"digest": "short"}, 400, "digest"),
        ({"decision": "maybe"}, 400, "decision"),
        ({"decision": "edit"}, 400, "arguments, as an object, belong to the decision edit"),
        ({"decision": "edit", "arguments": {"userId": 5}}, 400, "arguments: /userId: 5 is not of type"),
        ({"arguments": {"userId": "u2"}}, 400, "arguments, as an object, belong to the decision edit"),
        ({"call": "nothing"}, 404, "no call nothing was to be approved"),
        ({"call": "a.b"}, 400, "call"),
        ({"session": "3f" + "0" * 32}, 404, "no session"),
    ],
)
async def test_what_decides_nothing_is_refused_with_its_reason_and_stores_nothing(
    services: Stage, http: httpx.AsyncClient, body: dict[str, Any], status: int, sentence: str
):
    talk, turn, asked = await waiting(services)
    before = await talk.types()
    call, session = body.pop("call", asked.call), body.pop("session", talk.id)

    answer = await http.post(
        f"/api/agent-sessions/{session}/approvals/{call}", json={"decision": "grant", "digest": asked.digest} | body
    )

    assert (answer.status_code, await talk.types()) == (status, before)
    assert sentence in answer.json()["error"]
    await over(talk, turn)


async def test_another_decision_on_a_decided_call_is_a_conflict(services: Stage, http: httpx.AsyncClient):
    talk, turn, asked = await waiting(services)
    path, digest = f"/api/agent-sessions/{talk.id}/approvals/{asked.call}", asked.digest

    first = await http.post(path, json={"decision": "deny", "digest": digest, "reason": "no"})
    second = await http.post(path, json={"decision": "grant", "digest": digest})
    await talk.end_of(turn)

    assert (first.status_code, second.status_code) == (200, 409)
    assert second.json()["code"] == "CONFLICT"
    assert (len(await talk.all(ApprovalDenied)), len(await talk.all(ApprovalGranted))) == (1, 0)


async def test_a_stream_ends_while_a_person_is_asked_and_goes_on_for_whoever_comes_back(
    services: Stage, http: httpx.AsyncClient, base_url: str
):
    talk = await services.session(CALL_THEN_SAY, tools=GUARDED)

    told = await turn(http, talk.id, "Hi")
    [asked] = await talk.all(ApprovalRequested)
    watching = await http.get(f"/api/agent-sessions/{talk.id}/observe")
    async with HttpClient.connect(base_url) as client:
        session = client.session(talk.id)
        [shown] = await session.approvals()
        decided = await session.approve(shown["call"], digest=shown["digest"], name="ann")
    await talk.answer(await talk.until(ToolRequested), {"plan": "pro"})
    await talk.end_of(str(asked.turn))
    after = await http.get(f"/api/agent-sessions/{talk.id}/observe")

    end = told.events[-1]
    assert (end["type"], end["code"], end["retryable"]) == ("error", "approval-required", False)
    assert f"get-account (call {asked.call}) has to be approved" in end["message"]
    assert "approval-required" in watching.text
    assert decided["decision"] == "granted"
    assert "approval-required" not in after.text
    assert '"finishReason":"stop"' in after.text


async def test_a_program_without_a_loop_decides_as_well(services: Stage, base_url: str):
    talk, turn, asked = await waiting(services)

    def decided() -> list[dict[str, Any]]:
        with SyncHttpClient.connect(base_url) as client:
            session = client.session(talk.id)
            [shown] = session.approvals()
            denied = session.deny(shown["call"], digest=shown["digest"], reason="no", name="ann")
            return [shown, denied, *session.approvals()]

    shown, denied = await asyncio.to_thread(decided)
    end = await talk.end_of(turn)

    assert (shown["call"], denied["decision"], denied["reason"]) == (asked.call, "denied", "no")
    assert end.outcome == "completed"


async def test_what_waits_in_a_child_agent_is_shown_at_its_parent_and_decided_in_its_session(
    services: Stage, http: httpx.AsyncClient
):
    talk, turn, child, asked = await children.waiting(services, await children.guarded_child(services))

    [shown] = (await http.get(f"/api/agent-sessions/{talk.id}/approvals")).json()["approvals"]
    path = f"/api/agent-sessions/{shown['session']}/approvals"
    [same] = (await http.get(path)).json()["approvals"]
    granted = await http.post(f"{path}/{asked.call}", json={"decision": "grant", "digest": shown["digest"]})
    await children.finds(child)
    await talk.end_of(turn)

    assert (shown["session"], shown["parent"], shown["call"]) == (child.id, talk.id, asked.call)
    assert same == shown
    assert granted.json()["decision"] == "granted"
    assert (await http.get(f"/api/agent-sessions/{talk.id}/approvals")).json() == {"approvals": []}


async def test_who_may_only_drive_sessions_sees_approvals_and_decides_none(services: Stage):
    talk, turn, asked = await waiting(services)
    key, may = await key_for(services, "approve")
    _, may_not = await key_for(services, "sessions")
    path = f"/api/agent-sessions/{talk.id}/approvals"
    body = {"decision": "deny", "digest": asked.digest}
    async with gateway_with(services) as gate:
        async with gate.client(may_not) as http:
            seen = await http.get(path)
            refused = await http.post(f"{path}/{asked.call}", json=body)
        async with gate.client(may) as http:
            denied = await http.post(f"{path}/{asked.call}", json=body)
            foreign = await http.get(f"/api/agent-sessions/{talk.id}")
    await talk.end_of(turn)

    assert [seen.status_code, refused.status_code, denied.status_code, foreign.status_code] == [200, 403, 200, 403]
    assert "scope approve" in refused.json()["error"]
    assert denied.json()["actor"] == {"via": "http", "credential": key.id}
