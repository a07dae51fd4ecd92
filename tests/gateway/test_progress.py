"""What a worker says of its progress on a stream: for clients that ask for it, between a call and its outcome."""

import asyncio

import httpx
from tests.gateway.nesting import child, parent, session_of
from tests.gateway.streaming import observed, observing, triggered
from tests.gateway.test_child_streams import FIND_AND_SAY, USES_FIND
from tests.support.agents import CALL_THEN_SAY
from tests.support.services import Frames, Stage, Talk
from tests.support.wait import until

from stenograph_events.frames import ToolProgress
from stenograph_events.types import ToolRequested
from stenograph_sdk import HttpClient
from stenograph_sdk.http import ToolOutputAvailable
from stenograph_sdk.http import ToolProgress as Shown

ASKS = {"X-Stenograph-Events": "later-things, tool-progress"}


async def told(talk: Talk, request: ToolRequested, text: str, k: int = 1) -> None:
    """Say how far a call is, and return when whoever follows the session has heard it."""
    async with Frames(talk.stage.nc, talk.id) as frames:
        await talk.progress(request, text, k, done=k)
        await until(lambda: [one for one in frames.heard if isinstance(one, ToolProgress) and one.text == text])


async def test_who_asks_for_progress_is_told_and_who_does_not_reads_a_stream_as_ever(
    http: httpx.AsyncClient, stage: Stage
):
    talk = await stage.session(CALL_THEN_SAY)

    async with triggered(http, talk.id, **ASKS) as asking:
        await asking.until("tool-input-available")
        async with observing(http, talk.id) as other:
            await other.until("tool-input-available")
            request = await talk.request()
            await told(talk, request, "1 of 3 ledgers")
            shown = await asking.until("tool-progress")
            await talk.answer(request, {"plan": "pro"})
            await asyncio.gather(asking.end(), other.end())

    assert shown == {"type": "tool-progress", "toolCallId": request.call, "text": "1 of 3 ledgers", "done": 1}
    assert [one for one in asking.events if one["type"] != "tool-progress"] == other.events
    assert "tool-output-available" in asking.types[asking.types.index("tool-progress") :]


async def test_who_comes_back_to_a_call_that_runs_is_told_how_far_it_is(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(CALL_THEN_SAY)
    turn = await talk.send()
    request = await talk.request()
    await told(talk, request, "1 of 3 ledgers", 1)
    await told(talk, request, "2 of 3 ledgers", 2)

    http.headers.update(ASKS)
    async with observing(http, talk.id) as back:
        shown = await back.until("tool-progress")
        last = back.ids[-1]
        await told(talk, request, "3 of 3 ledgers", 3)
        newer = await back.until("tool-progress")
        async with observing(http, talk.id, last) as again:
            newest = await again.until("tool-progress")
            await talk.answer(request, {"plan": "pro"})
            await asyncio.gather(back.end(), again.end())
    await talk.end_of(turn)
    afterwards = await observed(http, talk.id)

    assert [one["text"] for one in (shown, newer, newest)] == ["2 of 3 ledgers", "3 of 3 ledgers", "3 of 3 ledgers"]
    assert back.types.count("tool-progress") == 2
    assert again.types.count("tool-progress") == 1
    assert "tool-progress" not in [event["type"] for _, event in afterwards]
    assert [event for _, event in afterwards] == [one for one in back.events if one["type"] != "tool-progress"]


async def test_the_http_sdk_yields_it_typed(base_url: str, stage: Stage):
    talk = await stage.session(CALL_THEN_SAY)
    seen: list[object] = []

    async with HttpClient.connect(base_url) as client:
        async for event in client.session(talk.id).trigger("user-message", {"TEXT": "Hello"}):
            seen.append(event)
            if type(event).__name__ == "ToolInputAvailable":
                await talk.progress(await talk.request(), "half of it", done=1)
            elif isinstance(event, Shown):
                await talk.answer(await talk.request(), {"plan": "pro"})

    [request] = await talk.all(ToolRequested)
    [shown] = [event for event in seen if isinstance(event, Shown)]
    assert shown == Shown(tool_call_id=request.call, text="half of it", done=1)
    assert any(isinstance(event, ToolOutputAvailable) for event in seen[seen.index(shown) :])


async def test_the_progress_of_a_childs_call_names_the_run(full: httpx.AsyncClient, stage: Stage):
    talk = await parent(stage, await child(stage, FIND_AND_SAY, protocol=USES_FIND))

    full.headers.update(ASKS)
    async with triggered(full, talk.id) as heard:
        await heard.until("worker-start")
        running = await session_of(talk)
        request = await running.request()
        await running.progress(request, "half of it")
        shown = await heard.until("tool-progress")
        await running.answer(request, {"plan": "pro"})
        await heard.end()

    [start] = [event for event in heard.events if event["type"] == "worker-start"]
    assert (shown["workerId"], shown["toolCallId"]) == (start["workerId"], request.call)
