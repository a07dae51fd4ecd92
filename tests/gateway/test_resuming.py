"""A client that lost its connection has, with what it gets afterwards, the same as one that never did."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from tests.gateway.streaming import Heard, triggered, turn
from tests.support.agents import CALL_THEN_SAY, SAY_HELLO
from tests.support.services import Stage, Talk

from stenograph_events.frames import TextDelta, encode_frame
from stenograph_events.subjects import frame_subject
from stenograph_events.types import TurnCancelRequested

THINK_CALL_SAY = """\
loop: true
turns:
  - - reasoning: Hm, which plan could it be?
      text: Let me look it up for you.
      calls: [{tool: get-account, arguments: {userId: u1}}]
      chunks: 5
      chunk_delay_ms: 25
    - text: You are on the plan that you asked for.
      chunks: 5
      chunk_delay_ms: 25
"""


@asynccontextmanager
async def observing(
    http: httpx.AsyncClient, session: str, last: str | None = None, **query: str
) -> AsyncIterator[Heard]:
    headers = {} if last is None else {"Last-Event-ID": last}
    async with http.stream("GET", f"/api/agent-sessions/{session}/observe", params=query, headers=headers) as response:
        yield Heard(response)


async def observed(http: httpx.AsyncClient, session: str, last: str | None = None, **query: str) -> list[Any]:
    """Return the stream from where a client was, each event after its id."""
    headers = {} if last is None else {"Last-Event-ID": last}
    response = await http.get(f"/api/agent-sessions/{session}/observe", params=query, headers=headers)
    assert response.status_code == 200, response.text
    return identified(response.text)


def identified(body: str) -> list[tuple[str | None, dict[str, Any]]]:
    """Return the events of a stream, each with its own id if it has one."""
    assert body.endswith("data: [DONE]\n\n")
    blocks = [block.splitlines() for block in body.split("\n\n") if block and not block.startswith(":")]
    return [(lines[0][4:] if lines[0].startswith("id: ") else None, json.loads(lines[-1][6:])) for lines in blocks[:-1]]


def seen(events: list[dict[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """Return what a client that keys by id has in the end: the content of each part and call, and all its events."""
    parts: dict[str, Any] = {}
    for event in events:
        key = event.get("id") or event.get("toolCallId") or event.get("blockId") or event["type"]
        part = parts.setdefault(key, {"said": "", "types": []})
        part["said"] += event.get("delta", event.get("inputTextDelta", ""))
        part["types"] += [event["type"]] if event["type"] not in part["types"] else []
    return parts, list(parts)


async def played(http: httpx.AsyncClient, stage: Stage) -> tuple[Talk, str]:
    """Return a session with one whole turn, and the turn: thoughts, text, a call, more text."""
    talk = await stage.session(THINK_CALL_SAY)
    async with triggered(http, talk.id) as heard:
        await heard.until("tool-input-available")
        await talk.answer(await talk.request(), {"plan": "pro"})
        await heard.end()
    return talk, heard.execution


def resumed_from(whole: list[Any], cut: int) -> str | None:
    """Return the last id that a client has read whose connection broke after `cut` events."""
    return next((id for id, _ in reversed(whole[:cut]) if id is not None), None)


async def test_wherever_a_stream_is_cut_the_rest_completes_it(http: httpx.AsyncClient, stage: Stage):
    talk, _ = await played(http, stage)
    whole = await observed(http, talk.id)
    uncut = seen([event for _, event in whole])

    assert len(whole) > 20
    for cut in range(1, len(whole) + 1):
        rest = await observed(http, talk.id, resumed_from(whole, cut))
        joined = [event for _, event in whole[:cut]] + [event for _, event in rest]
        assert seen(joined) == uncut, f"cut after {cut} events, at {resumed_from(whole, cut)}"


async def test_after_the_frames_are_gone_the_rest_of_a_text_is_one_delta(http: httpx.AsyncClient, stage: Stage):
    talk, _ = await played(http, stage)
    whole = await observed(http, talk.id)
    uncut = seen([event for _, event in whole])
    await stage.nc.jetstream().purge_stream("TOK", subject=frame_subject("default", talk.id))

    for cut in range(1, len(whole) + 1):
        rest = await observed(http, talk.id, resumed_from(whole, cut))
        joined = [event for _, event in whole[:cut]] + [event for _, event in rest]
        assert seen(joined) == uncut, f"cut after {cut} events, at {resumed_from(whole, cut)}"
        deltas = [event["id"] for _, event in rest if event["type"].endswith("text-delta")]
        assert len(deltas) == len(set(deltas))


async def test_many_follow_one_turn_and_whoever_leaves_cancels_nothing(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(CALL_THEN_SAY)
    async with triggered(http, talk.id) as driver:
        await driver.until("tool-input-available")
        async with observing(http, talk.id) as first, observing(http, talk.id) as second:
            async with observing(http, talk.id) as leaving:
                await leaving.until("tool-input-available")
            await talk.answer(await talk.request(), {"plan": "pro"})
            await asyncio.gather(driver.end(), first.end(), second.end())

    assert first.events == second.events == driver.events
    assert first.done
    assert await talk.all(TurnCancelRequested) == []


async def test_a_trigger_that_comes_again_with_the_last_id_goes_on_there(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(CALL_THEN_SAY, when_busy="reject")
    async with triggered(http, talk.id) as broken:
        await broken.until("tool-input-available")
    async with triggered(http, talk.id, **{"Last-Event-ID": broken.ids[-1]}) as again:
        await talk.answer(await talk.request(), {"plan": "pro"})
        await again.end()

    assert again.execution == broken.execution
    assert "tool-input-start" not in again.types
    assert again.text == 'You have {"plan":"pro"}'


async def test_an_attempt_that_was_taken_over_is_closed_and_its_successor_told(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(CALL_THEN_SAY)
    async with triggered(http, talk.id) as driver:
        turn_id = await driver.begun()
        await driver.until("tool-input-available")
        n = (await talk.until_n("tool.requested")) if hasattr(talk, "until_n") else 5
        for attempt, text in ((1, "Good mor"), (2, "Good eve")):
            frame = TextDelta(turn=turn_id, after=n, attempt=attempt + 10, k=1, text=text)
            await stage.nc.publish(frame_subject("default", talk.id), encode_frame(frame))
        async with observing(http, talk.id) as viewer:
            while viewer.text != "Good morGood eve":
                await viewer.until("text-delta")
            await talk.answer(await talk.request(), {"plan": "pro"})
            await viewer.end()
        await driver.end()

    first, second = [event["id"] for event in viewer.events if event["type"] == "text-start"][:2]
    assert first != second
    assert viewer.types.index("text-end") < len(viewer.types)


async def test_of_a_finished_turn_the_rest_comes_and_then_its_end(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(SAY_HELLO)
    first, second = await turn(http, talk.id), await turn(http, talk.id)

    named = [event for _, event in await observed(http, talk.id, executionId=first.execution)]
    last = [event for _, event in await observed(http, talk.id)]
    rest = [event for _, event in await observed(http, talk.id, first.ids[-1])]

    assert named == first.events
    assert last == second.events
    assert rest == first.events[:1]


@pytest.mark.parametrize(
    "last", ["-1", "0", "10000000000000000000", "x", "1.2", "1.2.3.4.5", "", "99", "99.1.1.5", "1", "1.1.1.1", "²"]
)
async def test_an_id_that_no_stream_of_the_session_has_is_refused(http: httpx.AsyncClient, stage: Stage, last: str):
    talk = await stage.session(SAY_HELLO)
    heard = await turn(http, talk.id)

    path = f"/api/agent-sessions/{talk.id}/observe"
    refused = await http.get(path, params={"executionId": heard.execution, "lastEventId": last})
    unnamed = await http.get(path, params={"lastEventId": last})

    assert (refused.status_code, refused.json()["code"]) == (400, "VALIDATION_ERROR")
    assert unnamed.status_code == 400


async def test_what_is_not_there_cannot_be_observed(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(SAY_HELLO)

    assert (await http.get(f"/api/agent-sessions/{talk.id}/observe")).status_code == 404
    assert (await http.get(f"/api/agent-sessions/{talk.id}/observe?executionId=none")).status_code == 404
