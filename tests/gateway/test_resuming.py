"""A client that lost its connection has, with what it gets afterwards, the same as one that never did."""

import asyncio
from collections import Counter

import httpx
import pytest
from tests.gateway.retold import frames_kept, frames_of, parts_of, resumed_from, seen, texts
from tests.gateway.streaming import Heard, observed, observing, triggered, turn
from tests.support.agents import CALL_THEN_SAY, SAY_HELLO
from tests.support.services import Stage, Talk

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


async def played(http: httpx.AsyncClient, stage: Stage) -> tuple[Talk, Heard]:
    """Return a session with one whole turn, as who drove it heard that: thoughts, text, a call, more text."""
    talk = await stage.session(THINK_CALL_SAY)
    async with triggered(http, talk.id) as heard:
        await heard.until("tool-input-available")
        await talk.answer(await talk.request(), {"plan": "pro"})
        await heard.end()
    return talk, heard


async def test_who_drives_a_turn_hears_each_frame_that_the_server_keeps_and_each_text_of_the_log(
    http: httpx.AsyncClient, stage: Stage
):
    talk, driver = await played(http, stage)

    assert len(driver.events) > 20
    assert frames_of(driver.identified) == await frames_kept(stage, talk)
    assert [text for text, _ in parts_of(driver.events)] == await texts(talk)


async def test_wherever_a_stream_is_cut_the_rest_is_what_its_driver_heard(http: httpx.AsyncClient, stage: Stage):
    talk, driver = await played(http, stage)

    for cut in range(1, len(driver.events) + 1):
        had = resumed_from(driver.identified, cut)
        rest = await observed(http, talk.id, had[-1][0] if had else None)
        assert had + rest[bool(had) :] == driver.identified, f"cut after {cut} events"


async def test_after_the_frames_are_gone_the_rest_of_a_text_is_one_delta(http: httpx.AsyncClient, stage: Stage):
    talk, driver = await played(http, stage)
    await stage.nc.jetstream().purge_stream("TOK", subject=frame_subject("default", talk.id))

    for cut in range(1, len(driver.events) + 1):
        had = resumed_from(driver.identified, cut)
        rest = await observed(http, talk.id, had[-1][0] if had else None)
        joined = [event for _, event in had + rest[bool(had) :]]
        assert seen(joined) == seen(driver.events), f"cut after {cut} events"
        assert [text for text, _ in parts_of(joined)] == await texts(talk)
        assert all(count == 1 for count in Counter(one["id"] for _, one in rest if "delta" in one).values())


async def test_of_frames_of_which_some_are_gone_each_text_is_told_whole(http: httpx.AsyncClient, stage: Stage):
    """A message showed more than it had shown its client before, and the id of a part of it was counted from there."""
    talk, driver = await played(http, stage)
    first = await stage.nc.jetstream().get_msg("TOK", subject=frame_subject("default", talk.id), direct=True, next=True)
    await stage.nc.jetstream().delete_msg("TOK", first.seq or 0)

    for cut in range(1, len(driver.events) + 1):
        had = resumed_from(driver.identified, cut)
        rest = await observed(http, talk.id, had[-1][0] if had else None)
        assert seen([event for _, event in had + rest[bool(had) :]]) == seen(driver.events), f"cut after {cut} events"


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
