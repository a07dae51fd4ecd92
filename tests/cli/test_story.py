"""The story of a session, told from its events alone."""

from datetime import timedelta

import pytest

from stenograph_events import AnyEvent
from stenograph_events.testing import (
    assistant_message,
    log,
    raw,
    session_created,
    tool_answer_rejected,
    tool_outcome_unknown,
    tool_requested,
    tool_succeeded,
    trigger_queued,
    turn_cancel_requested,
    turn_finished,
    turn_started,
    user_message,
)
from stenograph_services.cli.story import Story, Told, duration, summary
from stenograph_services.cli.timeline import Timeline


def told(*events: AnyEvent) -> list[Told]:
    story = Story()
    return [story.tell(event) for event, _ in log(*events)]


def test_a_call_is_told_by_its_tool_and_how_long_it_took():
    *_, result, late = told(
        session_created(),
        turn_started(),
        assistant_message("Let me look.", calls=["c1"]),
        tool_requested("c1"),
        tool_succeeded("c1", result=raw({"plan": "pro"})),
        tool_answer_rejected("c1"),
    )

    assert (result.what, result.text, result.took) == ("get-user-account ok", '{"plan":"pro"}', timedelta(seconds=1))
    assert late.what.startswith("get-user-account: an answer was rejected")


def test_a_turn_is_told_by_its_number_and_how_long_it_took():
    *_, finished, queued, started = told(
        session_created(),
        turn_started("t1", input=raw({"USER_MESSAGE": "Hi", "SEATS": 3})),
        user_message("Hi", turn="t1"),
        turn_finished("t1"),
        trigger_queued("t2"),
        turn_started("t2"),
    )

    assert (finished.what, finished.took) == ("turn 1 completed", timedelta(seconds=2))
    assert "waits for the running turn" in queued.what
    assert (started.what, started.took) == ("turn 2: user-message", timedelta(seconds=1))


def test_what_a_person_has_to_look_at_is_told_as_bad():
    unknown = told(session_created(), turn_started(), tool_requested("c1"), tool_outcome_unknown("c1"))[-1]
    cancel = told(session_created(), turn_cancel_requested("t9-of-long-ago"))[-1]

    assert (unknown.mood, unknown.what) == ("bad", "get-user-account began and never answered")
    assert cancel.what == "turn t9-of-lo… shall be cancelled"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"), (0.0334, "33ms"), (0.9996, "1s"), (1.6249, "1.62s"), (59.94, "59.9s"), (59.96, "60s"),
        (243, "4m03s"), (7_500, "2h05m"), (273_600, "3d04h"),
    ],
)  # fmt: skip
def test_a_duration_is_as_exact_as_a_person_wants_it(seconds: float, text: str):
    assert duration(timedelta(seconds=seconds)) == text


def test_a_line_keeps_to_the_width_of_the_terminal_and_shows_no_control_characters():
    lines = [
        line.plain
        for event in told(session_created(), turn_started(), user_message("\x1b[2J漢字 " * 40))
        for line in Timeline(90).lines(event)
    ]

    assert max(map(len, lines)) <= 90
    assert not any("\x1b" in line for line in lines)


def test_a_summary_counts_what_a_log_amounts_to():
    events = [event for event, _ in log(session_created(), turn_started(), tool_requested("c1"), tool_succeeded("c1"))]

    assert summary(events) == "4 events, 1 turn, 1 tool call"
