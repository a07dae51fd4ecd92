"""Messages: what a person reads of a session."""

import pytest
from hypothesis import given
from tests.support.logs import logs, rebuild

from stenograph_events import AnyEvent, child_session_id
from stenograph_events.testing import (
    CHILD,
    START,
    TOOL,
    assistant_message,
    child_requested,
    log,
    message_added,
    raw,
    session_created,
    summary_requested,
    thread_compacted,
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
from stenograph_events.values import (
    BlobRef,
    FilePart,
    ReasoningPart,
    TextPart,
)
from stenograph_projections.messages import (
    ShownCall,
    ShownChild,
    ShownFile,
    ShownMessage,
    ShownObject,
    ShownReasoning,
    ShownText,
    read_by_people,
    shown,
)
from stenograph_projections.transcript import Message, Reply, entry_of, standing

STATUSES = {"succeeded": "done", "cancelled": "cancelled"} | dict.fromkeys(
    ("failed", "timed-out", "unknown", "refused"), "error"
)
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

    assert [type(part) for part in parts] == [ShownText, ShownCall]
    assert [getattr(part, "thread", None) for part in parts] == ["research", "research"]


# ---- files, objects and child agents


def test_a_file_is_shown_where_it_was_said():
    file = FilePart("f1", "image/png", "https://files/f1", "plan.png", 2048)

    [message] = read(session_created(), turn_started(), user_message(parts=(TextPart("Look"), file)))

    assert message.parts == (ShownText("Look"), ShownFile(file))


@pytest.mark.parametrize(
    ("ui", "part"),
    [
        ("The pro plan", ShownText("The pro plan")),
        ({"type": "plan-choice", "plan": "pro"}, "plan-choice"),
        ({"plan": "pro"}, "object"),
        ([1, 2], "object"),
    ],
)
def test_people_see_the_content_of_a_block_in_place_of_what_the_model_reads(ui: object, part: ShownText | str):
    [message] = read(session_created(), turn_started(), user_message("The user chose pro.", ui=raw(ui)))

    id = message.id
    assert message.parts == ((ShownObject(id, part, raw(ui)) if isinstance(part, str) else part),)


def test_a_file_is_seen_beside_the_content_of_its_block():
    file = FilePart("f1", "image/png", "https://files/f1")

    [message] = read(session_created(), turn_started(), user_message(parts=(TextPart("Hm"), file), ui=raw("My plan")))

    assert message.parts == (ShownFile(file), ShownText("My plan"))


def test_an_answer_of_a_declared_type_is_an_object():
    thought = ReasoningPart("Pro, I think.")

    answer = read(*STARTED, assistant_message(parts=[thought, TextPart('{"plan":"pro"}')], response_type="Plan"))[-1]

    assert answer.parts == (ShownReasoning("Pro, I think."), ShownObject(answer.id, "Plan", raw({"plan": "pro"})))


def test_what_there_is_of_a_cancelled_object_is_text():
    partial = assistant_message('{"plan', response_type="Plan", finish_reason="cancelled")

    assert read(*STARTED, partial)[-1].parts == (ShownText('{"plan'),)


def test_nobody_sees_an_answer_that_was_rejected():
    rejected = assistant_message("Well, pro", response_type="Plan", rejected="it is no JSON")

    messages = read(*STARTED, rejected, assistant_message('{"plan":"pro"}', step=1, response_type="Plan"))

    assert [type(part) for message in messages for part in message.parts] == [ShownText, ShownObject]


def test_an_independent_answer_is_seen_only_as_that_of_a_thread_of_its_own():
    messages = read(
        *STARTED,
        assistant_message("For a variable", independent=True),
        assistant_message("For the researcher", block=2, thread="research", independent=True),
        assistant_message("Hello!", block=3),
    )

    assert messages[-1].parts == (ShownText("For the researcher", "research"), ShownText("Hello!"))


def test_a_child_agent_is_shown_with_its_session_and_what_became_of_it():
    asked = [*STARTED, assistant_message(calls=[tool_call("c1", CHILD, arguments=raw({"TOPIC": "plans"}))])]
    running = [*asked, child_requested("c1", arguments=raw({"TOPIC": "plans"}))]

    def child_of(*events: AnyEvent) -> ShownChild:
        part = read(*events)[-1].parts[-1]
        assert isinstance(part, ShownChild)
        return part

    assert isinstance(read(*asked)[-1].parts[-1], ShownCall)
    assert (child_of(*running).agent, child_of(*running).session) == (CHILD, child_session_id("c1"))
    assert (child_of(*running).status, child_of(*running).arguments) == ("running", raw({"TOPIC": "plans"}))
    assert child_of(*running, tool_succeeded(result=raw("Pro."))).result == raw("Pro.")
    assert child_of(*running, tool_failed(error="It failed.")).error == "It failed."


def test_a_child_agent_that_a_block_runs_is_part_of_the_answer():
    messages = read(*STARTED, child_requested("c1", block=1), tool_succeeded("c1"), assistant_message("Pro.", block=2))

    assert messages[-1].id == "c1"
    assert [type(part) for part in messages[-1].parts] == [ShownChild, ShownText]


def test_a_call_to_sum_up_a_thread_is_nothing_that_people_see():
    summary = tool_succeeded("s1", result=raw("They said hello."))
    summed_up: list[AnyEvent] = [summary_requested(3), summary, thread_compacted(3)]

    assert [message.role for message in read(*STARTED, *summed_up)] == ["user"]


# ---- whatever happens


@given(logs())
def test_every_word_for_people_is_shown_once_and_every_call_of_an_ended_session_is_answered(events: list[AnyEvent]):
    messages = read(*events)
    parts = [part for message in messages for part in message.parts]
    counting = standing(entry for event, _ in log(*events) if (entry := entry_of(event)))
    said = [entry for entry in counting if isinstance(entry, Message) and read_by_people(entry)]

    assert len({message.id for message in messages}) == len(messages)
    assert all(message.status == "done" for message in messages)
    outcomes = {entry.call: entry.outcome for entry in counting if isinstance(entry, Reply)}
    called = [part for part in parts if isinstance(part, ShownCall | ShownChild)]
    assert [part.status for part in called] == [STATUSES[outcomes[part.call]] for part in called]
    assert [part.text for part in parts if isinstance(part, ShownText)] == [
        part.text
        for message in said
        if message.ui is None and message.response_type is None
        for part in message.parts
        if isinstance(part, TextPart)
    ]
    objects = [message.id for message in said if message.ui is not None or message.response_type is not None]
    assert [part.id for part in parts if isinstance(part, ShownObject)] == objects
