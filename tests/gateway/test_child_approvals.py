"""A turn whose child agents wait for people: its stream says so and ends, and goes on for whoever comes back."""

import asyncio

import httpx
import pytest
from tests.gateway.nesting import child, inside, parent, session_of
from tests.gateway.streaming import Heard, observing, turn
from tests.gateway.test_child_streams import FIND_AND_SAY, RUNS_ANOTHER, USES_FIND
from tests.support.agents import SAY_HELLO
from tests.support.services import Stage, Talk
from tests.support.wait import until

from stenograph_events.types import ApprovalRequested, ToolRequested, TurnFinished

ASKS_FIRST = USES_FIND.replace("{description: Find,", "{description: Find, retry: safe, approval: always,")
TOOL_OF_PARENT = {"tools": {"find": "get-account"}}


async def waiting_in(talk: Talk, count: int = 1) -> tuple[Talk, ApprovalRequested]:
    """Return the session of a child agent of `talk`, and what a person is asked there."""
    below = await session_of(talk, count)
    return below, await below.until(ApprovalRequested)


async def let(below: Talk, asked: ApprovalRequested) -> None:
    """Grant what is asked, and answer as the worker of the tool."""
    await below.sdk.approve(asked.call, digest=asked.digest)
    await below.answer(await below.until(ToolRequested), {"plan": "pro"})


def says_so(heard: Heard, *below: tuple[Talk, ApprovalRequested]) -> bool:
    """Return whether a stream ends with where who has to decide on what."""
    end = heard.events[-1]
    named = all(f"find (call {asked.call})" in end["message"] for _, asked in below)
    seen = all(f"`stenograph approvals list {talk.id}`" in end["message"] for talk, _ in below)
    return (end["type"], end.get("code"), named, seen, heard.done) == ("error", "approval-required", True, True, True)


@pytest.mark.parametrize("display", ["stream", "name", "hidden"])
async def test_a_stream_ends_while_a_child_waits_for_a_person_and_goes_on_for_whoever_comes_back(
    full: httpx.AsyncClient, stage: Stage, display: str
):
    talk = await parent(stage, await child(stage, FIND_AND_SAY, ASKS_FIRST), display=display, **TOOL_OF_PARENT)

    told = await turn(full, talk.id)
    below, asked = await waiting_in(talk)
    async with observing(full, talk.id) as again:
        await again.end()
    await let(below, asked)
    await talk.end_of(told.execution)
    async with observing(full, talk.id) as after:
        await after.end()

    assert says_so(told, (below, asked))
    assert says_so(again, (below, asked))
    assert "Let me look." in "".join(event.get("delta", "") for event in inside(told.events)) or display != "stream"
    assert "approval-required" not in str(after.events)
    assert after.events[-1]["type"] == "finish"


async def test_clients_that_know_no_workers_are_told_as_well(http: httpx.AsyncClient, stage: Stage):
    talk = await parent(stage, await child(stage, FIND_AND_SAY, ASKS_FIRST), **TOOL_OF_PARENT)

    told = await turn(http, talk.id)
    below, asked = await waiting_in(talk)
    await talk.cancel(told.execution)
    await talk.end_of(told.execution)

    assert says_so(told, (below, asked))


async def test_what_was_decided_before_somebody_looks_ends_no_stream(full: httpx.AsyncClient, stage: Stage):
    """The log of the child tells of the wait first: whoever replays it must not take that for how it stands."""
    talk = await parent(stage, await child(stage, FIND_AND_SAY, ASKS_FIRST), **TOOL_OF_PARENT)
    told = await turn(full, talk.id)
    below, asked = await waiting_in(talk)
    await below.sdk.approve(asked.call, digest=asked.digest)
    request = await below.until(ToolRequested)

    async with observing(full, talk.id) as after:
        await after.begun()
        await below.answer(request, {"plan": "pro"})
        await after.end()

    assert says_so(told, (below, asked))
    assert after.events[-1]["type"] == "finish"
    assert "error" not in after.types


async def test_a_childs_child_that_waits_ends_the_stream_too(full: httpx.AsyncClient, stage: Stage):
    inner = await child(stage, FIND_AND_SAY, ASKS_FIRST)
    calls = f"loop: true\nturns:\n  - - calls: [{{tool: {inner}, arguments: {{TOPIC: tides}}}}]\n    - text: Done.\n"
    talk = await parent(stage, await child(stage, calls, RUNS_ANOTHER.replace("SLUG", inner)))

    told = await turn(full, talk.id)
    below, asked = await waiting_in(await session_of(talk))
    await talk.cancel(told.execution)
    await talk.end_of(told.execution)

    assert says_so(told, (below, asked))


async def test_a_stream_goes_on_while_anything_else_runs_and_names_all_that_wait(full: httpx.AsyncClient, stage: Stage):
    slow = await child(
        stage, SAY_HELLO.replace("text: Hello!", "text: one two three\n      chunks: 10\n      chunk_delay_ms: 60")
    )
    slugs = [await child(stage, FIND_AND_SAY, ASKS_FIRST) for _ in range(2)]
    talk = await parent(stage, *slugs, slow, **TOOL_OF_PARENT)

    told = await turn(full, talk.id)
    both = [await waiting_in(talk, count) for count in (1, 2)]
    ended = await (await session_of(talk, 3)).all(TurnFinished)
    await asyncio.gather(*(let(*one) for one in both))
    end = await talk.end_of(told.execution)

    assert [one.outcome for one in ended] == ["completed"]
    assert says_so(told, *both)
    assert end.outcome == "completed"


async def test_a_stream_is_cancelled_like_any_while_a_child_waits(full: httpx.AsyncClient, stage: Stage):
    talk = await parent(stage, await child(stage, FIND_AND_SAY, ASKS_FIRST), **TOOL_OF_PARENT)
    told = await turn(full, talk.id)
    below, _ = await waiting_in(talk)

    await talk.cancel(told.execution)
    end = await talk.end_of(told.execution)

    async def over() -> bool:
        return bool(await below.all(TurnFinished))

    await until(over, what="the child's turn ends")
    assert end.outcome == "cancelled"
