"""Triggers that come again after their connection broke, and what makes way for others."""

import asyncio
from contextlib import AbstractAsyncContextManager

import httpx
import pytest
from tests.gateway.streaming import triggered, turn
from tests.support.agents import CALL_THEN_SAY, SAY_HELLO
from tests.support.services import Stage

from stenograph_events.types import TurnCancelRequested, TurnFinished, TurnStarted
from stenograph_services.gateway.turns import repeats
from stenograph_services.gateway.turns.streams import Streams


async def test_the_same_trigger_goes_on_with_the_turn_whose_connection_broke(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(CALL_THEN_SAY, when_busy="reject")

    async with triggered(http, talk.id) as broken:
        await broken.until("tool-input-available")
    async with triggered(http, talk.id) as again:
        await again.until("tool-input-available")
        await talk.answer(await talk.request(), {"plan": "pro"})
        await again.end()

    assert again.execution == broken.execution
    assert again.text == 'You have {"plan":"pro"}'
    assert again.events[-1] == {"type": "finish", "finishReason": "stop"}
    assert len(await talk.all(TurnStarted)) == 1


async def test_another_trigger_finds_the_session_free_as_soon_as_the_turn_is_cancelled(
    http: httpx.AsyncClient, stage: Stage, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(repeats, "GRACE_SECONDS", 3600)
    talk = await stage.session(CALL_THEN_SAY, when_busy="reject")

    async with triggered(http, talk.id) as broken:
        await broken.until("tool-input-available")
    async with triggered(http, talk.id, "Something else") as other:
        await other.until("tool-input-available")
        await talk.answer(await talk.request(2), {"plan": "pro"})
        await other.end()

    assert other.execution != broken.execution
    assert (await talk.end_of(broken.execution)).outcome == "cancelled"
    assert (await talk.end_of(other.execution)).outcome == "completed"


async def test_a_trigger_that_is_heard_before_the_client_is_seen_to_leave_finds_the_session_free_as_soon(
    http: httpx.AsyncClient, stage: Stage, monkeypatch: pytest.MonkeyPatch
):
    """It was refused with 429 where the client's grace and the cancel took longer than the trigger waits."""
    waits, awaiting = asyncio.Event(), Streams.awaiting

    def seen(streams: Streams, session: str) -> AbstractAsyncContextManager[None]:
        waits.set()
        return awaiting(streams, session)

    monkeypatch.setattr(Streams, "awaiting", seen)
    monkeypatch.setattr(repeats, "GRACE_SECONDS", 3600)
    talk = await stage.session(CALL_THEN_SAY, when_busy="reject")

    async with triggered(http, talk.id) as broken:
        await broken.until("tool-input-available")
        other = asyncio.create_task(turn(http, talk.id, "Something else"))
        await waits.wait()
    await talk.answer(await talk.request(2), {"plan": "pro"})

    assert (await other).text == 'You have {"plan":"pro"}'
    assert [one.outcome for one in await talk.all(TurnFinished)] == ["cancelled", "completed"]


async def test_the_same_trigger_after_the_end_is_a_new_turn(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(SAY_HELLO)

    first, second = await turn(http, talk.id), await turn(http, talk.id)

    assert first.execution != second.execution
    assert len(await talk.all(TurnFinished)) == 2


async def test_a_turn_that_another_client_follows_outlives_the_first_one(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(CALL_THEN_SAY)

    async with triggered(http, talk.id, **{"Idempotency-Key": "k1"}) as first:
        await first.until("tool-input-available")
        async with triggered(http, talk.id, **{"Idempotency-Key": "k1"}) as second:
            await second.until("tool-input-available")
            await first.response.aclose()
            await talk.answer(await talk.request(), {"plan": "pro"})
            await second.end()

    assert second.text == 'You have {"plan":"pro"}'
    assert await talk.all(TurnCancelRequested) == []


async def test_a_key_finds_its_turn_whose_connection_broke(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(CALL_THEN_SAY, when_busy="reject")

    async with triggered(http, talk.id, **{"Idempotency-Key": "k1"}) as broken:
        await broken.until("tool-input-available")
    async with triggered(http, talk.id, **{"Idempotency-Key": "k1"}) as again:
        await again.until("tool-input-available")
        await talk.answer(await talk.request(), {"plan": "pro"})
        await again.end()

    assert again.text == 'You have {"plan":"pro"}'
    assert (await talk.end_of(broken.execution)).outcome == "completed"


async def test_two_clients_with_one_trigger_are_two_turns(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session(SAY_HELLO, when_busy="enqueue")

    first, second = await asyncio.gather(turn(http, talk.id), turn(http, talk.id))

    assert first.execution != second.execution
