"""What the blocks of a handler put into a turn's stream: their starts and ends, threads, types, children, files."""

import pytest
from msgspec import Raw
from tests.gateway.playing import add, only, said, stream_of, text_of, thought

from stenograph_events.testing import (
    assistant_message,
    block_finished,
    budget_raised,
    child_requested,
    message_added,
    raw,
    summary_requested,
    thread_compacted,
    thread_started,
    tool_answered,
    tool_call,
    tool_cancelled,
    tool_failed,
    tool_refused,
    tool_requested,
    tool_succeeded,
    turn_finished,
    turn_started,
    user_message,
)
from stenograph_events.values import (
    FilePart,
    Part,
    ReasoningPart,
    TextPart,
)
from stenograph_services.gateway.stream.callees import Callee
from stenograph_services.gateway.stream.sse import TurnStream
from stenograph_services.protocol.agent import (
    AddMessage,
    Block,
    NextMessage,
    NotRun,
    Prompt,
    RunChild,
    SerializeThread,
    SetResource,
    StartThread,
    ThreadSetup,
    ToolCall,
)

SETUP = ThreadSetup("openai/gpt-5", Prompt("system"))
PLAN = NextMessage(name="Answer", response_type="Plan")


@pytest.mark.parametrize(
    ("block", "type", "display"),
    [
        (add(display="name"), "add-message", "name"),
        (NextMessage(name="B"), "next-message", "stream"),
        (ToolCall(name="B", tool="t"), "tool-call", "description"),
        (RunChild(name="B", agent="researcher"), "run-worker", "stream"),
        (SetResource(name="B", resource="R", value="V"), "set-resource", "name"),
        (StartThread(name="B", thread="main", setup=SETUP, display="name"), "start-thread", "name"),
        (SerializeThread(name="B", output="V"), "serialize-thread", "name"),
        (NotRun(name="B", kind="generate-image", display="name"), "generate-image", "name"),
    ],
)
def test_each_kind_of_block_starts_under_its_name_in_the_protocol(block: Block, type: str, display: str):
    [start] = stream_of(turn_started(), handler=(block,))

    assert (start["type"], start["blockType"], start["display"]) == ("block-start", type, display)
    assert "thread" not in start


@pytest.mark.parametrize("block", [add(), StartThread(name="B", thread="main", setup=SETUP)])
def test_a_block_that_is_hidden_unless_it_says_otherwise_has_no_start(block: Block):
    assert stream_of(turn_started(), handler=(block,)) == []


def test_people_read_the_title_of_a_block_rather_than_its_description():
    both = NextMessage(name="B", title="Thinking", description="Plan the answer")
    described = NextMessage(name="B", description="Plan the answer")

    assert stream_of(turn_started(), handler=(both,))[0]["description"] == "Thinking"
    assert stream_of(turn_started(), handler=(described,))[0]["description"] == "Plan the answer"


def test_a_thread_that_starts_ends_its_block_and_the_next_one_says_that_it_is_in_it():
    handler = (
        StartThread(name="Begin", thread="research", setup=SETUP, display="name"),
        NextMessage(name="Look", thread="research"),
    )

    events = stream_of(turn_started(), thread_started(), said(1, "Tides."), handler=handler)

    assert [event["type"] for event in events] == [
        "block-start",
        "block-end",
        "block-start",
        "text-start",
        "text-delta",
    ]
    assert [event["thread"] for event in only(events, "block-start")] == ["research", "research"]


def test_what_is_said_in_another_thread_by_a_hidden_block_is_left_to_the_stored_messages():
    aside = message_added("Noted.", role="assistant", thread="research")

    assert stream_of(turn_started(), aside, handler=(add("assistant", thread="research"),)) == []


def test_a_serialized_thread_ends_its_block():
    handler = (SerializeThread(name="Keep", output="V"),)

    events = stream_of(turn_started(), block_finished(0, variables={"V": raw("…")}), handler=handler)

    assert [event["type"] for event in events] == ["block-start", "block-end"]


# ---- who it is for


def test_an_independent_answer_is_marked_and_keeps_its_thoughts_and_calls_to_itself():
    handler = (NextMessage(name="Aside", independent=True),)
    parts: list[Part] = [ReasoningPart("Hm."), TextPart("Let me see.")]

    events = stream_of(
        turn_started(),
        thought(1, "Hm."),
        said(2, "Let me see."),
        assistant_message(parts=parts, calls=["c1"], block=0, independent=True),
        tool_requested("c1"),
        tool_succeeded("c1"),
        handler=handler,
    )

    assert events[0]["outputToChat"] is False
    assert text_of(events) == "Let me see."
    assert not only(events, "reasoning", "tool")


def test_an_independent_answer_in_a_thread_of_its_own_is_shown_as_that_thread():
    handler = (NextMessage(name="Aside", independent=True, thread="research"),)
    answer = assistant_message("Tides.", block=0, thread="research", independent=True, calls=["c1"])

    events = stream_of(turn_started(), thought(1, "Hm."), answer, handler=handler)

    assert (events[0]["outputToChat"], events[0]["thread"]) == (False, "research")
    assert only(events, "reasoning")
    assert only(events, "tool")


# ---- types, files, content


def test_an_answer_of_a_declared_type_streams_its_json_as_that_type():
    events = stream_of(
        turn_started(),
        user_message(),
        said(1, '{"plan":'),
        said(2, '"pro"}'),
        assistant_message('{"plan":"pro"}', response_type="Plan"),
        handler=(add(), PLAN),
    )

    assert only(events, "text-start") == [{"type": "text-start", "id": "p1", "responseType": "Plan"}]
    assert text_of(events) == '{"plan":"pro"}'


def test_what_a_model_says_before_it_calls_a_tool_is_no_value_of_the_type():
    events = stream_of(
        turn_started(),
        user_message(),
        said(1, "Let me look."),
        assistant_message("Let me look.", calls=["c1"]),
        tool_succeeded("c1"),
        assistant_message('{"plan":"pro"}', response_type="Plan", step=1),
        handler=(add(), PLAN),
    )

    assert [event.get("responseType") for event in only(events, "text-start")] == [None, "Plan"]


def test_an_answer_that_is_rejected_closes_its_part_and_the_block_goes_on():
    rejected = assistant_message('{"plan":5}', response_type="Plan", rejected="/plan: 5 is not of type string")

    events = stream_of(
        turn_started(),
        user_message(),
        said(1, '{"plan":5}'),
        rejected,
        assistant_message('{"plan":"pro"}', response_type="Plan", step=1),
        turn_finished(),
        handler=(add(), PLAN),
    )

    assert [event["id"] for event in only(events, "text-start")] == ["p1", "p2"]
    assert len(only(events, "block")) == 2
    assert events[-1]["finishReason"] == "stop"


@pytest.mark.parametrize(
    ("ui", "type", "text"),
    [
        ("Hello", None, "Hello"),
        ({"plan": "pro"}, "object", '{"plan":"pro"}'),
        ({"type": "plan-card", "plan": "pro"}, "plan-card", '{"type":"plan-card","plan":"pro"}'),
    ],
)
def test_people_are_told_the_content_of_a_message_instead_of_its_prompt(ui: object, type: str | None, text: str):
    handler: tuple[Block, ...] = (AddMessage(name="Greet", role="assistant", prompt=Prompt("greet"), ui="CARD"),)

    events = stream_of(turn_started(), message_added("for models", role="assistant", ui=raw(ui)), handler=handler)

    assert events[0].get("responseType") == type
    assert text_of(events) == text


def test_a_file_of_an_assistants_message_is_available():
    parts: tuple[Part, ...] = (TextPart("Here."), FilePart("f1", "image/png", "https://files/f1", "a.png", 12))

    events = stream_of(turn_started(), message_added(role="assistant", parts=parts), handler=(add("assistant"),))

    assert [event["type"] for event in events] == ["text-start", "text-delta", "text-end", "file-available"]
    assert events[-1] == {
        "type": "file-available",
        "id": "f1",
        "mediaType": "image/png",
        "url": "https://files/f1",
        "filename": "a.png",
        "size": 12,
    }


# ---- child agents and tools of our own


def test_a_child_agent_that_a_model_asks_for_is_a_tool_call_with_its_name():
    call = tool_call("c1", "researcher", arguments=raw({"TOPIC": "tides"}))

    events = stream_of(
        turn_started(),
        user_message(),
        assistant_message(calls=[call]),
        child_requested("c1"),
        tool_succeeded("c1", result=raw("High.")),
    )

    shown = only(events, "tool")
    assert shown[0] == {
        "type": "tool-input-start",
        "toolCallId": "c1",
        "toolName": "researcher",
        "title": "Research",
    }
    assert shown[-2]["input"] == {"TOPIC": "tides"}
    assert shown[-1] == {"type": "tool-output-available", "toolCallId": "c1", "output": "High."}


@pytest.mark.parametrize("end", [tool_succeeded("c1"), tool_failed("c1"), tool_cancelled("c1")])
def test_a_child_agent_that_a_block_runs_is_the_start_and_end_of_its_block(end: object):
    handler = (RunChild(name="Look", agent="researcher"), NextMessage(name="Answer"))

    events = stream_of(turn_started(), child_requested("c1", block=0), end, handler=handler)  # type: ignore[arg-type]

    assert [(event["type"], event.get("blockName")) for event in events] == [
        ("block-start", "Look"),
        ("block-end", None),
        ("block-start", "Answer"),
    ]


def test_a_child_agent_that_cannot_run_ends_its_block():
    handler = (RunChild(name="Look", agent="researcher"),)

    events = stream_of(turn_started(), tool_refused("c1", tool="researcher", block=0), handler=handler)

    assert [event["type"] for event in events] == ["block-start", "block-end"]


def test_a_hidden_child_agent_makes_no_events():
    call = tool_call("c1", "researcher")
    hidden = {"researcher": Callee("hidden", is_child=True)}

    events = stream_of(
        turn_started(),
        user_message(),
        assistant_message(calls=[call]),
        child_requested("c1"),
        tool_succeeded("c1"),
        known=hidden,
    )

    assert not only(events, "tool")


def test_the_list_of_things_to_do_is_not_shown_and_a_reference_that_is_read_is():
    calls = [tool_call("c1", "octavus_todo_write"), tool_call("c2", "octavus_reference_read")]

    events = stream_of(
        turn_started(),
        user_message(),
        assistant_message(calls=calls),
        tool_answered("c1"),
        tool_answered("c2", "octavus_reference_read", result=raw("# Refunds")),
    )

    assert {event["toolCallId"] for event in only(events, "tool")} == {"c2"}
    assert events[-1]["output"] == "# Refunds"


def test_a_summary_for_models_is_not_shown_and_its_block_stays_open():
    events = stream_of(
        turn_started(),
        user_message(),
        summary_requested(2),
        tool_succeeded("s1", result=raw("They said hello.")),
        thread_compacted(2),
        assistant_message("Hello"),
        turn_finished(),
    )

    assert [event["type"] for event in events] == [
        "block-start",
        "text-start",
        "text-delta",
        "text-end",
        "block-end",
        "finish",
    ]


def test_an_outcome_of_a_call_that_was_never_shown_is_not_shown():
    assert not only(stream_of(turn_started(), tool_succeeded("c9"), budget_raised()), "tool")


def test_a_value_that_stands_on_several_lines_is_sent_on_one():
    arguments = Raw(b'{\n  "userId": "u1"\r\n}')

    events = stream_of(turn_started(), user_message(), assistant_message(calls=[tool_call("c1", arguments=arguments)]))

    assert only(events, "tool-input-available")[0]["input"] == {"userId": "u1"}


def test_without_its_agent_a_turn_is_still_told():
    stream = TurnStream("t1", (), {})

    events = [*stream.show(turn_started()), *stream.show(assistant_message("Hi")), *stream.show(turn_finished())]

    assert [event.__struct_config__.tag for event in events] == ["text-start", "text-delta", "text-end", "finish"]
