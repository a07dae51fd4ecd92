"""Which items belong to a turn, and when it is over."""

from typing import Any

import msgspec

from stenograph_events import TurnId
from stenograph_events.frames import TextDelta, ToolProgress, TriggerUnanswered
from stenograph_events.testing import (
    assistant_message,
    log,
    session_created,
    tool_failed,
    tool_requested,
    trigger_queued,
    trigger_rejected,
    turn_cancel_requested,
    turn_finished,
    turn_started,
    user_message,
)
from stenograph_sdk.following import TurnWatch


def watched(*events: Any, turn: str = "t1") -> tuple[TurnWatch, list[Any]]:
    watch = TurnWatch(TurnId(turn))
    return watch, [event for event, _ in log(*events) if watch.shows(event)]


def delta(text: str, *, after: int, attempt: int = 1, turn: str = "t1") -> TextDelta:
    return TextDelta(turn=turn, after=after, attempt=attempt, text=text)


def progress(k: int, *, call: str = "c1", attempt: int = 1) -> ToolProgress:
    return ToolProgress(turn="t1", after=3, attempt=attempt, k=k, call=call, tool="get-user-account")


def test_of_a_calls_progress_the_newest_is_shown_while_it_is_open():
    watch, _ = watched(turn_started(), tool_requested("c1"), tool_requested("c2"))

    assert watch.shows(progress(1))
    assert watch.shows(progress(3))
    assert not watch.shows(progress(2))
    assert watch.shows(progress(1, call="c2"))

    answered, again = [event for event, _ in log(turn_started(), tool_failed("c1"), tool_requested("c1", 2))][1:]
    watch.shows(msgspec.structs.replace(answered, n=4))
    assert not watch.shows(progress(4))
    watch.shows(msgspec.structs.replace(again, n=5))
    assert watch.shows(progress(1, attempt=2))
    assert not watch.shows(progress(5))


def test_progress_says_nothing_of_the_text_that_a_model_writes():
    watch, _ = watched(turn_started(), user_message(), tool_requested("c1"))

    watch.shows(progress(9, attempt=7))

    assert watch.shows(delta("Hel", after=4))


def test_a_turn_is_over_when_it_is_finished():
    running, _ = watched(turn_started(), user_message())
    finished, shown = watched(turn_started(), user_message(), turn_finished())

    assert running.began
    assert not running.over
    assert finished.over
    assert len(shown) == 3


def test_events_of_other_turns_are_not_shown():
    watch, shown = watched(session_created(), turn_started("t0"), turn_finished("t0"))

    assert shown == []
    assert not watch.began


def test_a_rejected_trigger_is_over_at_once():
    watch, _ = watched(trigger_rejected("t1"))

    assert watch.over


def test_a_cancel_ends_a_queued_turn_but_not_a_running_one():
    queued, _ = watched(trigger_queued("t1"), turn_cancel_requested("t1"))
    running, _ = watched(trigger_queued("t1"), turn_started("t1"), turn_cancel_requested("t1"))
    unseen, _ = watched(turn_cancel_requested("t1"))

    assert queued.over
    assert not running.over
    assert not unseen.over


def test_an_event_that_comes_again_is_not_shown_again():
    watch = TurnWatch(TurnId("t1"))
    ((started, _),) = log(turn_started())

    assert watch.shows(started)
    assert not watch.shows(started)


def test_frames_of_an_overtaken_attempt_are_not_shown():
    watch = TurnWatch(TurnId("t1"))

    assert watch.shows(delta("You", after=3))
    assert watch.shows(delta("You", after=3, attempt=2))
    assert not watch.shows(delta(" are", after=3))


def test_frames_of_a_message_that_is_finished_are_not_shown():
    watch, _ = watched(session_created(), turn_started(), user_message(), assistant_message("You are"))

    assert not watch.shows(delta("You", after=3, attempt=2))
    assert watch.shows(delta("Next", after=4))


def test_a_trigger_that_nobody_answers_is_over():
    watch = TurnWatch(TurnId("t1"))

    assert watch.shows(TriggerUnanswered(turn="t1", after=0, reason="unknown-session", detail="there is no log"))
    assert watch.over
