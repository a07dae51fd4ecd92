"""A session as an application sees it end and go on: expired, restored, cleared, rolled back."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.gateway.asking import ASK_AND_THANK, asking
from tests.gateway.expiring import expire
from tests.gateway.streaming import turn
from tests.support.agents import HANDLER, SAY_HELLO, SAY_SLOWLY
from tests.support.services import Stage, Talk

from stenograph_events import new_session_id
from stenograph_events.types import (
    BlockFinished,
    MessageAdded,
    MessagesRolledBack,
    SessionCleared,
    SessionExpired,
    SessionRestored,
    TurnStarted,
)
from stenograph_services.gateway.stored.brought_back import MessageBody, brought_back, differing
from stenograph_services.gateway.wire.versions import HEADER
from stenograph_services.projector import app as projector
from stenograph_services.runtime.service import Running

WRITE_DOWN = "Write down:\n  block: serialize-thread\n  output: ANSWER\n"
SCREEN: list[dict[str, Any]] = [
    {
        "id": "m1",
        "role": "user",
        "status": "done",
        "createdAt": "2026-11-22T10:00:00.000Z",
        "parts": [{"type": "text", "text": "I am Ada", "status": "done"}],
        "sender": {"id": "u-7", "name": "Ada"},
    },
    {
        "id": "m2",
        "role": "assistant",
        "status": "done",
        "createdAt": "2026-11-22T10:00:01.000Z",
        "parts": [
            {"type": "tool-call", "toolCallId": "c1", "toolName": "get-account", "args": {}, "status": "cancelled"},
            {"type": "text", "text": "Hello Ada", "status": "done"},
        ],
    },
]


async def said_hello(stage: Stage, http: httpx.AsyncClient) -> Talk:
    """Return a session of one turn, whose handler also writes down what its main thread holds."""
    talk = await stage.session(SAY_HELLO, handler=HANDLER + WRITE_DOWN)
    await turn(http, talk.id, "Hi")
    return talk


async def ui(http: httpx.AsyncClient, talk: Talk) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = (await http.get(f"/api/agent-sessions/{talk.id}?format=ui")).json()["messages"]
    return messages


async def restore(http: httpx.AsyncClient, talk: Talk, messages: Any) -> dict[str, Any]:
    response = await http.post(f"/api/agent-sessions/{talk.id}/restore", json={"messages": messages, "input": {}})
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


async def clear(http: httpx.AsyncClient, talk: Talk) -> httpx.Response:
    return await http.delete(f"/api/agent-sessions/{talk.id}")


async def written_down(talk: Talk) -> str:
    """Return what the last turn found in the main thread."""
    return bytes((await talk.all(BlockFinished))[-1].variables["ANSWER"]).decode()


# ---- expired and restored


@pytest.mark.parametrize("format", ["", "?format=ui"])
async def test_an_expired_session_says_only_that_it_expired(stage: Stage, http: httpx.AsyncClient, format: str):
    talk = await said_hello(stage, http)
    await expire(talk)

    response = await http.get(f"/api/agent-sessions/{talk.id}{format}")

    body = response.json()
    assert response.status_code == 200
    assert set(body) == {"sessionId", "agentId", "status", "createdAt"}
    assert (body["sessionId"], body["status"]) == (talk.id, "expired")
    datetime.fromisoformat(body["createdAt"])


async def test_a_trigger_to_an_expired_session_is_told_to_restore_it(stage: Stage, http: httpx.AsyncClient):
    talk = await said_hello(stage, http)
    await expire(talk)

    body = {"triggerName": "user-message", "input": {"TEXT": "Hi"}}
    response = await http.post(f"/api/agent-sessions/{talk.id}/trigger", json=body)

    assert response.status_code == 404
    assert response.json()["error"] == "the session expired; restore it, then trigger it again"


async def test_a_restored_session_goes_on_from_its_own_log(stage: Stage, http: httpx.AsyncClient):
    talk = await said_hello(stage, http)
    before = await ui(http, talk)
    await expire(talk)

    first, second = await restore(http, talk, before), await restore(http, talk, before)
    after = await ui(http, talk)
    heard = await turn(http, talk.id, "Again")

    assert first == {"sessionId": talk.id, "restored": True}
    assert second == {"sessionId": talk.id, "restored": False}
    assert after == before
    assert heard.text == "Hello!"
    assert "Hi" in await written_down(talk)
    (restored,) = await talk.all(SessionRestored)
    assert (restored.submitted, restored.differing, restored.messages) == (2, 0, ())


async def test_messages_that_are_not_those_of_the_log_are_counted_and_change_nothing(
    stage: Stage, http: httpx.AsyncClient
):
    talk = await said_hello(stage, http)
    before = await ui(http, talk)
    await expire(talk)

    await restore(http, talk, SCREEN)

    (restored,) = await talk.all(SessionRestored)
    assert (restored.submitted, restored.differing) == (2, 2)
    assert await ui(http, talk) == before


async def test_an_active_session_is_not_restored(stage: Stage, http: httpx.AsyncClient):
    talk = await said_hello(stage, http)

    assert (await restore(http, talk, []))["restored"] is False
    assert await talk.all(SessionRestored) == []


async def test_the_projector_lets_a_session_expire_that_nobody_uses(
    stage: Stage, http: httpx.AsyncClient, tmp_path: Path
):
    talk = await said_hello(stage, http)
    quick = {"data_dir": tmp_path, "sweep_seconds": 0.2, "session_idle_seconds": 0.5}
    projecting = Running(projector.build, stage.settings.model_copy(update=quick))

    await projecting.start()
    try:
        await talk.until(SessionExpired)
    finally:
        await projecting.stop()

    assert (await http.get(f"/api/agent-sessions/{talk.id}")).json()["status"] == "expired"
    assert (await restore(http, talk, []))["restored"] is True


# ---- cleared


async def test_a_cleared_session_reads_as_expired_and_may_be_cleared_again(stage: Stage, http: httpx.AsyncClient):
    talk = await said_hello(stage, http)

    first, second = await clear(http, talk), await clear(http, talk)
    body = (await http.get(f"/api/agent-sessions/{talk.id}")).json()

    assert first.status_code == second.status_code == 200
    assert first.json() == second.json() == {"sessionId": talk.id, "cleared": True}
    assert body["status"] == "expired"
    assert len(await talk.all(SessionCleared)) == 1


async def test_an_expired_session_can_be_cleared(stage: Stage, http: httpx.AsyncClient):
    talk = await said_hello(stage, http)
    await expire(talk)

    assert (await clear(http, talk)).json()["cleared"] is True
    assert len(await talk.all(SessionCleared)) == 1


async def test_a_session_that_runs_is_cancelled_and_then_cleared(stage: Stage, http: httpx.AsyncClient):
    talk = await stage.session(SAY_SLOWLY, when_busy="enqueue")
    running, waiting = await talk.send("One"), await talk.send("Two")
    await talk.until(MessageAdded, running)

    response = await clear(http, talk)

    assert response.json()["cleared"] is True
    assert (await talk.end_of(running)).outcome == "cancelled"
    assert await talk.all(TurnStarted, waiting) == []


async def test_a_cleared_session_goes_on_from_what_the_client_had_kept(stage: Stage, http: httpx.AsyncClient):
    talk = await said_hello(stage, http)
    await clear(http, talk)

    restored = await restore(http, talk, SCREEN)
    shown = await ui(http, talk)
    later = (await http.get(f"/api/agent-sessions/{talk.id}?format=ui", headers={HEADER: "4"})).json()["messages"]
    await turn(http, talk.id, "Who am I?")

    assert restored == {"sessionId": talk.id, "restored": True}
    assert [(one["id"], one["parts"][0]["text"]) for one in shown] == [("m1", "I am Ada"), ("m2", "Hello Ada")]
    assert [one.get("sender") for one in later] == [SCREEN[0]["sender"], None]
    thread = await written_down(talk)
    assert "I am Ada" in thread
    assert "Hi" not in thread


async def test_variables_do_not_outlive_a_clear(stage: Stage, http: httpx.AsyncClient):
    talk = await said_hello(stage, http)
    await clear(http, talk)
    await restore(http, talk, [])

    body = (await http.get(f"/api/agent-sessions/{talk.id}")).json()

    assert body["messages"] == []
    assert "ANSWER" not in body["variables"]


async def test_more_than_a_control_may_hold_is_refused(stage: Stage, http: httpx.AsyncClient):
    talk = await said_hello(stage, http)
    await clear(http, talk)
    long = [SCREEN[0] | {"parts": [{"type": "text", "text": "x" * 11_000}]}]

    response = await http.post(f"/api/agent-sessions/{talk.id}/restore", json={"messages": long})

    assert (response.status_code, response.json()["code"]) == (413, "TOO_LARGE")


# ---- what is not there, and what is no body


async def test_a_session_without_a_log_is_neither_restored_nor_cleared(http: httpx.AsyncClient):
    url = f"/api/agent-sessions/{new_session_id()}"

    for response in (await http.post(f"{url}/restore", json={"messages": SCREEN}), await http.delete(url)):
        assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "messages"),
        ({"messages": [{"id": "m1", "role": "system"}]}, "messages.0.role"),
        ({"messages": [{"id": "m1", "role": "user", "parts": [{}]}]}, "messages.0.parts.0.type"),
        ({"messages": [{"id": "m1", "role": "user", "createdAt": "yesterday"}]}, "messages.0.createdAt"),
    ],
)
async def test_a_body_that_is_none_is_told_where(
    stage: Stage, http: httpx.AsyncClient, body: dict[str, Any], place: str
):
    talk = await stage.session(SAY_HELLO)

    response = await http.post(f"/api/agent-sessions/{talk.id}/restore", json=body)

    assert response.status_code == 400
    assert place in response.json()["error"]


# ---- rolled back


@pytest.mark.parametrize(("stays", "left"), [(True, ["Hi", "Hello!", "Again", "Hello!"]), (False, ["Again", "Hello!"])])
async def test_a_retry_leaves_one_answer(stage: Stage, http: httpx.AsyncClient, stays: bool, left: list[str]):
    talk = await said_hello(stage, http)
    anchor = (await ui(http, talk))[-1]["id"] if stays else None
    await turn(http, talk.id, "Two")

    body = {"triggerName": "user-message", "input": {"TEXT": "Again"}, "rollbackAfterMessageId": anchor}
    response = await http.post(f"/api/agent-sessions/{talk.id}/trigger", json=body)

    assert response.status_code == 200
    assert [one["parts"][0]["text"] for one in await ui(http, talk)] == left
    assert "Two" not in await written_down(talk)
    assert len(await talk.all(MessagesRolledBack)) == 1


async def test_a_retry_ends_the_wait_for_a_client(stage: Stage, http: httpx.AsyncClient):
    talk = await asking(stage, ASK_AND_THANK)
    first = await turn(http, talk.id, "Hi")

    body = {"triggerName": "user-message", "input": {"TEXT": "Again"}, "rollbackAfterMessageId": None}
    response = await http.post(f"/api/agent-sessions/{talk.id}/trigger", json=body)

    assert response.status_code == 200
    assert (await talk.end_of(first.execution)).outcome == "cancelled"
    assert [one["parts"][0]["text"] for one in await ui(http, talk)] == ["Again", "Let me ask."]
    await clear(http, talk)


async def test_a_retry_while_a_turn_runs_waits_for_it_a_little(stage: Stage, http: httpx.AsyncClient):
    talk = await stage.session(SAY_SLOWLY, when_busy="enqueue")
    running = await talk.send("One")
    await talk.until(MessageAdded, running)

    body = {"triggerName": "user-message", "input": {"TEXT": "Again"}, "rollbackAfterMessageId": None}
    response = await http.post(f"/api/agent-sessions/{talk.id}/trigger", json=body)

    assert response.status_code == 200
    assert (await talk.end_of(running)).outcome == "completed"
    assert len(await ui(http, talk)) == 2


async def test_a_retry_from_a_message_that_is_not_there_is_refused(stage: Stage, http: httpx.AsyncClient):
    talk = await said_hello(stage, http)

    body = {"triggerName": "user-message", "input": {"TEXT": "Again"}, "rollbackAfterMessageId": "nobody"}
    response = await http.post(f"/api/agent-sessions/{talk.id}/trigger", json=body)

    assert response.status_code == 400
    assert "'nobody'" in response.json()["error"]


# ---- what a client brings back


def test_only_what_a_model_can_read_is_taken_from_a_screen():
    file = {"type": "file", "id": "f1", "mediaType": "image/png", "url": "https://files/f1", "size": 3}
    nothing = {"type": "reasoning", "text": "Hm", "status": "done"}
    bodies = [
        MessageBody.model_validate({"id": "m1", "role": "user", "parts": [file]}),
        MessageBody.model_validate({"id": "m2", "role": "assistant", "parts": [nothing]}),
    ]
    now = datetime(2026, 11, 22, tzinfo=UTC)

    (kept,) = brought_back(bodies, now)

    assert (kept.id, kept.at, [part.id for part in kept.parts if hasattr(part, "id")]) == ("m1", now, ["f1"])


def test_messages_that_one_side_has_alone_differ():
    assert differing([MessageBody.model_validate(one) for one in SCREEN], []) == 2
