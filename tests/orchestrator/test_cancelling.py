"""Cancels and interrupts, wherever the turn is: asking a model, waiting for a tool, queued, unseen or over."""

import asyncio

from tests.support.agents import CALL_THEN_SAY, SAY_SLOWLY
from tests.support.services import TENANT, Frames, Stage
from tests.support.wait import until

from stenograph_events import turn_id
from stenograph_events.frames import TextDelta
from stenograph_events.subjects import claim_subject
from stenograph_events.types import (
    MessageAdded,
    ToolAnswerRejected,
    ToolCancelled,
    TriggerQueued,
    TurnCancelRequested,
    TurnStarted,
)
from stenograph_services.orchestrator import app as orchestrator

AT_ONCE = 1.0  # seconds; the model of these tests would speak for two

QUICK_THEN_SLOW = SAY_SLOWLY.replace("turns:\n", "turns:\n  - - text: Quick.\n")
SLOW_THEN_QUICK = SAY_SLOWLY.replace("loop: true\n", "") + "  - - text: Quick.\n"


async def test_a_cancel_stops_the_model_and_keeps_what_it_had_said(stage: Stage):
    talk = await stage.session(SAY_SLOWLY)

    async with Frames(stage.nc, talk.id) as frames:
        turn = await talk.send()
        await frames.first()
        began = asyncio.get_running_loop().time()
        await talk.cancel(turn)
        end = await talk.end_of(turn)

    assert asyncio.get_running_loop().time() - began < AT_ONCE
    assert end.outcome == "cancelled"
    (partial,) = [one for one in await talk.all(MessageAdded, turn) if one.model]
    assert partial.finish_reason == "cancelled"
    assert (said := (await talk.said(turn))[0])
    assert "one two three four five six seven eight nine ten".startswith(said)


async def test_a_cancel_before_the_first_word_leaves_no_message(stage: Stage):
    talk = await stage.session("turns:\n  - - text: late\n      delay_ms: 3000\n")

    turn = await talk.send()
    await talk.until(MessageAdded, turn)
    await talk.cancel(turn)
    end = await talk.end_of(turn, timeout=AT_ONCE)

    assert end.outcome == "cancelled"
    assert await talk.said(turn) == []


async def test_a_cancel_ends_the_wait_between_two_attempts(stage: Stage):
    script = "turns:\n  - - error: {kind: overloaded, retryable: true, retry_after_seconds: 20}\n      text: x\n"
    talk = await stage.session(script)

    turn = await talk.send()
    await talk.until(MessageAdded, turn)
    await asyncio.sleep(0.1)  # into the wait: nothing outside shows that it began
    await talk.cancel(turn)
    end = await talk.end_of(turn, timeout=AT_ONCE)

    assert end.outcome == "cancelled"


async def test_a_cancel_reaches_the_model_that_another_orchestrator_asks(stage: Stage):
    other = await stage.start(orchestrator.build)
    talks = [await stage.session(SAY_SLOWLY) for _ in range(6)]

    turns = [await talk.send() for talk in talks]
    for talk, turn in zip(talks, turns, strict=True):
        await talk.until(MessageAdded, turn)
    for talk, turn in zip(talks, turns, strict=True):
        await talk.cancel(turn)
    ends = [await talk.end_of(turn, timeout=AT_ONCE) for talk, turn in zip(talks, turns, strict=True)]
    await stage.end(other)

    assert {end.outcome for end in ends} == {"cancelled"}


async def test_a_cancel_closes_the_open_call_and_a_later_answer_is_only_noted(stage: Stage):
    talk = await stage.session(CALL_THEN_SAY)

    turn = await talk.send()
    request = await talk.request()
    await talk.cancel(turn)
    end = await talk.end_of(turn)
    await talk.answer(request, {"plan": "pro"})
    noted = await talk.until(ToolAnswerRejected)

    assert end.outcome == "cancelled"
    assert [one.call for one in await talk.all(ToolCancelled, turn)] == [request.call]
    assert (noted.call, noted.reason, noted.outcome) == (request.call, "late", "succeeded")


async def test_a_cancelled_call_cannot_be_claimed_any_more(stage: Stage):
    script = "turns:\n  - - calls: [{tool: send-mail, arguments: {to: a@b}}]\n"
    talk = await stage.session(script)

    turn = await talk.send()
    request = await talk.request()
    await talk.cancel(turn)
    await talk.end_of(turn)
    subject = claim_subject(TENANT, request.tool, talk.id, request.call, 1)

    async def closed() -> bool:
        try:
            return (await stage.nc.jetstream().get_last_msg("RES", subject)).data == b"closed"
        except Exception:
            return False

    await until(closed, what="the claim is closed")


async def test_a_queued_turn_that_is_cancelled_never_starts(stage: Stage):
    talk = await stage.session(CALL_THEN_SAY)

    first = await talk.send("1")
    request = await talk.request()
    second = await talk.send("2")
    await talk.until(TriggerQueued, second)
    await talk.cancel(second)
    await talk.until(TurnCancelRequested, second)
    await talk.answer(request, {"plan": "pro"})
    await talk.end_of(first)

    assert [one.turn for one in await talk.all(TurnStarted)] == [first]


async def test_a_cancel_that_comes_before_its_trigger_is_kept(stage: Stage):
    talk = await stage.session()

    turn = turn_id(talk.id, "later")
    await talk.cancel(turn)
    await talk.until(TurnCancelRequested, turn)
    await talk.send(request="later")
    rejected = await talk.rejection_of(turn)

    assert rejected.reason == "cancelled"
    assert await talk.all(TurnStarted) == []


async def test_a_cancel_of_a_finished_turn_changes_nothing(stage: Stage):
    talk = await stage.session()

    turn = await talk.send()
    await talk.end_of(turn)
    before = await talk.types()
    await talk.cancel(turn)

    async def acked() -> bool:
        return not await stage.unsettled("TRIG", "orchestrator-control")

    await until(acked)
    assert await talk.types() == before


async def test_a_cancel_of_a_turn_that_is_over_or_waits_leaves_the_model_of_another_alone(stage: Stage):
    """The model was stopped and asked again, and its frames had the ids of those before."""
    talk = await stage.session(QUICK_THEN_SLOW)
    over = await talk.send("1")
    await talk.end_of(over)

    async with Frames(stage.nc, talk.id) as frames:
        speaking = await talk.send("2")
        await frames.first()
        waiting = await talk.send("3")
        await talk.until(TriggerQueued, waiting)
        await talk.cancel(over)
        await talk.cancel(waiting)
        await talk.until(TurnCancelRequested, waiting)
        end = await talk.end_of(speaking)

    ids = [frame.frame_id for frame in frames.heard if isinstance(frame, TextDelta)]
    assert end.outcome == "completed"
    assert await talk.said(speaking) == ["one two three four five six seven eight nine ten"]
    assert len(ids) == len(set(ids))


# ---- triggers that come while a model speaks


async def test_an_interrupting_trigger_stops_the_model_and_runs_next(stage: Stage):
    talk = await stage.session(SLOW_THEN_QUICK, when_busy="interrupt")

    async with Frames(stage.nc, talk.id) as frames:
        first = await talk.send("1")
        await frames.first()
        second = await talk.send("2")
        ends = [await talk.end_of(turn, timeout=AT_ONCE) for turn in (first, second)]

    assert [end.outcome for end in ends] == ["cancelled", "completed"]
    assert await talk.said(second) == ["Quick."]


async def test_an_interrupting_trigger_closes_open_calls_and_runs_next(stage: Stage):
    script = CALL_THEN_SAY.replace("loop: true\n", "") + "  - - text: Quick.\n"
    talk = await stage.session(script, when_busy="interrupt")

    first = await talk.send("1")
    request = await talk.request()
    second = await talk.send("2")
    ends = [await talk.end_of(turn) for turn in (first, second)]

    assert [end.outcome for end in ends] == ["cancelled", "completed"]
    assert [one.call for one in await talk.all(ToolCancelled, first)] == [request.call]


async def test_a_session_that_rejects_while_busy_does_so_while_the_model_speaks(stage: Stage):
    talk = await stage.session(SLOW_THEN_QUICK, when_busy="reject")

    async with Frames(stage.nc, talk.id) as frames:
        first = await talk.send("1")
        await frames.first()
        rejected = await talk.rejection_of(await talk.send("2"))
    await talk.cancel(first)
    await talk.end_of(first)

    assert rejected.reason == "busy"
