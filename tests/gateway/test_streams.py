"""Turns streamed over HTTP: real server, real services, a scripted model."""

import asyncio

import httpx
import pytest
from tests.gateway.streaming import triggered, turn
from tests.support.agents import CALL_THEN_SAY, SAY_HELLO, SAY_SLOWLY
from tests.support.services import TENANT, Stage
from tests.support.wait import until

from stenograph_events.types import (
    MessageAdded,
    ToolRequested,
    TurnFinished,
    TurnStarted,
)
from stenograph_events.values import TextPart
from stenograph_services.gateway import app as gateway
from stenograph_services.gateway.app import Gateway
from stenograph_services.runtime.blobs import Blobs

FAILS = """\
turns:
  - - error: {kind: authentication, detail: the key is wrong}
"""

SAY_FOR_LONG = """\
loop: true
turns:
  - - text: one two three four five six seven eight nine ten
      chunks: 40
      chunk_delay_ms: 250
"""

SLOW_THEN_CALL = """\
loop: true
turns:
  - - text: Let me look.
      calls: [{tool: get-account, arguments: {userId: u1}}]
    - text: Done.
"""


async def test_a_turn_streams_from_start_to_done(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(SAY_HELLO)

    heard = await turn(http, talk.id, "Hi")

    assert heard.response.status_code == 200
    assert heard.response.headers["content-type"].startswith("text/event-stream")
    assert heard.response.headers["cache-control"] == "no-cache"
    assert heard.response.headers["x-accel-buffering"] == "no"
    assert "content-length" not in heard.response.headers
    [started] = await talk.all(TurnStarted)
    assert heard.events[0] == {"type": "start", "executionId": started.turn}
    assert heard.text == "Hello!"
    assert heard.events[-1] == {"type": "finish", "finishReason": "stop"}
    assert heard.done
    assert heard.ids[-1] == "5"


async def test_deltas_come_while_the_model_speaks(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(SAY_SLOWLY)

    async with triggered(http, talk.id) as heard:
        await heard.until("text-delta")
        spoken = await talk.all(MessageAdded)
        await heard.end()

    assert [one.role for one in spoken] == ["user"]
    assert heard.text == "one two three four five six seven eight nine ten"
    assert len([kind for kind in heard.types if kind == "text-delta"]) > 10


async def test_a_tool_call_is_streamed_with_its_result_and_heartbeats_while_it_runs(
    http: httpx.AsyncClient, stage: Stage
):
    talk = await stage.session(CALL_THEN_SAY)

    async with triggered(http, talk.id) as heard:
        await heard.until("tool-input-available")
        request = await talk.request()
        reading = asyncio.create_task(heard.until("tool-output-available"))
        await until(lambda: heard.heartbeats >= 2)
        await talk.answer(request, {"plan": "pro"})
        output = await reading
        await heard.end()

    assert output["output"] == {"plan": "pro"}
    assert heard.text == 'You have {"plan":"pro"}'
    assert heard.events[-1]["type"] == "finish"


async def test_a_large_result_is_streamed_whole(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(CALL_THEN_SAY)
    large = {"plan": "x" * 600_000}

    async with triggered(http, talk.id) as heard:
        request = await talk.request()
        blob = await Blobs(stage.nc).put(TENANT, b'{"plan":"' + b"x" * 600_000 + b'"}')
        await talk.answer(request, result_ref=blob)
        output = await heard.until("tool-output-available")
        await heard.end()
    state = (await http.get(f"/api/agent-sessions/{talk.id}")).json()

    assert output["output"] == large
    assert state["messages"][1]["toolCalls"][0]["result"] == large


async def test_the_next_turn_of_a_session_streams_only_itself(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(SAY_HELLO)

    first, second = await turn(http, talk.id), await turn(http, talk.id)

    assert first.events[0]["executionId"] != second.events[0]["executionId"]
    assert first.text == second.text == "Hello!"


async def test_a_client_that_leaves_cancels_its_turn_and_what_was_said_is_kept(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(SAY_FOR_LONG, when_busy="reject")

    async with triggered(http, talk.id) as heard:
        for _ in range(3):
            await heard.until("text-delta")

    end = await talk.until(TurnFinished)
    assert end.outcome == "cancelled"
    [answer] = [one for one in await talk.all(MessageAdded) if one.role == "assistant"]
    [part] = answer.parts
    assert isinstance(part, TextPart)
    assert part.text.startswith(heard.text)


async def test_a_client_that_leaves_while_a_tool_runs_cancels_its_turn(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(SLOW_THEN_CALL)

    async with triggered(http, talk.id) as heard:
        await heard.until("tool-input-available")
        await talk.until(ToolRequested)

    assert (await talk.until(TurnFinished)).outcome == "cancelled"


async def test_a_turn_that_is_cancelled_from_elsewhere_finishes_with_stop(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(SAY_SLOWLY)

    async with triggered(http, talk.id) as heard:
        await heard.until("text-delta")
        await talk.cancel(heard.events[0]["executionId"])
        await heard.end()

    assert heard.events[-1] == {"type": "finish", "finishReason": "stop"}
    assert heard.done


async def test_a_model_that_fails_ends_the_stream_with_its_error(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(FAILS)

    heard = await turn(http, talk.id)

    assert heard.response.status_code == 200
    assert heard.types[0] == "start"
    last = heard.events[-1]
    assert (last["type"], last["errorType"], last["source"]) == ("error", "authentication_error", "provider")
    assert "finish" not in heard.types
    assert heard.done


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"triggerName": "user-message", "input": {}}, "TEXT is missing"),
        ({"triggerName": "user-message"}, "TEXT is missing"),
        ({"triggerName": "user-mesage", "input": {"TEXT": "Hi"}}, "no trigger 'user-mesage'"),
        ({"triggerName": "a.b", "input": {}}, "must match"),
        ({"triggerName": 5}, "triggerName: this must be a text"),
        ({"triggerName": "user-message", "input": "Hi"}, "input: this must be a JSON object"),
        ({}, "triggerName is missing"),
        ({"triggerName": "user-message", "toolResults": [{"toolCallId": "c"}]}, "executionId is missing"),
        ({"executionId": "e", "toolResults": [{"result": 1}]}, "toolResults.0.toolCallId: this is missing"),
    ],
)
async def test_a_trigger_that_cannot_start_a_turn_is_refused_before_any_stream(
    http: httpx.AsyncClient, stage: Stage, body: dict[str, object], sentence: str
):
    talk = await stage.session(SAY_HELLO)

    response = await http.post(f"/api/agent-sessions/{talk.id}/trigger", json=body)

    assert (response.status_code, response.json()["code"]) == (400, "VALIDATION_ERROR")
    assert sentence in response.json()["error"]


async def test_an_input_over_the_limit_is_refused(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(SAY_HELLO)

    heard = await _refused(http, talk.id, "x" * 20_000)

    assert (heard.status_code, heard.json()["code"]) == (413, "TOO_LARGE")
    assert await talk.types() == ["session.created"]


async def test_a_busy_session_that_does_not_queue_answers_429_with_a_time_to_come_back(
    http: httpx.AsyncClient, stage: Stage
):
    talk = await stage.session(CALL_THEN_SAY, when_busy="reject")
    running = await talk.send()
    request = await talk.request()

    busy = await _refused(http, talk.id)
    await talk.answer(request, {"plan": "pro"})
    await talk.end_of(running)

    assert (busy.status_code, busy.json()["code"]) == (429, "SESSION_BUSY")
    assert int(busy.headers["retry-after"]) > 0
    assert "trigger.rejected" not in await talk.types()


async def test_a_busy_session_is_waited_for_a_little(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(CALL_THEN_SAY, when_busy="reject")
    running = await talk.send()
    request = await talk.request()

    waiting = asyncio.create_task(turn(http, talk.id))
    await asyncio.sleep(0.3)
    await talk.answer(request, {"plan": "pro"})
    await talk.end_of(running)
    second = await talk.request(2)
    await talk.answer(second, {"plan": "free"})

    assert (await waiting).text == 'You have {"plan":"free"}'


async def test_a_queued_trigger_streams_when_its_turn_comes(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(SAY_SLOWLY, when_busy="enqueue")

    first, second = await asyncio.gather(turn(http, talk.id, "a"), turn(http, talk.id, "b"))

    assert {first.types[-1], second.types[-1]} == {"finish"}
    assert first.text == second.text == "one two three four five six seven eight nine ten"


async def test_a_request_that_comes_twice_with_one_key_is_one_turn(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(SAY_HELLO)

    first = await turn(http, talk.id, **{"Idempotency-Key": "k1"})
    again = await turn(http, talk.id, **{"Idempotency-Key": "k1"})

    assert len(await talk.all(TurnStarted)) == 1
    assert again.text == first.text == "Hello!"
    assert again.events[-1] == first.events[-1]


async def test_a_gateway_that_stops_ends_its_streams_and_the_turn_goes_on(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(gateway, "DRAIN_SECONDS", 0.2)
    running = await stage.start(gateway.build)
    assert isinstance(running.service, Gateway)
    talk = await stage.session(CALL_THEN_SAY)

    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{running.service.port}", timeout=20) as http:
        async with triggered(http, talk.id) as heard:
            await heard.until("tool-input-available")
            request = await talk.request()
            stopping = asyncio.create_task(stage.end(running))
            await heard.end()
        await stopping
    await talk.answer(request, {"plan": "pro"})

    assert heard.done
    last = heard.events[-1]
    assert (last["type"], last["retryable"]) == ("error", True)
    assert "restarted" in last["message"]
    assert (await talk.until(TurnFinished)).outcome == "completed"


async def _refused(http: httpx.AsyncClient, session: str, text: str = "Hello") -> httpx.Response:
    body = {"triggerName": "user-message", "input": {"TEXT": text}}
    return await http.post(f"/api/agent-sessions/{session}/trigger", json=body)
