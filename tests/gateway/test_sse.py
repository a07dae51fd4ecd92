"""From a turn's events and frames to its stream."""

import msgspec
from tests.gateway.playing import HANDLER, KNOWN, add, only, said, stream_of, text_of, thought

from stenograph_events.frames import CallDelta, ToolProgress, TriggerUnanswered
from stenograph_events.testing import (
    assistant_message,
    block_finished,
    model_failed,
    raw,
    tool_call,
    tool_cancelled,
    tool_failed,
    tool_refused,
    tool_requested,
    tool_succeeded,
    trigger_rejected,
    turn_cancel_requested,
    turn_finished,
    turn_started,
    user_message,
)
from stenograph_events.values import Part, ReasoningPart, TextPart
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.gateway.stream.callees import Callee
from stenograph_services.gateway.stream.sse import TurnStream
from stenograph_services.gateway.wire.stream_events import framed
from stenograph_services.protocol.agent import NextMessage, SetResource, ToolCall


def test_a_turn_is_its_blocks_their_text_and_a_finish():
    events = stream_of(
        turn_started(), user_message("Hi"), said(1, "Hel"), said(2, "lo"), assistant_message("Hello"), turn_finished()
    )

    assert events == [
        {
            "type": "block-start",
            "blockId": "t1/1",
            "blockName": "Answer",
            "blockType": "next-message",
            "display": "stream",
            "outputToChat": True,
        },
        {"type": "text-start", "id": "p1"},
        {"type": "text-delta", "id": "p1", "delta": "Hel"},
        {"type": "text-delta", "id": "p1", "delta": "lo"},
        {"type": "text-end", "id": "p1"},
        {"type": "block-end", "blockId": "t1/1"},
        {"type": "finish", "finishReason": "stop"},
    ]


def test_a_stream_opens_with_the_turn_as_its_execution():
    assert framed(TurnStream("t1", HANDLER, KNOWN).open()) == b'data: {"type":"start","executionId":"t1"}\n\n'


def test_what_a_worker_says_of_its_progress_stands_between_a_call_and_its_outcome():
    call = tool_call(arguments=raw({"userId": "u1"}))
    half = ToolProgress(turn="t1", after=4, k=1, call="c1", tool="get-user-account", text="half", done=1, total=2)

    events = stream_of(
        turn_started(), user_message(), assistant_message(calls=[call]), tool_requested(), half, tool_succeeded()
    )

    assert [event["type"] for event in only(events, "tool-")][3:] == [
        "tool-input-available",
        "tool-progress",
        "tool-output-available",
    ]
    [shown] = only(events, "tool-progress")
    assert shown == {"type": "tool-progress", "toolCallId": "c1", "text": "half", "done": 1, "total": 2}


def test_the_progress_of_a_call_that_is_not_shown_is_not_shown():
    hidden = {"get-user-account": Callee("hidden")}
    half = ToolProgress(turn="t1", after=4, k=1, call="c1", tool="get-user-account", text="half")

    events = stream_of(
        turn_started(), user_message(), assistant_message(calls=[tool_call()]), tool_requested(), half, known=hidden
    )

    assert only(events, "tool-") == []


def test_text_that_no_frame_brought_comes_with_the_message():
    events = stream_of(turn_started(), user_message("Hi"), said(1, "Hel"), assistant_message("Hello, you"))

    assert [event["delta"] for event in only(events, "text-delta")] == ["Hel", "lo, you"]
    assert len(only(events, "text-start")) == 1


def test_after_a_lost_frame_the_rest_comes_as_one_delta():
    events = stream_of(
        turn_started(), user_message("Hi"), said(1, "one "), said(3, "three "), assistant_message("one two three four")
    )

    assert [event["delta"] for event in only(events, "text-delta")] == ["one ", "two three four"]


def test_without_any_frame_the_parts_keep_their_order():
    parts: list[Part] = [ReasoningPart("Hm."), TextPart("Yes."), ReasoningPart("But."), TextPart("No.")]

    events = stream_of(turn_started(), user_message("Hi"), assistant_message(parts=parts))

    assert [(event["type"], event["delta"]) for event in events if "delta" in event] == [
        ("reasoning-delta", "Hm."),
        ("text-delta", "Yes."),
        ("reasoning-delta", "But."),
        ("text-delta", "No."),
    ]
    assert [event["id"] for event in only(events, "text-start", "reasoning-start")] == ["p1", "p2", "p3", "p4"]


def test_reasoning_ends_before_text_begins():
    events = stream_of(
        turn_started(),
        user_message("Hi"),
        thought(1, "Hm."),
        said(2, "Yes."),
        assistant_message(parts=[ReasoningPart("Hm."), TextPart("Yes.")]),
    )

    assert [event["type"] for event in only(events, "text", "reasoning")] == [
        "reasoning-start",
        "reasoning-delta",
        "reasoning-end",
        "text-start",
        "text-delta",
        "text-end",
    ]


def test_an_attempt_that_takes_over_closes_the_open_part_and_opens_another():
    events = stream_of(
        turn_started(),
        user_message("Hi"),
        said(1, "Good mor"),
        said(1, "Good ", attempt=2),
        said(2, "evening", attempt=2),
        assistant_message("Good evening"),
    )

    assert [(event["type"], event["id"]) for event in only(events, "text")] == [
        ("text-start", "p1"),
        ("text-delta", "p1"),
        ("text-end", "p1"),
        ("text-start", "p2"),
        ("text-delta", "p2"),
        ("text-delta", "p2"),
        ("text-end", "p2"),
    ]
    assert "".join(event["delta"] for event in only(events, "text-delta") if event["id"] == "p2") == "Good evening"


def test_a_message_that_is_not_what_was_streamed_is_said_anew():
    events = stream_of(turn_started(), user_message("Hi"), said(1, "Good mor"), assistant_message("Evening"))

    assert [(event["id"], event["delta"]) for event in only(events, "text-delta")] == [
        ("p1", "Good mor"),
        ("p2", "Evening"),
    ]


def test_an_attempt_that_fails_closes_its_part():
    events = stream_of(turn_started(), user_message("Hi"), said(1, "Good"), model_failed())

    assert events[-1] == {"type": "text-end", "id": "p1"}


def test_a_call_of_the_model_is_shown_with_its_arguments_and_its_output():
    call = tool_call("c1", arguments=raw({"userId": "u1"}))

    events = stream_of(
        turn_started(),
        user_message("Hi"),
        CallDelta(turn="t1", after=3, k=1, index=0, tool="get-user-account", arguments='{"userId'),
        assistant_message(calls=[call]),
        tool_requested("c1"),
        tool_succeeded("c1", result=raw(None)),
    )

    assert only(events, "tool") == [
        {"type": "tool-input-start", "toolCallId": "c1", "toolName": "get-user-account", "title": "Look it up"},
        {"type": "tool-input-delta", "toolCallId": "c1", "inputTextDelta": '{"userId":"u1"}'},
        {"type": "tool-input-end", "toolCallId": "c1"},
        {
            "type": "tool-input-available",
            "toolCallId": "c1",
            "toolName": "get-user-account",
            "input": {"userId": "u1"},
        },
        {"type": "tool-output-available", "toolCallId": "c1", "output": None},
    ]
    assert not only(events, "block-end")


def test_what_keeps_a_call_from_succeeding_is_its_error():
    events = stream_of(
        turn_started(),
        user_message("Hi"),
        assistant_message(calls=["c1", "c2", "c3"]),
        tool_failed("c1", error="no such user"),
        tool_refused("c2", error="userId is missing"),
        tool_cancelled("c3"),
    )

    assert [(event["toolCallId"], event["error"]) for event in only(events, "tool-output-error")] == [
        ("c1", "no such user"),
        ("c2", "userId is missing"),
        ("c3", "The call was cancelled."),
    ]


def test_a_call_whose_further_attempts_are_given_up_ends_with_the_reason():
    events = stream_of(
        turn_started(),
        user_message(),
        assistant_message(calls=[tool_call("c1")]),
        tool_requested("c1", retry="safe", attempts=3),
        tool_failed("c1", error="no database", again=True),
        tool_refused("c1", error="the tool get-user-account failed 5 times in a row"),
        turn_finished(),
    )

    assert [(event["toolCallId"], event["error"]) for event in only(events, "tool-output-error")] == [
        ("c1", "the tool get-user-account failed 5 times in a row")
    ]


def test_a_hidden_tool_makes_no_events():
    hidden = {"get-user-account": msgspec.structs.replace(KNOWN["get-user-account"], display="hidden")}

    events = stream_of(
        turn_started(), user_message("Hi"), assistant_message(calls=["c1"]), tool_succeeded("c1"), known=hidden
    )

    assert not only(events, "tool")


def test_a_call_of_a_block_is_shown_once_however_often_it_is_tried():
    handler = (ToolCall(name="Look", tool="get-user-account"), NextMessage(name="Answer"))

    events = stream_of(
        turn_started(),
        tool_requested("c1", block=0),
        tool_requested("c1", 2, block=0),
        tool_succeeded("c1", 2),
        handler=handler,
    )

    assert [event["type"] for event in events] == [
        "block-start",
        "tool-input-start",
        "tool-input-delta",
        "tool-input-end",
        "tool-input-available",
        "tool-output-available",
        "block-end",
        "block-start",
    ]
    assert events[0]["blockType"] == "tool-call"


def test_a_resource_that_a_block_sets_is_told():
    handler = (SetResource(name="Remember", resource="NOTE", value="ANSWER"),)

    events = stream_of(turn_started(), block_finished(0, resources={"NOTE": raw("x")}), handler=handler)

    assert [event["type"] for event in events] == ["block-start", "resource-update", "block-end"]
    assert events[1] == {"type": "resource-update", "name": "NOTE", "value": "x"}


def test_a_hidden_block_says_nothing():
    handler = (add("user"), NextMessage(name="Answer", display="hidden"))

    events = stream_of(
        turn_started(),
        user_message("Hi"),
        said(1, "secret"),
        assistant_message("secret"),
        turn_finished(),
        handler=handler,
    )

    assert events == [{"type": "finish", "finishReason": "stop"}]


def test_the_thread_of_a_block_is_told_unless_it_is_main():
    handler = (NextMessage(name="Think", thread="aside"),)

    assert stream_of(turn_started(), handler=handler)[0]["thread"] == "aside"


def test_the_finish_reason_is_that_of_the_last_response():
    cut = assistant_message("Hel", finish_reason="length")

    assert stream_of(turn_started(), user_message("Hi"), cut, turn_finished())[-1]["finishReason"] == "length"


def test_a_turn_that_used_up_its_steps_finishes_for_another_reason():
    events = stream_of(
        turn_started(),
        user_message("Hi"),
        assistant_message(calls=["c1"]),
        tool_succeeded("c1"),
        block_finished(1, reason="max-steps"),
        turn_finished(),
    )

    assert events[-1] == {"type": "finish", "finishReason": "other"}


def test_a_cancelled_turn_finishes_with_stop():
    cut = assistant_message("Hel", finish_reason="cancelled")

    events = stream_of(
        turn_started(), user_message("Hi"), turn_cancel_requested(), cut, turn_finished(outcome="cancelled")
    )

    assert text_of(events) == "Hel"
    assert events[-1] == {"type": "finish", "finishReason": "stop"}


def test_a_turn_whose_model_failed_ends_with_the_providers_error_and_nothing_after_it():
    failure = model_failed(error="rate-limit", detail="openai/gpt-5 answered 429: slow down", model="openai/gpt-5")
    end = turn_finished(outcome="failed", reason="model-failed", detail="rate-limit: slow down")

    events = stream_of(turn_started(), user_message("Hi"), said(1, "Hel"), failure, end, said(2, "lo"))

    assert events[-2:] == [
        {"type": "block-end", "blockId": "t1/1"},
        {
            "type": "error",
            "errorType": "rate_limit_error",
            "message": "openai/gpt-5 answered 429: slow down",
            "retryable": True,
            "source": "provider",
            "code": "rate-limit",
            "provider": {"name": "openai", "model": "gpt-5"},
        },
    ]


def test_a_turn_that_crashed_whoever_drove_it_ends_with_an_internal_error():
    end = turn_finished(outcome="failed", reason="crash-loop", detail="5 deliveries ended without any progress")

    assert stream_of(turn_started(), end)[-1]["errorType"] == "internal_error"


def test_a_trigger_that_is_rejected_late_ends_the_stream_with_an_error():
    assert stream_of(trigger_rejected("t1", "busy"))[-1] == {
        "type": "error",
        "errorType": "rate_limit_error",
        "message": "The session is busy with another turn.",
        "retryable": True,
        "source": "platform",
        "retryAfter": 2,
        "code": "SESSION_BUSY",
    }


def test_a_trigger_of_no_session_ends_the_stream_as_not_found():
    unanswered = TriggerUnanswered(turn="t1", after=0, reason="unknown-session", detail="no session 'x'")

    assert stream_of(unanswered)[-1]["errorType"] == "not_found_error"


def test_a_turn_that_is_cancelled_in_the_queue_finishes():
    assert stream_of(turn_cancel_requested()) == [{"type": "finish", "finishReason": "stop"}]


def test_a_stream_has_one_terminal_event():
    stream = TurnStream("t1", HANDLER, KNOWN)
    stream.show(turn_started())

    ends = stream.show(turn_finished()) + stream.fail(Refusal(503, "down")) + stream.show(turn_finished())

    assert len(ends) == 1


def test_the_id_of_an_event_goes_with_the_last_of_what_it_shows():
    stream = TurnStream("t1", (NextMessage(name="Answer"),), KNOWN)
    stream.show(turn_started())

    lines = framed(stream.show(assistant_message("Hi", block=0)), "4").decode().splitlines()

    assert [line for line in lines if line][-2:] == ["id: 4", 'data: {"type":"block-end","blockId":"t1/0"}']
    assert sum(line.startswith("id: ") for line in lines) == 1
