"""The transcript: what a model reads of a thread."""

import msgspec
import pytest

from stenograph_events import AnyEvent, type_of
from stenograph_events.testing import (
    assistant_message,
    block_finished,
    log,
    message_added,
    raw,
    session_created,
    tool_answer_rejected,
    tool_cancelled,
    tool_failed,
    tool_outcome_unknown,
    tool_refused,
    tool_requested,
    tool_succeeded,
    tool_timed_out,
    turn_finished,
    turn_started,
    user_message,
)
from stenograph_events.types import BlobRef
from stenograph_projections.transcript import BlockCall, Entry, Message, Reply, Threads, entry_of, thread


def entries(*events: AnyEvent) -> list[Entry]:
    return [entry for event, _ in log(*events) if (entry := entry_of(event))]


def test_a_thread_is_its_messages_and_the_answers_to_their_calls_in_order():
    view = thread(
        entries(
            session_created(),
            turn_started(),
            user_message("What plan am I on?"),
            assistant_message("Let me look.", calls=["c1"]),
            tool_requested("c1"),
            tool_succeeded("c1", result=raw({"plan": "pro"})),
            assistant_message("The pro plan.", step=1),
            turn_finished(),
        ),
        "main",
    )

    assert [(type(entry).__name__, entry.n) for entry in view] == [
        ("Message", 3),
        ("Message", 4),
        ("Reply", 6),
        ("Message", 7),
    ]
    reply = view[2]
    assert isinstance(reply, Reply)
    assert (reply.call, reply.outcome, reply.value) == ("c1", "succeeded", raw({"plan": "pro"}))


def test_threads_do_not_see_each_other():
    said = entries(
        user_message("Hello"),
        assistant_message("Let me think.", thread="research", calls=["c1"]),
        tool_succeeded("c1"),
    )

    assert [entry.n for entry in thread(said, "main")] == [1]
    assert [entry.n for entry in thread(said, "research")] == [2, 3]


def test_what_people_do_not_see_is_read_by_the_model():
    [message] = thread(entries(message_added("Be brief.", role="system", visible=False)), "main")

    assert isinstance(message, Message)
    assert (message.role, message.visible) == ("system", False)


def test_the_call_of_a_block_is_in_no_thread():
    said = entries(tool_requested("c1", block=2), tool_succeeded("c1"))

    assert [type(entry) for entry in said] == [BlockCall, Reply]
    assert thread(said, "main") == []


@pytest.mark.parametrize(
    ("event", "outcome", "text"),
    [
        (tool_failed(error="No such user."), "failed", "No such user."),
        (tool_timed_out(), "timed-out", "The tool did not answer before its deadline."),
        (tool_outcome_unknown(), "unknown", "The tool began and did not answer. Whether it took effect is unknown."),
        (tool_refused(error="userId is missing."), "refused", "userId is missing."),
        (tool_cancelled(), "cancelled", "The call was cancelled."),
    ],
    ids=lambda value: "" if isinstance(value, str) else type_of(value),
)
def test_a_call_without_a_result_is_answered_with_a_sentence(event: AnyEvent, outcome: str, text: str):
    [_, reply] = thread(entries(assistant_message(calls=["c1"]), event), "main")

    assert isinstance(reply, Reply)
    assert (reply.outcome, reply.value) == (outcome, raw(text))


def test_a_large_result_is_a_reference():
    [reply] = entries(tool_succeeded(result_ref=BlobRef("ab12", 300_000)))

    assert isinstance(reply, Reply)
    assert reply.ref == BlobRef("ab12", 300_000)


def test_what_nobody_said_is_in_no_transcript():
    silent: list[AnyEvent] = [session_created(), turn_started(), tool_requested(), tool_answer_rejected()]

    assert entries(*silent, block_finished(), turn_finished()) == []


def test_an_entry_survives_its_bytes():
    said = entries(user_message("Hi"), assistant_message("Hm", calls=["c1"]), tool_requested("c2", block=3))
    said += entries(tool_succeeded("c1"), tool_succeeded("c2", result_ref=BlobRef("ab12", 300_000)))

    assert msgspec.json.decode(msgspec.json.encode(said), type=list[Entry]) == said


def test_a_thread_that_is_viewed_again_reads_on_where_it_stopped():
    """To read 4,000 entries anew at each question made turn 1,000 cost 1.7 times turn 1."""
    growing = entries(user_message("Hi"), assistant_message(calls=["c1"]))
    threads = Threads(growing)
    before = threads.view("main")

    growing += entries(tool_succeeded("c1"), assistant_message("Pro."), message_added("Aside", thread="research"))

    assert len(before) == 2
    assert threads.view("main") == thread(growing, "main")
    assert threads.view("research") == thread(growing, "research")
    assert not threads.refer_to_blobs


def test_threads_tell_whether_a_reply_lies_elsewhere():
    said = entries(assistant_message(calls=["c1"]), tool_succeeded("c1", result_ref=BlobRef("a" * 64, 300_000)))
    threads = Threads(said)

    threads.view("main")

    assert threads.refer_to_blobs
