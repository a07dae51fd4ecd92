"""Turns from their trigger to their end: real server, real services, a scripted model."""

import msgspec
from tests.support.agents import CALL_THEN_SAY, HANDLER
from tests.support.services import TENANT, Stage, Talk
from tests.support.wait import until

from stenograph_events import outcome_id, turn_id
from stenograph_events.subjects import trigger_subject
from stenograph_events.testing import raw
from stenograph_events.types import (
    BlockFinished,
    MessageAdded,
    ModelFailed,
    ToolRefused,
    ToolRequested,
    TriggerQueued,
    TurnStarted,
)
from stenograph_services.runtime.jetstream import publish

TWO_CALLS = """\
loop: true
turns:
  - - calls:
        - {tool: get-account, arguments: {userId: u1}}
        - {tool: send-mail, arguments: {to: a@b}}
    - text: Both are done.
"""

ONLY_CALLS = """\
loop: true
turns:
  - - calls: [{tool: get-account, arguments: {userId: u1}}]
    - calls: [{tool: get-account, arguments: {userId: u2}}]
    - text: never reached
"""

WRONG_CALLS = """\
turns:
  - - calls:
        - {tool: get-account, arguments: {userId: 5}}
        - {tool: get-account, arguments: "{\\"userId\\": "}
        - {tool: get-acount, arguments: {userId: u1}}
    - text: "{{last_result}}"
"""


async def test_a_turn_with_a_tool_call_runs_from_trigger_to_end(stage: Stage):
    talk = await stage.session(CALL_THEN_SAY)

    turn = await talk.send("What plan am I on?")
    request = await talk.request()
    await talk.answer(request, {"plan": "pro"})
    end = await talk.end_of(turn)

    assert (end.outcome, end.reason) == ("completed", None)
    assert msgspec.json.decode(request.arguments) == {"userId": "u1"}
    assert await talk.said(turn) == ["", 'You have {"plan":"pro"}']
    assert await talk.types() == [
        "session.created",
        "turn.started",
        "message.added",
        "message.added",
        "tool.requested",
        "tool.succeeded",
        "message.added",
        "turn.finished",
    ]


async def test_every_trigger_and_every_result_is_acked_when_its_session_rests(stage: Stage):
    talk = await stage.session(CALL_THEN_SAY)

    turn = await talk.send()
    await talk.answer(await talk.request(), {"plan": "pro"})
    await talk.end_of(turn)

    async def settled() -> bool:
        waits = [await stage.unsettled("TRIG", "orchestrator-start")]
        for stream in ("EV_0", "EV_1", "EV_2", "EV_3"):
            waits.append(await stage.unsettled(stream, "orchestrator-wake"))
        return not any(waits)

    await until(settled)


async def test_the_model_is_asked_again_when_all_of_its_calls_are_answered(stage: Stage):
    talk = await stage.session(TWO_CALLS)

    turn = await talk.send()
    first, second = await talk.request(1), await talk.request(2)
    await talk.answer(second, None)
    await talk.answer(first, {"plan": "pro"})
    await talk.end_of(turn)

    assert (first.tool, first.retry, second.tool, second.retry) == ("get-account", "safe", "send-mail", "never")
    assert (await talk.types())[-4:] == ["tool.succeeded", "tool.succeeded", "message.added", "turn.finished"]


async def test_calls_with_wrong_arguments_and_unknown_tools_are_refused_and_the_model_is_told(stage: Stage):
    talk = await stage.session(WRONG_CALLS)

    turn = await talk.send()
    await talk.end_of(turn)

    refused = await talk.all(ToolRefused, turn)
    assert [one.error for one in refused] == [
        'the arguments are wrong: /userId: 5 is not of type "string"',
        "the arguments are not a JSON object",
        "no tool 'get-acount'; did you mean 'get-account'?",
    ]
    assert refused[1].arguments_text == '{"userId": '
    assert await talk.all(ToolRequested) == []
    assert (await talk.said(turn))[-1] == refused[-1].error


async def test_a_model_that_never_stops_calling_ends_at_max_steps(stage: Stage):
    talk = await stage.session(ONLY_CALLS, max_steps=2)

    turn = await talk.send()
    for count in (1, 2):
        await talk.answer(await talk.request(count), {"plan": "pro"})
    end = await talk.end_of(turn)

    assert end.outcome == "completed"
    assert [one.reason for one in await talk.all(BlockFinished, turn)] == ["max-steps"]


async def test_a_block_calls_a_tool_and_later_blocks_use_its_result(stage: Stage):
    look = "Look:\n  block: tool-call\n  tool: get-account\n  input: {userId: TEXT}\n  output: ACCOUNT\n"
    note = "Note:\n  block: set-resource\n  resource: NOTE\n  value: ACCOUNT\n"
    talk = await stage.session(handler=look + HANDLER + note)

    turn = await talk.send("u7")
    request = await talk.request()
    await talk.answer(request, {"plan": "pro"})
    await talk.end_of(turn)

    (noted,) = await talk.all(BlockFinished, turn)
    assert (request.arguments, request.block, request.output) == (raw({"userId": "u7"}), 0, "ACCOUNT")
    assert noted.resources == {"NOTE": raw({"plan": "pro"})}


async def test_a_busy_session_enqueues_triggers_and_runs_them_in_order(stage: Stage):
    talk = await stage.session(CALL_THEN_SAY, when_busy="enqueue")

    first = await talk.send("1", request="a")
    request = await talk.request()
    second, third = await talk.send("2", request="b"), await talk.send("3", request="c")
    await talk.until(TriggerQueued, third)
    await talk.answer(request, {"plan": "pro"})
    for count in (2, 3):
        await talk.answer(await talk.request(count), {"plan": "pro"})
    await talk.end_of(third)

    assert [one.turn for one in await talk.all(TurnStarted)] == [first, second, third]


async def test_a_busy_session_that_rejects_says_what_it_is_busy_with(stage: Stage):
    talk = await stage.session(CALL_THEN_SAY, when_busy="reject")

    first = await talk.send("1")
    request = await talk.request()
    rejected = await talk.rejection_of(await talk.send("2"))
    await talk.answer(request, {"plan": "pro"})
    await talk.end_of(first)

    assert (rejected.reason, rejected.detail) == ("busy", f"turn {first} is running")


async def test_a_full_queue_rejects(stage: Stage):
    talk = await stage.session(CALL_THEN_SAY)

    first = await talk.send("0")
    request = await talk.request()
    for i in range(stage.settings.queue_max):
        await talk.until(TriggerQueued, await talk.send(str(i)))
    rejected = await talk.rejection_of(await talk.send("one too many"))
    for queued in await talk.all(TriggerQueued):
        await talk.cancel(queued.turn or "")
    await until(lambda: _cancelled(talk, stage.settings.queue_max), what="the queue is empty")
    await talk.answer(request, {"plan": "pro"})
    await talk.end_of(first)

    assert (rejected.reason, rejected.detail) == ("queue-full", "16 triggers wait already")


async def _cancelled(talk: Talk, count: int) -> bool:
    return (await talk.types()).count("turn.cancel_requested") == count


async def test_one_request_sent_twice_is_one_turn(stage: Stage):
    talk = await stage.session()

    turn = await talk.send("Hi", request="once")
    again = await talk.send("Hi", request="once")
    await talk.end_of(turn)

    assert turn == again == turn_id(talk.id, "once")
    assert [one.id for one in await talk.all(TurnStarted)] == [outcome_id(turn)]


async def test_a_request_is_known_by_its_body_when_the_server_has_forgotten_its_message_id(stage: Stage):
    talk = await stage.session()
    body = msgspec.json.encode({"input": {"TEXT": "Hi"}, "request": "once"})

    turn = await talk.send("Hi", request="once")
    await talk.end_of(turn)
    await publish(stage.nc, trigger_subject(TENANT, talk.id, "user-message"), body)
    await publish(stage.nc, trigger_subject(TENANT, talk.id, "user-message"), body)
    other = await talk.send("Bye", request="twice")
    await talk.end_of(other)
    await until(lambda: _settled(stage), what="all triggers are acked")

    assert [one.turn for one in await talk.all(TurnStarted)] == [turn, other]


async def _settled(stage: Stage) -> bool:
    return not await stage.unsettled("TRIG", "orchestrator-start")


async def test_wrong_input_and_unknown_triggers_are_rejected_with_a_sentence(stage: Stage):
    talk = await stage.session()

    missing = await talk.rejection_of(await talk.sdk.send("user-message", {"TXT": "Hi"}))
    unknown = await talk.rejection_of(await talk.send(name="user-mesage"))

    assert missing.reason == "invalid-input"
    assert missing.detail == "TEXT is missing; unknown name 'TXT'; did you mean 'TEXT'?"
    assert unknown.reason == "unknown-trigger"
    assert unknown.detail == "no trigger 'user-mesage'; did you mean 'user-message'?"


async def test_a_session_of_a_version_that_is_not_stored_rejects_its_triggers(stage: Stage):
    talk = await stage.session_of("nobody", "0123456789ab")

    rejected = await talk.rejection_of(await talk.send())

    assert (rejected.reason, rejected.detail) == (
        "unknown-agent", "agent nobody in version 0123456789ab is not stored"
    )  # fmt: skip


async def test_a_trigger_without_a_model_to_ask_still_ends_its_turn(stage: Stage):
    talk = await stage.session(handler=HANDLER.partition("Ask:")[0])

    end = await talk.end_of(await talk.send())

    assert end.outcome == "completed"


# ---- models that fail


def failing(error: str, then: str = "Here I am.") -> str:
    return f"loop: true\nturns:\n  - - error: {{{error}}}\n      text: {then}\n"


async def test_a_model_that_fails_once_is_asked_again(stage: Stage):
    talk = await stage.session(failing("kind: overloaded, retryable: true, retry_after_seconds: 0.01, times: 1"))

    turn = await talk.send()
    end = await talk.end_of(turn)

    assert end.outcome == "completed"
    assert [(one.attempt, one.error) for one in await talk.all(ModelFailed, turn)] == [(1, "overloaded")]
    assert [one.attempt for one in await talk.all(MessageAdded, turn) if one.model] == [2]
    assert await talk.said(turn) == ["Here I am."]


async def test_a_model_that_fails_three_times_fails_the_turn_with_its_words(stage: Stage):
    talk = await stage.session(
        failing("kind: overloaded, detail: Too much., retryable: true, retry_after_seconds: 0.01")
    )

    turn = await talk.send()
    end = await talk.end_of(turn)

    assert (end.outcome, end.reason, end.detail) == ("failed", "model-failed", "overloaded: Too much.")
    assert [one.attempt for one in await talk.all(ModelFailed, turn)] == [1, 2, 3]


async def test_a_failure_that_asking_again_does_not_mend_fails_at_once(stage: Stage):
    talk = await stage.session(failing("kind: authentication, detail: No key."))

    turn = await talk.send()
    end = await talk.end_of(turn)

    assert (end.reason, end.detail) == ("model-failed", "authentication: No key.")
    assert len(await talk.all(ModelFailed, turn)) == 1


async def test_the_session_goes_on_after_a_failed_turn(stage: Stage):
    talk = await stage.session("turns:\n  - - error: {kind: down}\n  - - text: I am back.\n")

    await talk.end_of(await talk.send("1"))
    second = await talk.send("2")
    await talk.end_of(second)

    assert await talk.said(second) == ["I am back."]


async def test_a_response_too_large_for_an_event_fails_the_turn_at_once(stage: Stage):
    """It used to be asked for, and paid for, until the turn ended as a crash loop."""
    talk = await stage.session(f"turns:\n  - - text: {'x' * 950_000}\n")

    finished = await talk.end_of(await talk.send())

    assert finished.outcome == "failed"
    assert finished.detail is not None
    assert finished.detail.startswith("too-large: the response takes 950")
    assert len(await talk.all(ModelFailed)) == 1
