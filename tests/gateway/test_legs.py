"""Where a leg ends and the next one begins, from the events of a turn alone."""

from typing import Any

from msgspec.structs import replace
from tests.gateway.playing import only, said, stream_of, text_of

from stenograph_events import AnyEvent
from stenograph_events.testing import (
    assistant_message,
    tool_call,
    tool_cancelled,
    tool_refused,
    tool_requested,
    tool_succeeded,
    turn_cancel_requested,
    turn_finished,
    turn_started,
    user_message,
)
from stenograph_services.gateway.stream.legs import Leg, next_leg

BEGIN: list[AnyEvent] = [turn_started(), user_message("Hi")]


def test_a_turn_that_waits_for_nobody_but_its_client_ends_the_leg():
    events = played(*asks("c1", "c2"), client_call("c1"), client_call("c2"))

    assert [call["toolCallId"] for call in events[-2]["toolCalls"]] == ["c1", "c2"]
    assert events[-1] == {"type": "finish", "finishReason": "tool-calls"}


def test_a_call_that_is_not_requested_yet_keeps_the_leg_open():
    events = played(*asks("c1", "c2"), client_call("c1"))

    assert only(events, "tool-request", "finish") == []


def test_a_call_that_was_refused_is_not_waited_for():
    events = played(*asks("c1", "c2"), client_call("c1"), tool_refused("c2"))

    assert [call["toolCallId"] for call in events[-2]["toolCalls"]] == ["c1"]


def test_a_worker_that_is_not_done_keeps_the_leg_open():
    open_call = played(*asks("c1", "c2"), client_call("c1"), tool_requested("c2"))
    done = played(*asks("c1", "c2"), client_call("c1"), tool_requested("c2"), tool_succeeded("c2"))

    assert only(open_call, "tool-request", "finish") == []
    assert [call["toolCallId"] for call in done[-2]["toolCalls"]] == ["c1"]


def test_a_turn_that_is_being_cancelled_asks_nobody():
    by_client = played(*asks("c1"), turn_cancel_requested(), client_call("c1"))
    by_another_turn = played(
        *asks("c1", "c2"), client_call("c1"), tool_requested("c2"), tool_cancelled("c2"), tool_cancelled("c1"),
        turn_finished(outcome="cancelled"),
    )  # fmt: skip

    assert only(by_client, "tool-request") == []
    assert only(by_another_turn, "tool-request") == []
    assert by_another_turn[-1] == {"type": "finish", "finishReason": "stop"}


def test_the_thread_of_the_model_that_asks_is_named_unless_it_is_main():
    message = assistant_message("", calls=(tool_call("c1"),), thread="aside")

    events = played(*BEGIN, message, client_call("c1"))

    assert events[-2]["toolCalls"][0]["thread"] == "aside"
    assert "thread" not in played(*asks("c1"), client_call("c1"))[-2]["toolCalls"][0]


def test_the_next_leg_tells_what_came_after_the_request_and_not_the_result():
    history = numbered(*asks("c1"), client_call("c1"))
    leg = next_leg(history, ["c1"])

    after = numbered(tool_succeeded("c1"), assistant_message("Done"), turn_finished(), start=len(history) + 1)
    events = stream_of(*history, *after, leg=leg)

    assert leg == Leg(after=4, head=4, open=frozenset({"c1"}), answered=frozenset({"c1"}))
    assert [event["type"] for event in events] == ["text-start", "text-delta", "text-end", "block-end", "finish"]


def test_a_leg_waits_while_the_results_of_its_request_are_recorded_one_by_one():
    history = numbered(*asks("c1", "c2"), client_call("c1"), client_call("c2"))
    both, one = next_leg(history, ["c1", "c2"]), next_leg(history, ["c1"])

    after = numbered(tool_succeeded("c1"), start=len(history) + 1)

    assert stream_of(*history, *after, leg=both) == []
    assert [call["toolCallId"] for call in stream_of(*history, *after, leg=one)[0]["toolCalls"]] == ["c2"]


def test_a_repeated_request_passes_over_what_was_answered_before_it_came():
    history = numbered(*asks("c1"), client_call("c1"), tool_succeeded("c1"), assistant_message("Done"), turn_finished())

    from_the_start = stream_of(*history, leg=Leg(head=7))
    from_the_pause = stream_of(*history, leg=next_leg(history, ["c1"]))

    assert only(from_the_start, "tool-request") == only(from_the_pause, "tool-request") == []
    assert [event["toolCallId"] for event in only(from_the_start, "tool-output")] == ["c1"]
    assert only(from_the_pause, "tool-output") == []
    assert text_of(from_the_start) == text_of(from_the_pause) == "Done"


def test_a_frame_of_the_leg_before_never_shares_the_id_of_a_part():
    history = numbered(*asks("c1"), client_call("c1"))
    after = numbered(tool_succeeded("c1"), start=len(history) + 1)

    first = stream_of(*history[:2], said(1, "Let me", after=2))
    second = stream_of(*history, *after, said(1, "Done", after=5), leg=next_leg(history, ["c1"]))

    assert only(first, "text-start")[0]["id"] != only(second, "text-start")[0]["id"]


def played(*events: AnyEvent) -> list[dict[str, Any]]:
    """Return the first leg of a turn that nobody has seen."""
    return stream_of(*numbered(*events))


def asks(*calls: str) -> list[AnyEvent]:
    return [*BEGIN, assistant_message("", calls=tuple(tool_call(call) for call in calls))]


def client_call(call: str) -> Any:
    return tool_requested(call, client=True)


def numbered(*events: AnyEvent, start: int = 1) -> list[AnyEvent]:
    return [replace(event, n=start + i) for i, event in enumerate(events)]
