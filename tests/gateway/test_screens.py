"""The messages of a session, as a screen takes them and as the full state has them."""

import json
from typing import Any

import pytest
from msgspec.structs import replace
from tests.gateway.playing import KNOWN
from tests.support.small_agent import compiled

from stenograph_events.testing import (
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
    tool_answered,
    tool_call,
    tool_failed,
    tool_refused,
    tool_succeeded,
    turn_finished,
    turn_started,
    user_message,
)
from stenograph_events.types import AnyEvent
from stenograph_events.values import FilePart, ReasoningPart, TextPart
from stenograph_projections import session as fold
from stenograph_projections.messages import shown
from stenograph_projections.session import Session
from stenograph_projections.transcript import Entry, entry_of
from stenograph_services.gateway.http.shapes import answer
from stenograph_services.gateway.stored.chat import chat_session
from stenograph_services.gateway.stored.ui import ui_messages
from stenograph_services.gateway.stream.operations import operations
from stenograph_services.gateway.wire.versions import Wire
from stenograph_services.protocol.agent import NextMessage, SerializeThread, SetResource

IMAGE = FilePart("f1", "image/png", "https://files/f1", "a.png", 12)


def folded(*events: AnyEvent) -> tuple[Session, list[Entry]]:
    """Return a session in which `events` follow on the start of turn t1."""
    state: Session | None = None
    entries: list[Entry] = []
    for event, _ in log(session_created(), turn_started(), *events):
        state = fold.apply(state, event)
        if entry := entry_of(event):
            entries.append(entry)
    assert state is not None
    return state, entries


def screen(*events: AnyEvent) -> list[dict[str, Any]]:
    """Return the parts of all messages on a screen."""
    state, entries = folded(*events)
    messages: list[dict[str, Any]] = json.loads(bytes(answer(ui_messages(shown(entries, state), KNOWN)).body))
    return [part for message in messages for part in message["parts"]]


def full_state(*events: AnyEvent) -> list[dict[str, Any]]:
    """Return the messages of the full state."""
    state, entries = folded(*events)
    body = json.loads(bytes(answer(chat_session(state, entries, compiled(), "id")).body))
    messages: list[dict[str, Any]] = body["messages"]
    return messages


def test_what_a_block_did_that_set_something_is_an_operation_in_the_answer_that_it_is_of():
    """Not in the full state of version 2.0.0; not where its display is hidden, nor for a turn that answers nothing."""
    save = SetResource(name="Save", resource="PLAN", value="PLAN")
    write = SerializeThread(name="Write", output="TALK", thread="research", title="Writing it down")
    hidden = SetResource(name="Hide", resource="PLAN", value="PLAN", display="hidden")
    agent = replace(compiled(), handlers={"user-message": (save, hidden, NextMessage(name="Answer"), write)})
    done = [block_finished(at, trigger="user-message", resources={"PLAN": raw(1)}) for at in (0, 1)]
    written = block_finished(3, trigger="user-message", variables={"TALK": raw("…")})
    state, entries = folded(
        user_message("Hi"), *done, assistant_message("Hello", block=2), written, turn_finished(),
        turn_started("t2"), block_finished(0, turn="t2", trigger="user-message", resources={"PLAN": raw(2)}),
        turn_finished(turn="t2"),
    )  # fmt: skip
    saved = {"operationId": "t1/0", "name": "Save", "operationType": "set-resource", "status": "done"}
    noted = {
        "operationId": "t1/3", "name": "Writing it down", "operationType": "serialize-thread", "status": "done"
    }  # fmt: skip

    for wire in Wire:
        stored = ui_messages(shown(entries, state), {}, wire, operations=operations(agent))
        whole = json.loads(bytes(answer(chat_session(state, entries, agent, "id", wire)).body))["messages"]
        [_, answered] = json.loads(bytes(answer(stored).body))
        assert [part for part in answered["parts"] if part["type"] != "step-start"] == [
            {"type": "operation", **saved},
            {"type": "text", "text": "Hello", "status": "done"},
            {"type": "operation", **noted, "thread": "research"},
        ]
        assert answered["id"] == whole[1]["id"] == "t1.message.2.0"
        assert [part for part in whole[1]["parts"] if part["type"] == "operation"] == (
            [
                {"type": "operation", "visible": True, "operation": saved},
                {"type": "operation", "visible": True, "operation": noted, "thread": "research"},
            ]
            if wire is Wire.FULL
            else []
        )


def test_an_answer_of_a_declared_type_is_an_object():
    typed = assistant_message(
        parts=[ReasoningPart("Hm."), TextPart('{"plan":"pro"}')], response_type="Plan", thread="research"
    )

    [thought, found] = screen(typed)
    [message] = full_state(typed)

    assert thought["type"] == "reasoning"
    assert found == {
        "type": "object",
        "id": "t1.message.1.0",
        "typeName": "Plan",
        "object": {"plan": "pro"},
        "status": "done",
        "thread": "research",
    }
    assert message["parts"][1] == {
        "type": "object",
        "visible": True,
        "object": {"id": "t1.message.1.0", "typeName": "Plan", "value": {"plan": "pro"}},
        "thread": "research",
    }
    assert message["content"] == '{"plan":"pro"}'


def test_an_answer_that_was_rejected_is_for_the_model_alone():
    rejected = assistant_message("{plan", response_type="Plan", rejected="it is no JSON")

    assert screen(rejected) == []
    [message] = full_state(rejected)
    assert (message["visible"], message["parts"]) == (False, [{"type": "text", "visible": False, "content": "{plan"}])


def test_a_typed_answer_that_was_cut_off_is_text():
    assert screen(assistant_message('{"pl', response_type="Plan"))[0]["type"] == "text"


@pytest.mark.parametrize("thread", ["main", "research"])
def test_an_independent_answer_is_shown_only_in_a_thread_of_its_own(thread: str):
    answered = assistant_message("Tides.", thread=thread, independent=True)

    assert [part["text"] for part in screen(answered)] == ([] if thread == "main" else ["Tides."])
    assert full_state(answered)[0]["visible"] is (thread != "main")


def test_people_see_the_content_of_a_message_and_its_files_and_the_model_its_prompt():
    card = message_added("for models", ui=raw({"type": "card", "plan": "pro"}), parts=(TextPart("for models"), IMAGE))
    plain = message_added("for models", ui=raw("for people"), step=1)

    assert screen(card) == [
        {
            "type": "file",
            "id": "f1",
            "mediaType": "image/png",
            "url": "https://files/f1",
            "filename": "a.png",
            "size": 12,
        },
        {
            "type": "object",
            "id": "t1.message.0.0",
            "typeName": "card",
            "object": {"type": "card", "plan": "pro"},
            "status": "done",
        },
    ]
    assert screen(plain) == [{"type": "text", "text": "for people", "status": "done"}]
    [message] = full_state(card)
    assert [(part["type"], part["visible"]) for part in message["parts"]] == [
        ("text", False),
        ("file", True),
        ("object", True),
    ]
    assert message["content"] == "for models"


def test_a_child_agent_that_a_model_asked_for_is_a_call_with_its_name():
    call = tool_call("c1", "researcher", arguments=raw({"TOPIC": "tides"}))
    events = (
        assistant_message(calls=[call]),
        child_requested("c1", arguments=raw({"TOPIC": "tides"})),
        tool_succeeded("c1", result=raw("High.")),
    )

    [part] = screen(*events)
    [message] = full_state(*events)

    assert part == {
        "type": "tool-call",
        "toolCallId": "c1",
        "toolName": "researcher",
        "displayName": "Research",
        "args": {"TOPIC": "tides"},
        "result": "High.",
        "status": "done",
    }
    assert message["toolCalls"][0]["result"] == "High."


@pytest.mark.parametrize(
    ("after", "status"), [((), "running"), ((tool_succeeded("c1"),), "done"), ((tool_failed("c1"),), "done")]
)
def test_a_child_agent_that_a_block_runs_is_an_operation(after: tuple[AnyEvent, ...], status: str):
    [part] = screen(child_requested("c1", block=0), *after)
    [message] = full_state(child_requested("c1", block=0), *after)

    assert part == {
        "type": "operation",
        "operationId": "c1",
        "name": "Research",
        "operationType": "run-worker",
        "status": status,
    }
    assert message["toolCalls"][0]["name"] == "researcher"


def test_the_list_of_things_to_do_is_not_on_the_screen():
    calls = [tool_call("c1", "octavus_todo_write"), tool_call("c2", "octavus_reference_read")]

    parts = screen(assistant_message(calls=calls), tool_answered("c1"), tool_answered("c2", "octavus_reference_read"))

    assert [(part["toolName"], part["status"]) for part in parts] == [("octavus_reference_read", "done")]


def test_a_summary_for_models_changes_nothing_of_what_people_read():
    events = (user_message("Hi"), summary_requested(3), tool_succeeded("s1", result=raw("They said hello.")))

    assert screen(*events, thread_compacted(3)) == screen(user_message("Hi"))
    assert len(full_state(*events, thread_compacted(3))) == 1


def test_what_was_said_in_a_thread_stays_when_the_thread_begins_anew():
    said = assistant_message("Tides.", thread="research", block=0)

    assert len(screen(said, thread_started(block=1), turn_finished())) == 1


def test_every_part_leaves_out_what_it_has_not():
    refused = (assistant_message("Let me look.", calls=["c1"]), tool_refused("c1"))
    bare = message_added(parts=(FilePart("f1", "image/png", "https://files/f1"),))

    assert "null" not in json.dumps([screen(*refused, bare), full_state(*refused, bare)])
