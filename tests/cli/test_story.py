"""The story of a session, told from its events alone."""

from datetime import timedelta
from decimal import Decimal

import pytest

from stenograph_events import AnyEvent, child_session_id, type_of
from stenograph_events.testing import (
    CHILD,
    assistant_message,
    budget_exceeded,
    budget_raised,
    child_requested,
    log,
    messages_rolled_back,
    model_failed,
    parent,
    raw,
    restored_message,
    session_cleared,
    session_created,
    session_expired,
    session_restored,
    summary_requested,
    thread_compacted,
    thread_started,
    tool_answer_rejected,
    tool_answered,
    tool_cancelled,
    tool_outcome_unknown,
    tool_requested,
    tool_succeeded,
    trigger_queued,
    turn_cancel_requested,
    turn_finished,
    turn_started,
    user_message,
)
from stenograph_events.values import FilePart, OfferedTool, Sender, TextPart, Usage
from stenograph_services.cli.story import Story, Told, duration, summary
from stenograph_services.cli.timeline import Timeline


def told(*events: AnyEvent) -> list[Told]:
    story = Story()
    return [story.tell(event) for event, _ in log(*events)]


def test_a_trigger_is_told_with_its_sender_and_the_tools_that_it_offers():
    tools = tuple(OfferedTool(name) for name in ("look", "files__search", "files__read", "files__write"))

    _, started, queued = told(
        session_created(),
        turn_started(tools=tools, sender=Sender("u-7", "Ada")),
        trigger_queued(tools=tools[:1], sender=Sender("u-8")),
    )

    assert started.what == "turn 1: user-message of Ada with look, files__search, files__read and 1 more"
    assert queued.what == "user-message of u-8 with look waits for the running turn"


def test_what_happens_between_turns_is_told():
    _, *events = told(
        session_created(),
        session_expired(),
        session_restored(submitted=4, differing=1),
        messages_rolled_back(2),
        messages_rolled_back(0),
        session_cleared(),
        session_restored(2, messages=(restored_message(),)),
    )

    assert [one.what for one in events] == [
        "expired: idle for 1d00h",
        "restored, given 4 messages, 1 of them unlike those of the log",
        "messages rolled back to event 2",
        "messages rolled back to the beginning",
        "cleared: its messages, variables and resources are shown no more",
        "restored with 1 message that a client had kept",
    ]


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
    ("event", "line"),
    [
        (
            session_created(CHILD, parent=parent()),
            "created from researcher v1, for a call of session 7b0193a5…  ",
        ),
        (
            thread_started("research", settings={"model": raw("openai/a"), "max_steps": raw(5)}),
            "thread research begins  model: openai/a, max_steps: 5",
        ),
        (
            child_requested("c2", arguments=raw({"TOPIC": "plans"})),
            'researcher runs in session SHORT…  {"TOPIC":"plans"}',
        ),
        (summary_requested(3, "c2"), "summarizer sums up thread main to event 3 in session SHORT…  {}"),
        (thread_compacted(3), "thread main summed up to event 3  They said hello."),
        (tool_answered("c1", result=raw("# Plans")), 'get-user-account ok  "# Plans"'),
        (tool_cancelled("c1"), "get-user-account cancelled  "),
        (
            budget_exceeded(
                "session", unit="cost", allowed=Decimal("0.5"), used=Decimal("0.49"), wanted=Decimal("0.02")
            ),
            "turn 1 waits for a budget  "
            "the session's budget allows $0.50: $0.49 used, at least $0.02 more needed for the next answer",
        ),
        (budget_raised("turn", tokens=20_000), "the turn's budget raised  20,000 tokens"),
        (
            model_failed(2, backup=True, model="openai/b"),
            "openai/b failed as backup, attempt 2  overloaded: The model is overloaded.",
        ),
        (
            assistant_message("Well", response_type="Plan", rejected="it is no JSON"),
            "assistant rejected  it is no JSON: Well",
        ),
        (assistant_message("Hi", backup=True, model="openai/b"), "assistant by backup openai/b  Hi"),
        (
            user_message(parts=(TextPart("Look"), FilePart("f1", "image/png", "https://files/f1", "plan.png"))),
            "user  Look [plan.png]",
        ),
        (turn_finished(output=raw({"seats": 12}), parent=parent()), 'turn 1 completed  {"seats":12}'),
    ],
    ids=lambda value: "" if isinstance(value, str) else type_of(value),
)
def test_each_event_is_told_in_one_sentence(event: AnyEvent, line: str):
    before: list[AnyEvent] = [session_created(id="s"), turn_started(), assistant_message(calls=["c1"], id="m")]

    last = told(*before, event)[-1]

    assert f"{last.what}  {last.text}" == line.replace("SHORT", child_session_id("c2")[:8])


def test_what_crosses_to_a_child_agent_has_a_class_that_fits_its_column():
    events = told(session_created(), turn_started(), child_requested("c1"), turn_finished(parent=parent()))

    lines = [list(Timeline(120).lines(event))[-1].plain for event in events]

    assert [event.event_class for event in events] == ["session", "turn", "child-request", "child-end"]
    assert len({line.index(event.what) - 2 * event.depth for line, event in zip(lines, events, strict=True)}) == 1


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


def test_a_summary_says_what_models_cost_where_that_is_known():
    asked: list[AnyEvent] = [
        model_failed(1, usage=Usage(100), cost_usd=Decimal("0.001")),
        assistant_message("Hi", usage=Usage(110, 5), cost_usd=Decimal("0.0021")),
    ]

    assert summary(asked) == "2 events, 0 turns, 0 tool calls, 210 + 5 tokens, $0.0031"
