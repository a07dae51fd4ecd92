"""Deadlines: what becomes of a call that nobody answers in time, and who may still run it."""

import pytest
from nats.js.errors import NotFoundError
from tests.support.agents import CALL_THEN_SAY, TOOLS
from tests.support.services import TENANT, Stage
from tests.support.wait import until

from stenograph_events.subjects import claim_subject, timer_subject
from stenograph_events.types import (
    ToolAnswerRejected,
    ToolOutcomeUnknown,
    ToolRequested,
    ToolTimedOut,
)
from stenograph_services.runtime.jetstream import publish
from stenograph_services.runtime.streams import log_stream
from stenograph_services.tool_gateway import app as tool_gateway
from stenograph_services.tool_gateway import deadlines

SHORT = TOOLS.replace("  retry: safe\n", "  retry: safe\n  timeout: 1s\n").replace(
    "  retry: never\n", "  retry: never\n  timeout: 1s\n"
)

MAIL_THEN_SAY = """\
loop: true
turns:
  - - calls: [{tool: send-mail, arguments: {to: a@b}}]
    - text: "{{last_result}}"
"""


async def claimed_by(stage: Stage, request: ToolRequested) -> bytes:
    subject = claim_subject(TENANT, request.tool, request.session, request.call, request.attempt)
    return (await stage.nc.jetstream().get_last_msg("RES", subject)).data or b""


async def test_a_safe_call_that_nobody_answers_times_out_and_the_turn_goes_on(stage: Stage):
    talk = await stage.session(CALL_THEN_SAY, tools=SHORT)

    turn = await talk.send()
    request = await talk.request()
    timed_out = await talk.until(ToolTimedOut)
    end = await talk.end_of(turn)

    assert (timed_out.call, timed_out.attempt) == (request.call, 1)
    assert timed_out.at >= request.deadline_at
    assert end.outcome == "completed"
    assert (await talk.said(turn))[-1] == "You have The tool did not answer before its deadline."


async def test_an_answer_after_the_deadline_is_only_noted(stage: Stage):
    talk = await stage.session(CALL_THEN_SAY, tools=SHORT)

    turn = await talk.send()
    request = await talk.request()
    await talk.end_of(turn)
    await talk.answer(request, {"plan": "pro"})
    noted = await talk.until(ToolAnswerRejected)

    assert (noted.call, noted.reason) == (request.call, "late")


async def test_a_call_that_must_not_run_twice_and_was_never_begun_times_out_and_cannot_begin_any_more(stage: Stage):
    talk = await stage.session(MAIL_THEN_SAY, tools=SHORT)

    turn = await talk.send()
    request = await talk.request()
    await talk.until(ToolTimedOut)
    await talk.end_of(turn)

    assert request.retry == "never"
    assert await claimed_by(stage, request) == b"closed"


async def test_a_call_that_must_not_run_twice_and_was_begun_has_an_unknown_outcome(stage: Stage):
    talk = await stage.session(MAIL_THEN_SAY, tools=SHORT)

    turn = await talk.send()
    request = await talk.request()
    await publish(stage.nc, claim_subject(TENANT, request.tool, talk.id, request.call, 1), b'{"worker":"w-1"}')
    unknown = await talk.until(ToolOutcomeUnknown)
    end = await talk.end_of(turn)

    assert unknown.call == request.call
    assert end.outcome == "completed"
    assert (await talk.said(turn))[-1] == "The tool began and did not answer. Whether it took effect is unknown."


async def test_a_worker_that_says_that_it_came_too_late_times_the_call_out_at_once(stage: Stage):
    talk = await stage.session(CALL_THEN_SAY)

    turn = await talk.send()
    await talk.answer(await talk.request(), outcome="expired")
    await talk.end_of(turn)

    assert len(await talk.all(ToolTimedOut)) == 1


async def test_a_worker_that_comes_too_late_does_not_hide_that_another_one_had_begun(stage: Stage):
    """The second worker's word was taken for the call's: a call that took effect was recorded as timed out."""
    talk = await stage.session(MAIL_THEN_SAY)

    turn = await talk.send()
    request = await talk.request()
    await publish(stage.nc, claim_subject(TENANT, request.tool, talk.id, request.call, 1), b'{"worker":"w-1"}')
    await talk.answer(request, outcome="expired", worker="w-2")
    end = await talk.end_of(turn)

    assert end.outcome == "completed"
    assert [one.call for one in await talk.all(ToolOutcomeUnknown)] == [request.call]


async def test_nobody_can_begin_a_call_any_more_for_which_a_worker_came_too_late(stage: Stage):
    talk = await stage.session(MAIL_THEN_SAY)

    turn = await talk.send()
    request = await talk.request()
    await talk.answer(request, outcome="expired", worker="w-2")
    await talk.end_of(turn)

    assert len(await talk.all(ToolTimedOut)) == 1
    assert await claimed_by(stage, request) == b"closed"


async def test_a_deadline_outlives_the_tool_gateway(stage: Stage):
    """The request is held for a second before its timer is stored; a gateway that stops stores what it holds."""
    talk = await stage.session(CALL_THEN_SAY, tools=SHORT)
    gateway = stage.running("tool-gateway")

    turn = await talk.send()
    await talk.request()
    await stage.end(gateway)
    await stage.start(tool_gateway.build)
    end = await talk.end_of(turn)

    assert end.outcome == "completed"
    assert len(await talk.all(ToolTimedOut)) == 1


async def test_a_request_that_is_delivered_again_gets_its_timer_at_once(stage: Stage, monkeypatch: pytest.MonkeyPatch):
    """Each tool gateway that died while it held it cost six seconds: a call was open for 13 s after its deadline."""
    monkeypatch.setattr(deadlines, "GRACE_SECONDS", 60.0)
    talk = await stage.session(CALL_THEN_SAY)
    await stage.end(stage.running("tool-gateway"))

    turn = await talk.send()
    request = await talk.request()
    stream = log_stream(stage.settings, talk.id)
    held = await stage.nc.jetstream().pull_subscribe_bind("tool-gateway-requests", stream=stream)
    (delivery,) = await held.fetch(1, timeout=5)
    await delivery.nak()
    await stage.start(tool_gateway.build)

    timer = timer_subject(TENANT, talk.id, request.call, request.attempt)
    await until(lambda: stored(stage, "TIM", timer), 10, what="its timer is stored")
    await talk.answer(request, {"plan": "pro"})
    await talk.end_of(turn)


async def stored(stage: Stage, stream: str, subject: str) -> bool:
    try:
        return bool(await stage.nc.jetstream().get_last_msg(stream, subject))
    except NotFoundError:
        return False


async def test_calls_that_are_answered_in_time_store_no_timer(stage: Stage):
    talk = await stage.session(CALL_THEN_SAY)
    before = (await stage.nc.jetstream().stream_info("TIM")).state.last_seq

    turn = await talk.send()
    await talk.answer(await talk.request(), {"plan": "pro"})
    await talk.end_of(turn)

    async def settled() -> bool:
        waits = [await stage.unsettled(f"EV_{k}", "tool-gateway-requests") for k in range(4)]
        return not any(waits)

    await until(settled)
    assert (await stage.nc.jetstream().stream_info("TIM")).state.last_seq == before
