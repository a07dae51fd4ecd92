"""The two shapes: the same log, read by a client of version 2.0.0 and by a later one."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from tests.gateway.contract import FIRST, FULL
from tests.gateway.playing import KNOWN, only, stream_of
from tests.gateway.shaped import TOPIC, alone, full_state, lines_of, observed, problems, screen
from tests.gateway.streaming import turn
from tests.protocols.stage import performances
from tests.support.agents import SAY_HELLO
from tests.support.logs import logs
from tests.support.services import Stage

from stenograph_events import AnyEvent, StoredEvent
from stenograph_events.testing import (
    assistant_message,
    child_requested,
    log,
    raw,
    session_created,
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
from stenograph_events.values import ReasoningPart, TextPart, Usage
from stenograph_services.gateway.stream.callees import Callee, callees
from stenograph_services.gateway.stream.cursor import Cursor
from stenograph_services.gateway.wire.versions import Wire
from stenograph_services.protocol.agent import RunChild

TODOS = [{"id": "1", "content": "Look", "status": "in_progress"}]
PLAN_THEN_SAY = """\
turns:
  - - text: Let me plan.
      calls: [{tool: octavus_todo_write, arguments: {todos: [{id: "1", content: Look}]}}]
    - calls: [{tool: octavus_todo_write, arguments: {merge: true, todos: [{id: "1", status: completed}]}}]
    - text: Planned.
"""
DONE = [{"id": "1", "content": "Look", "status": "completed"}]

EVERYTHING: tuple[AnyEvent, ...] = (
    session_created(),
    turn_started(),
    user_message("How high is the tide?"),
    assistant_message(
        parts=[ReasoningPart("Hm."), TextPart("Let me look.")],
        calls=[
            tool_call("c1", "octavus_todo_write"),
            tool_call("c2", "researcher", arguments=TOPIC),
            tool_call("c3", "get-user-account"),
            tool_call("c4", "no-such-tool"),
        ],
    ),
    tool_answered("c1", result=raw({"todos": TODOS}), todos=raw(TODOS)),
    child_requested("c2", arguments=TOPIC),
    tool_requested("c3"),
    tool_refused("c4", tool="no-such-tool"),
    tool_succeeded("c2", result=raw("High.")),
    tool_failed("c3", error="out of order"),
    assistant_message("High. One more look.", step=1, calls=[tool_call("c5", "octavus_todo_write")]),
    tool_answered("c5", result=raw({"todos": DONE}), todos=raw(DONE)),
    assistant_message("", step=2, calls=[tool_call("c6", "get-user-account"), tool_call("c7", "researcher")]),
    tool_requested("c6"),
    child_requested("c7"),
    tool_cancelled("c6"),
    tool_cancelled("c7"),
    turn_finished(outcome="cancelled"),
)
STORED = [event for event, _ in log(*EVERYTHING)]


# ---- streams


def test_a_run_that_a_model_asks_for_is_a_worker_or_to_2_0_0_a_call():
    events = EVERYTHING[1:9]

    full, first = stream_of(*events, wire=Wire.FULL), stream_of(*events)

    run = {"workerId": "c2", "workerSlug": "researcher", "description": "Research"}
    assert [event for event in full if event.get("workerId") == "c2"] == [
        {"type": "worker-input-start", **run},
        {"type": "worker-input-delta", "workerId": "c2", "delta": '{"TOPIC":"tides"}'},
        {"type": "worker-input-ready", "workerId": "c2", "input": {"TOPIC": "tides"}},
        {"type": "worker-start", **run, "input": {"TOPIC": "tides"}},
        {"type": "worker-result", "workerId": "c2", "output": "High."},
    ]
    assert [event["type"] for event in first if event.get("toolCallId") == "c2"] == [
        "tool-input-start",
        "tool-input-delta",
        "tool-input-end",
        "tool-input-available",
        "tool-output-available",
    ]
    assert not only(first, "worker")


@pytest.mark.parametrize(
    ("display", "description", "input"),
    [
        ("stream", "Research", TOPIC),
        ("description", "Finds things out", None),
        ("name", None, None),
        ("title", "Research", None),
    ],
)
def test_what_a_run_was_asked_is_told_only_where_the_protocol_streams_it(
    display: Any, description: str | None, input: msgspec.Raw | None
):
    known = {"researcher": Callee(display, description, "Finds things out", is_child=True)}
    asks = assistant_message(calls=[tool_call("c2", "researcher", arguments=TOPIC)])

    full = stream_of(turn_started(), user_message(), asks, child_requested("c2"), known=known, wire=Wire.FULL)
    first = stream_of(turn_started(), user_message(), asks, child_requested("c2"), known=known)

    start = full[-1]
    assert (start["type"], start.get("description")) == ("worker-start", description)
    assert ("input" in start, "tides" in json.dumps(full)) == (input is not None, input is not None)
    assert first[-1]["input"] == (json.loads(bytes(input)) if input else {})


@pytest.mark.parametrize(
    ("end", "result"), [(tool_succeeded("c1"), "output"), (tool_failed("c1"), "error"), (tool_cancelled("c1"), "error")]
)
def test_a_run_of_a_block_is_a_worker_and_to_2_0_0_nothing(end: AnyEvent, result: str):
    handler = (RunChild(name="Look", agent="researcher"),)
    events = (turn_started(), child_requested("c1", block=0, arguments=TOPIC), end)

    full, first = stream_of(*events, handler=handler, wire=Wire.FULL), stream_of(*events, handler=handler)

    assert [event["type"] for event in full] == ["block-start", "worker-start", "worker-result", "block-end"]
    assert full[1]["input"] == {"TOPIC": "tides"}
    assert result in full[2]
    assert [event["type"] for event in first] == ["block-start", "block-end"]


def test_a_list_of_things_to_do_is_told_each_time_it_is_written():
    full = stream_of(*EVERYTHING[1:12], wire=Wire.FULL)

    assert only(full, "todo") == [{"type": "todo-update", "todos": TODOS}, {"type": "todo-update", "todos": DONE}]
    assert not only(stream_of(*EVERYTHING[1:12]), "todo")


def test_a_call_says_how_it_is_displayed():
    full = stream_of(*EVERYTHING[1:4], wire=Wire.FULL)

    [start] = [event for event in only(full, "tool-input-start") if event["toolCallId"] == "c3"]
    assert (start["title"], start["display"]) == ("Look it up", "description")


def test_a_block_that_shows_its_title_shows_its_description_to_2_0_0():
    handler = (RunChild(name="Look", agent="researcher", display="title", title="Looking"),)

    [full], [first] = (
        stream_of(turn_started(), handler=handler, wire=Wire.FULL),
        stream_of(turn_started(), handler=handler),
    )

    assert (full["display"], full["description"]) == ("title", "Looking")
    assert (first["display"], first["description"]) == ("description", "Looking")


def test_what_is_not_supported_is_an_error_that_2_0_0_reads():
    failed = turn_finished(outcome="failed", reason="unsupported", detail="generate-image is not run here")

    assert stream_of(failed, wire=Wire.FULL)[-1]["errorType"] == "unsupported_error"
    assert stream_of(failed)[-1]["errorType"] == "provider_error"


@pytest.mark.parametrize(("cost", "fee"), [(Decimal("0.0021"), 0.0042), (None, None)])
def test_what_a_run_consumed_is_told_after_its_finish(cost: Decimal | None, fee: float | None):
    answers = [assistant_message("Yes", step=step, usage=Usage(40, 2), cost_usd=cost) for step in (0, 1)]

    *_, finish, usage = alone(turn_started(), user_message(), *answers, turn_finished(output=raw("Yes")))

    assert finish == {"type": "finish", "finishReason": "stop"}
    assert usage["tokens"] == {"inputTokens": 80, "outputTokens": 4, "totalTokens": 84}
    assert usage["cost"] == {
        "currency": "USD",
        "bandwidthFee": 0.0,
        "providerFee": 0.0,
        "totalFee": 0.0,
        "byok": True,
        **({} if fee is None else {"estimatedProviderFee": fee}),
    }


def test_a_run_begins_with_what_it_was_asked():
    begins, *_ = alone(turn_started(), user_message())

    assert begins == {
        "type": "worker-start",
        "workerId": "run",
        "workerSlug": "researcher",
        "input": {"TOPIC": "tides"},
    }


# ---- ids


@pytest.mark.parametrize("wire", Wire)
def test_from_every_id_on_a_client_gets_exactly_the_rest(wire: Wire):
    told = lines_of(EVERYTHING[1:], wire)
    ids = [id for id, _ in told]

    assert all(ids)
    assert len(set(ids)) == len(ids)
    for at, (id, _) in enumerate(told):
        assert lines_of(EVERYTHING[1:], wire, Cursor.read(id or "")) == told[at + 1 :], id


def test_an_id_means_the_same_in_both_shapes():
    full = lines_of(EVERYTHING[1:], Wire.FULL)
    places = [id for id, _ in full]

    for id, event in lines_of(EVERYTHING[1:], Wire.FIRST):
        rest = full[places.index(id) + 1 :]
        assert lines_of(EVERYTHING[1:], Wire.FULL, Cursor.read(id or "")) == rest, event


@pytest.mark.parametrize("version", [None, "4"])
async def test_wherever_a_stream_is_cut_the_rest_comes_in_the_same_shape(
    http: httpx.AsyncClient, stage: Stage, version: str | None
):
    talk = await stage.session(PLAN_THEN_SAY, agent="todoList: true")
    await turn(http, talk.id)
    if version is not None:
        http.headers["X-Octavus-Sdk-Version"] = version
    whole = (await observed(http, talk.id))[1:]  # without `start`, which comes each time

    assert ("todo-update" in [event["type"] for _, event in whole]) == (version is not None)
    for at, (id, _) in enumerate(whole):
        if id is not None:
            assert (await observed(http, talk.id, id))[1:] == whole[at + 1 :], id


# ---- stored messages


def test_an_answer_on_a_screen_is_made_of_steps_workers_and_the_list_as_it_stands():
    _, message = screen(STORED, Wire.FULL)

    kinds = [(part["type"], part.get("status")) for part in message["parts"]]
    assert kinds == [
        ("step-start", None),
        ("reasoning", "done"),
        ("text", "done"),
        ("todo", "done"),
        ("worker", "done"),
        ("tool-call", "error"),
        ("tool-call", "error"),
        ("step-start", None),
        ("text", "done"),
        ("step-start", None),
        ("tool-call", "cancelled"),
        ("worker", "cancelled"),
    ]
    assert message["parts"][3]["todos"] == DONE
    assert message["parts"][4] == {
        "type": "worker",
        "workerId": "c2",
        "workerSlug": "researcher",
        "description": "Research",
        "input": {"TOPIC": "tides"},
        "parts": [],
        "output": "High.",
        "status": "done",
    }


def test_a_screen_of_2_0_0_has_calls_and_texts():
    _, message = screen(STORED, Wire.FIRST)

    kinds = [(part["type"], part.get("status")) for part in message["parts"]]
    assert kinds == [
        ("reasoning", "done"),
        ("text", "done"),
        ("tool-call", "done"),
        ("tool-call", "error"),
        ("tool-call", "error"),
        ("text", "done"),
        ("tool-call", "error"),
        ("tool-call", "error"),
    ]


def test_the_full_state_has_one_message_for_each_answer_and_for_2_0_0_one_for_each_response():
    asked, answered = full_state(STORED, Wire.FULL)
    first = full_state(STORED, Wire.FIRST)

    assert (asked["role"], asked["content"]) == ("user", "How high is the tide?")
    assert answered["content"] == "Let me look.High. One more look."
    assert [part["type"] for part in answered["parts"]] == [
        "step-start", "reasoning", "text", "tool-call", "todo", "worker", "tool-call", "tool-call",
        "step-start", "text", "tool-call", "todo",
        "step-start", "tool-call", "worker",
    ]  # fmt: skip
    assert answered["parts"][5]["worker"]["output"] == "High."
    assert [part["worker"]["status"] for part in answered["parts"] if part["type"] == "worker"] == ["done", "cancelled"]
    assert [message["role"] for message in first] == ["user", "assistant", "assistant", "assistant"]
    assert answered["id"] == first[1]["id"]
    assert {part["type"] for message in first for part in message["parts"]} == {"text", "reasoning", "tool-call"}


# ---- whatever happens


def test_whatever_agents_do_both_shapes_hold_what_their_clients_accept():
    for agents, recorded in performances():
        sessions: dict[str, list[StoredEvent]] = {}
        for one in recorded:
            sessions.setdefault(one.event.session, []).append(one.event)
        for events in sessions.values():
            agent = agents[getattr(events[0], "agent", "")]
            assert problems(events, callees(agent), agent) == []


@given(logs())
def test_whatever_happens_both_shapes_hold_what_their_clients_accept(events: list[AnyEvent]):
    assert problems([event for event, _ in log(*events)], KNOWN) == []


@pytest.mark.parametrize("type", sorted(FULL.events.keys() - FIRST.events.keys()))
def test_the_page_names_every_event_that_only_later_clients_read(type: str):
    page = (Path(__file__).parents[2] / "docs" / "wire.md").read_text()

    assert f"`{type}`" in page.replace("`-", "`worker-input-")


# ---- the header


@pytest.mark.parametrize(("version", "steps"), [(None, 0), ("1", 0), ("3", 0), ("4", 1), ("6", 1), ("17", 1)])
async def test_the_header_says_which_shape_a_client_reads(
    http: httpx.AsyncClient, stage: Stage, version: str | None, steps: int
):
    talk = await stage.session(SAY_HELLO)
    await turn(http, talk.id)
    headers = {} if version is None else {"X-Octavus-Sdk-Version": version}

    read = await http.get(f"/api/agent-sessions/{talk.id}?format=ui", headers=headers)

    parts = [part["type"] for message in read.json()["messages"] for part in message["parts"]]
    assert parts.count("step-start") == steps


@pytest.mark.parametrize("version", ["", "six", "4.0", "-4", "٤", "9" * 10])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/agent-sessions/{session}"),
        ("GET", "/api/agent-sessions/{session}/observe"),
        ("POST", "/api/agent-sessions/{session}/trigger"),
        ("POST", "/api/agent-sessions/start"),
        ("POST", "/api/agents/an-agent/execute"),
    ],
)
async def test_a_header_that_is_no_number_is_refused(http: httpx.AsyncClient, method: str, path: str, version: str):
    headers = [(b"X-Octavus-Sdk-Version", version.encode())]

    refused = await http.request(method, path.format(session="2f" + "0" * 32), headers=headers, json={})

    assert refused.status_code == 400
    assert "X-Octavus-Sdk-Version is a number, such as 4" in refused.json()["error"]
