"""A client that lost its connection while child agents ran has, in the end, the same as one that never did."""

from typing import Any

import httpx
import msgspec
import pytest
from tests.gateway.nesting import child, parent, session_of, sources, texts, whole_of
from tests.gateway.retold import resumed_from
from tests.gateway.streaming import observed, triggered, turn
from tests.support.agents import SAY_HELLO, SAY_SLOWLY
from tests.support.services import TENANT, Stage

from stenograph_events.subjects import frame_subject
from stenograph_events.types import ToolRequested
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.gateway.stream.cursor import Cursor


async def some(
    full: httpx.AsyncClient, session: str, last: str | None, count: int
) -> tuple[list[dict[str, Any]], str | None]:
    """Return what a reader has who goes away after `count` events, or at the end, up to the last id; and that id."""
    headers = {} if last is None else {"Last-Event-ID": last}
    events: list[dict[str, Any]] = []
    had = 0
    async with full.stream("GET", f"/api/agent-sessions/{session}/observe", headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        async for line in response.aiter_lines():
            if line.startswith("id: "):
                last, had = line[4:], len(events) + 1
            elif line.startswith("data: {"):
                events.append(msgspec.json.decode(line[6:]))
            if len(events) >= count and had:
                break
    return events[:had], last


async def test_wherever_a_stream_with_two_children_is_cut_each_of_them_goes_on_there(
    full: httpx.AsyncClient, stage: Stage
):
    talk, whole = await whole_of(full, stage)
    uncut = sources([event for _, event in whole])

    assert len(uncut) == 3
    assert len(whole) > 30
    for cut in range(1, len(whole) + 1):
        had = resumed_from(whole, cut)
        rest = await observed(full, talk.id, had[-1][0] if had else None)
        assert sources([event for _, event in had + rest]) == uncut, f"cut after {cut} events"


async def test_a_reader_that_comes_back_while_children_run_gets_every_delta_once(full: httpx.AsyncClient, stage: Stage):
    talk = await parent(stage, await child(stage, SAY_SLOWLY), await child(stage, SAY_SLOWLY))
    async with triggered(full, talk.id) as driver:
        await driver.begun()
        events, last = await some(full, talk.id, None, 9)
        while events[-1]["type"] != "finish":
            more, last = await some(full, talk.id, last, 9)
            events += more
        await driver.end()

    told, uncut = sources(events), sources(driver.events)
    assert {of: texts(one) for of, one in told.items()} == {of: texts(one) for of, one in uncut.items()}


async def test_after_the_frames_of_a_child_are_gone_the_rest_of_its_text_is_one_delta(
    full: httpx.AsyncClient, stage: Stage
):
    talk, whole = await whole_of(full, stage)
    uncut = {of: texts(told) for of, told in sources([event for _, event in whole]).items()}
    for session in (talk, await session_of(talk, 1), await session_of(talk, 2)):
        await stage.nc.jetstream().purge_stream("TOK", subject=frame_subject(TENANT, session.id))

    for cut in range(1, len(whole) + 1):
        had = resumed_from(whole, cut)
        rest = await observed(full, talk.id, had[-1][0] if had else None)
        joined = sources([event for _, event in had + rest])
        assert {of: texts(told) for of, told in joined.items()} == uncut, f"cut after {cut} events"
        deltas = [event["id"] for _, event in rest if event["type"].endswith(("text-delta", "reasoning-delta"))]
        assert len(deltas) == len(set(deltas))


async def test_an_id_inside_a_child_that_is_not_there_is_refused(full: httpx.AsyncClient, stage: Stage):
    talk = await parent(stage, await child(stage, SAY_HELLO))
    await turn(full, talk.id)
    [request] = await talk.all(ToolRequested)

    for last in (f"{request.n}~1:2", f"{request.n}~{request.n}:999", f"{request.n}:2", f"3~3~{request.n}:2"):
        refused = await full.get(f"/api/agent-sessions/{talk.id}/observe", headers={"Last-Event-ID": last})
        assert refused.status_code == 400, last


@pytest.mark.parametrize(
    "text", ["5~5:3.1.7", "5~5:", "5~:3", "5:3~", "~5", "5~5:0", "5~5:3~5:4", "5~6:1/0/1", "5:6:7~5"]
)
def test_an_id_that_names_no_place_in_a_child_is_no_id(text: str):
    with pytest.raises(Refusal):
        Cursor.read(text)


def test_of_the_places_in_an_id_the_one_that_moved_stands_first():
    cursor = Cursor.read("5:3.1.7.42~6/1~4:9")

    assert (cursor.own, {n: place.own for n, place in cursor.children.items()}) == ("6/1", {5: "3.1.7.42", 4: "9"})
    assert Cursor.read("6/1~4:9~5:3.1.7.42") == cursor
