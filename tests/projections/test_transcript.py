"""The transcript: what was said, in log order."""

import msgspec
import pytest

from stenograph_events import AnyEvent, child_session_id, type_of
from stenograph_events.testing import (
    CHILD,
    assistant_message,
    block_finished,
    child_requested,
    log,
    message_added,
    raw,
    session_created,
    summary_requested,
    thread_compacted,
    thread_started,
    tool_answer_rejected,
    tool_answered,
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
from stenograph_events.values import BlobRef, FilePart, TextPart
from stenograph_projections.threads import thread
from stenograph_projections.transcript import (
    BlockCall,
    ChildCall,
    Compacted,
    Entry,
    Message,
    Reply,
    Started,
    entry_of,
)


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


def test_a_message_survives_its_bytes_with_all_that_people_and_models_see_of_it():
    file = FilePart("f1", "image/png", "https://files/f1", "plan.png", 2048)
    shown = user_message(parts=(TextPart("Look"), file), ui=raw({"plan": "pro"}))
    typed = assistant_message("{}", response_type="Plan", independent=True)
    said = entries(shown, typed, assistant_message("Well", response_type="Plan", rejected="it is no JSON", step=1))

    assert msgspec.json.decode(msgspec.json.encode(said), type=list[Entry]) == said
    assert [getattr(entry, "ui", None) for entry in said] == [raw({"plan": "pro"}), None, None]


def test_what_happens_to_threads_and_child_agents_survives_its_bytes():
    said = entries(child_requested("c1"), thread_started("research"), thread_compacted(3), tool_answered("c2"))

    assert [type(entry) for entry in said] == [ChildCall, Started, Compacted, Reply]
    assert msgspec.json.decode(msgspec.json.encode(said), type=list[Entry]) == said


def test_a_child_agents_call_is_a_models_or_a_blocks():
    by_model, by_block = entries(child_requested("c1"), child_requested("c2", block=2))

    assert isinstance(by_model, ChildCall)
    assert isinstance(by_block, ChildCall)
    assert (by_model.by_model, by_block.by_model) == (True, False)
    assert (by_model.agent, by_model.session) == (CHILD, child_session_id("c1"))


def test_a_call_to_sum_up_is_nothing_that_anybody_said():
    assert entries(summary_requested(3)) == []


def test_what_a_tool_of_our_own_answers_is_a_result():
    [_, reply] = thread(entries(assistant_message(calls=["c1"]), tool_answered("c1", result=raw("# Plans"))), "main")

    assert isinstance(reply, Reply)
    assert (reply.outcome, reply.value) == ("succeeded", raw("# Plans"))
