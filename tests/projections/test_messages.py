"""Messages: what a person reads of a session."""

from hypothesis import given
from tests.support.logs import logs, rebuild

from stenograph_events import AnyEvent
from stenograph_events.testing import (
    START,
    TOOL,
    assistant_message,
    log,
    message_added,
    raw,
    session_created,
    tool_call,
    tool_failed,
    tool_refused,
    tool_requested,
    tool_succeeded,
    tool_timed_out,
    turn_finished,
    turn_started,
    user_message,
)
from stenograph_events.types import BlobRef, ReasoningPart, TextPart
from stenograph_projections.messages import ShownCall, ShownMessage, ShownReasoning, ShownText, shown
from stenograph_projections.transcript import entry_of

STARTED: list[AnyEvent] = [session_created(), turn_started(), user_message("What plan am I on?")]


def read(*events: AnyEvent) -> list[ShownMessage]:
    sealed = [event for event, _ in log(*events)]
    return shown([entry for event in sealed if (entry := entry_of(event))], rebuild(sealed))


def test_a_turn_is_what_the_user_said_and_one_answer():
    question, answer = read(
        *STARTED,
        assistant_message(
            parts=[ReasoningPart("The account says."), TextPart("Let me look.")],
            calls=[tool_call("c1", arguments=raw({"userId": "user-123"}))],
        ),
        tool_requested("c1"),
        tool_succeeded("c1", result=raw({"plan": "pro"})),
        assistant_message("The pro plan.", step=1),
        turn_finished(),
    )

    assert (question.id, question.role, question.status) == ("t1.message.0.0", "user", "done")
    assert question.parts == (ShownText("What plan am I on?"),)
    assert (answer.id, answer.role, answer.status) == ("t1.message.1.0", "assistant", "done")
    assert (answer.created_at - START).seconds == 4
    assert answer.parts == (
        ShownReasoning("The account says."),
        ShownText("Let me look."),
        ShownCall("c1", TOOL, raw({"userId": "user-123"}), "done", raw({"plan": "pro"})),
        ShownText("The pro plan."),
    )


def test_each_turn_has_an_answer_of_its_own():
    messages = read(
        *STARTED,
        assistant_message("One."),
        turn_finished(),
        turn_started("t2"),
        user_message("And now?", turn="t2"),
        assistant_message("Two.", turn="t2"),
        turn_finished("t2"),
    )

    assert [(message.turn, message.role) for message in messages] == [
        ("t1", "user"),
        ("t1", "assistant"),
        ("t2", "user"),
        ("t2", "assistant"),
    ]


def test_two_turns_without_a_visible_question_are_two_answers():
    messages = read(
        session_created(),
        turn_started("t1"),
        assistant_message("One."),
        turn_finished("t1"),
        turn_started("t2"),
        assistant_message("Two.", turn="t2"),
        turn_finished("t2"),
    )

    assert [message.turn for message in messages] == ["t1", "t2"]


def test_what_only_the_model_reads_is_left_out():
    messages = read(
        session_created(),
        turn_started(),
        message_added("You are kind.", role="system"),
        message_added("The user is Ada.", block=1, visible=False),
        assistant_message("Hidden thoughts", block=2, visible=False, calls=["c1"]),
        tool_refused("c1"),
        assistant_message("Hello Ada.", block=3),
    )

    assert [message.parts for message in messages] == [(ShownText("Hello Ada."),)]


def test_a_call_is_pending_then_running_then_done_or_an_error():
    asked = [*STARTED, assistant_message(calls=["c1"])]

    def call(*more: AnyEvent) -> ShownCall:
        part = read(*asked, *more)[-1].parts[-1]
        assert isinstance(part, ShownCall)
        return part

    assert call().status == "pending"
    assert call(tool_requested()).status == "running"
    assert call(tool_requested(), tool_succeeded()).status == "done"
    failed = call(tool_requested(), tool_failed(error="No such user."))
    assert (failed.status, failed.error, failed.result) == ("error", "No such user.", None)


def test_a_call_that_is_tried_again_runs_again_and_shows_its_last_answer():
    again = [*STARTED, assistant_message(calls=["c1"]), tool_requested(), tool_timed_out(), tool_requested(attempt=2)]

    [running] = read(*again)[-1].parts
    [done] = read(*again, tool_succeeded(attempt=2))[-1].parts

    assert isinstance(running, ShownCall)
    assert isinstance(done, ShownCall)
    assert (running.status, running.error) == ("running", None)
    assert (done.status, done.result) == ("done", raw({"plan": "pro"}))


def test_a_large_result_is_shown_by_its_reference():
    ref = BlobRef("ab12", 300_000)

    [part] = read(*STARTED, assistant_message(calls=["c1"]), tool_requested(), tool_succeeded(result_ref=ref))[-1].parts

    assert isinstance(part, ShownCall)
    assert part.ref == ref


def test_the_call_of_a_block_is_part_of_the_answer():
    messages = read(*STARTED, tool_requested("c1", block=1), tool_succeeded("c1"), assistant_message("Pro.", block=2))

    assert messages[-1].id == "c1"
    assert [type(part) for part in messages[-1].parts] == [ShownCall, ShownText]


def test_only_the_answer_of_the_running_turn_is_streaming():
    running = read(*STARTED, assistant_message("One."), turn_finished(), turn_started("t2"))
    answering = read(*STARTED, assistant_message("Let me look.", calls=["c1"]), tool_requested())

    assert [message.status for message in running] == ["done", "done"]
    assert [message.status for message in answering] == ["done", "streaming"]


def test_a_thread_other_than_main_is_named_on_its_parts():
    parts = read(*STARTED, assistant_message("Hm.", thread="research", calls=["c1"]))[-1].parts

    assert [part.thread for part in parts] == ["research", "research"]


@given(logs())
def test_every_visible_word_is_shown_once_and_every_call_of_an_ended_session_is_answered(events: list[AnyEvent]):
    messages = read(*events)
    parts = [part for message in messages for part in message.parts]

    assert len({message.id for message in messages}) == len(messages)
    assert all(message.status == "done" for message in messages)
    assert all(part.status in ("done", "error") for part in parts if isinstance(part, ShownCall))
    assert [part.text for part in parts if isinstance(part, ShownText)] == [
        part.text
        for event in events
        if (entry := entry_of(event)) and getattr(entry, "visible", False)
        for part in getattr(entry, "parts", ())
    ]
