"""Turns that wait for their clients: one leg ends with what is asked of them, the next begins with what they answer."""

from typing import Any

import httpx
import pytest
from tests.gateway.asking import (
    ASK,
    ASK_AND_LOOK,
    ASK_TWICE,
    ASK_TWO,
    BLOCK,
    CLIENT_TOOLS,
    LOOK_THEN_MAIL,
    asking,
    result_of,
)
from tests.gateway.streaming import continued, leg, triggered, turn
from tests.support.services import Stage

from stenograph_events.types import (
    ToolCancelled,
    ToolFailed,
    ToolRequested,
    ToolSucceeded,
    TurnFinished,
    TurnStarted,
)


async def test_a_turn_that_needs_its_client_ends_the_leg_with_one_request_and_goes_on_with_the_result(
    http: httpx.AsyncClient, stage: Stage
):
    talk = await asking(stage, ASK)

    first = await turn(http, talk.id)
    [call] = first.asked
    second = await leg(http, talk.id, first.execution, {"toolCallId": call["toolCallId"], "result": "yes"})

    [requested] = await talk.all(ToolRequested)
    assert first.types[-5:] == ["tool-input-delta", "tool-input-end", "tool-input-available", "tool-request", "finish"]
    assert call == {
        "toolCallId": requested.call,
        "toolName": "ask-user",
        "args": {"question": "Sure?"},
        "source": "llm",
    }
    assert first.events[-1] == {"type": "finish", "finishReason": "tool-calls"}
    assert first.done
    assert "block-end" not in first.types
    assert second.events[0] == {"type": "start", "executionId": first.execution}
    assert set(second.types) == {"start", "text-start", "text-delta", "text-end", "block-end", "finish"}
    assert second.text == "You said yes"
    assert second.events[-1] == {"type": "finish", "finishReason": "stop"}


async def test_parts_of_two_legs_have_different_ids(http: httpx.AsyncClient, stage: Stage):
    talk = await asking(stage, ASK)

    first = await turn(http, talk.id)
    second = await leg(http, talk.id, first.execution, result_of(first.asked[0], "yes"))

    ids = [{event["id"] for event in heard.events if event["type"] == "text-start"} for heard in (first, second)]
    assert ids[0]
    assert ids[1]
    assert ids[0].isdisjoint(ids[1])


async def test_all_calls_of_a_step_are_in_one_request_the_hidden_too(http: httpx.AsyncClient, stage: Stage):
    talk = await asking(stage, ASK_TWO)

    first = await turn(http, talk.id)
    results = [result_of(call, "red") for call in first.asked]
    second = await leg(http, talk.id, first.execution, *results)

    assert [call["toolName"] for call in first.asked] == ["ask-user", "pick-color"]
    assert [event["toolName"] for event in first.events if event["type"] == "tool-input-start"] == ["ask-user"]
    assert second.text == "You picked red"
    assert not [kind for kind in second.types if kind.startswith("tool-")]


async def test_results_for_some_of_the_calls_leave_the_rest_to_be_asked_for_again(
    http: httpx.AsyncClient, stage: Stage
):
    talk = await asking(stage, ASK_TWO)

    first = await turn(http, talk.id)
    ask, pick = first.asked
    second = await leg(http, talk.id, first.execution, result_of(ask, "yes"))
    third = await leg(http, talk.id, first.execution, result_of(pick, "red"))

    assert second.asked == [pick]
    assert second.types == ["start", "tool-request", "finish"]
    assert third.text == "You picked red"
    assert not [kind for kind in third.types if kind.startswith("tool-")]


async def test_a_step_with_a_worker_and_a_client_waits_for_the_worker_first(http: httpx.AsyncClient, stage: Stage):
    talk = await asking(stage, ASK_AND_LOOK)

    async with triggered(http, talk.id) as first:
        await talk.request(2)
        requested = [one for one in await talk.all(ToolRequested) if not one.client]
        await talk.answer(requested[0], {"plan": "pro"})
        await first.end()
    second = await leg(http, talk.id, first.execution, *[result_of(call, "yes") for call in first.asked])

    assert [call["toolName"] for call in first.asked] == ["ask-user"]
    assert first.types.index("tool-output-available") < first.types.index("tool-request")
    assert second.text == "You said yes"


async def test_a_block_asks_the_client_and_the_variable_takes_the_result(http: httpx.AsyncClient, stage: Stage):
    talk = await stage.session("", tools=CLIENT_TOOLS, handler=BLOCK, offered="ask-user")

    first = await turn(http, talk.id, "How old?")
    second = await leg(http, talk.id, first.execution, result_of(first.asked[0], {"years": 7}))

    [call] = first.asked
    assert call["args"] == {"question": "How old?"}
    assert (call["source"], call["outputVariable"], call["blockIndex"]) == ("block", "ACCOUNT", 0)
    assert second.types[:2] == ["start", "block-end"]
    assert second.text == "Hello!"
    state = (await http.get(f"/api/agent-sessions/{talk.id}")).json()
    assert state["variables"]["ACCOUNT"] == {"years": 7}


@pytest.mark.parametrize(
    ("result", "said"),
    [({}, "null"), ({"error": ""}, "null"), ({"result": None, "error": ""}, "null"), ({"result": [1.5, "ü"]}, "ü")],
)
async def test_a_result_without_an_error_is_a_success_and_null_if_there_is_none(
    http: httpx.AsyncClient, stage: Stage, result: dict[str, Any], said: str
):
    talk = await asking(stage, ASK)

    first = await turn(http, talk.id)
    second = await leg(http, talk.id, first.execution, {"toolCallId": first.asked[0]["toolCallId"], **result})

    assert said in second.text
    assert (await talk.all(ToolSucceeded))[0].worker == "http"


async def test_an_error_fails_the_call_and_the_model_reads_it(http: httpx.AsyncClient, stage: Stage):
    talk = await asking(stage, ASK)

    first = await turn(http, talk.id)
    failed = {"toolCallId": first.asked[0]["toolCallId"], "error": "nobody is there"}
    second = await leg(http, talk.id, first.execution, failed)

    [recorded] = await talk.all(ToolFailed)
    assert recorded.error == "nobody is there"
    assert "nobody is there" in second.text
    assert second.events[-1]["finishReason"] == "stop"


async def test_trigger_name_and_input_beside_the_results_trigger_nothing(http: httpx.AsyncClient, stage: Stage):
    talk = await asking(stage, ASK)

    first = await turn(http, talk.id)
    beside = {"triggerName": "user-message", "input": {"TEXT": "Hello"}}
    second = await leg(http, talk.id, first.execution, result_of(first.asked[0], "yes"), **beside)

    assert second.text == "You said yes"
    assert len(await talk.all(TurnStarted)) == 1


async def test_a_continuation_that_comes_twice_is_answered_twice_and_recorded_once(
    http: httpx.AsyncClient, stage: Stage
):
    talk = await asking(stage, ASK)

    first = await turn(http, talk.id)
    second = await leg(http, talk.id, first.execution, result_of(first.asked[0], "yes"))
    before = await talk.types()
    again = await leg(http, talk.id, first.execution, result_of(first.asked[0], "no"))

    assert again.text == second.text == "You said yes"
    assert again.events[-1] == second.events[-1]
    assert await talk.types() == before


async def test_a_repeated_continuation_passes_over_what_was_asked_and_answered_since(
    http: httpx.AsyncClient, stage: Stage
):
    talk = await asking(stage, ASK_TWICE)

    first = await turn(http, talk.id)
    second = await leg(http, talk.id, first.execution, result_of(first.asked[0], "yes"))
    third = await leg(http, talk.id, first.execution, result_of(second.asked[0], "really"))
    again = await leg(http, talk.id, first.execution, result_of(first.asked[0], "yes"))

    assert second.types[-2:] == ["tool-request", "finish"]
    assert third.text == again.text == "You said really"
    assert "tool-request" not in again.types
    outputs = [event["output"] for event in again.events if event["type"] == "tool-output-available"]
    assert outputs == ["really"]  # nobody else shows it to this client


async def test_a_continuation_without_results_asks_again_for_what_is_open(http: httpx.AsyncClient, stage: Stage):
    talk = await asking(stage, ASK)

    first = await turn(http, talk.id)
    second = await leg(http, talk.id, first.execution)
    await leg(http, talk.id, first.execution, result_of(first.asked[0], "yes"))

    assert second.types == ["start", "tool-request", "finish"]
    assert second.asked == first.asked


async def test_a_call_that_nobody_asked_for_is_refused_and_nothing_is_stored(http: httpx.AsyncClient, stage: Stage):
    talk = await asking(stage, ASK)

    first = await turn(http, talk.id)
    before = await talk.types()
    good, bad = result_of(first.asked[0], "yes"), {"toolCallId": "c-unknown", "result": 1}
    refused = await refusal(http, talk.id, first.execution, good, bad)
    after = await talk.types()
    elsewhere = await refusal(http, talk.id, "e-unknown", good)
    second = await leg(http, talk.id, first.execution, good)

    assert (refused.status_code, refused.json()["code"]) == (400, "VALIDATION_ERROR")
    assert "'c-unknown'" in refused.json()["error"]
    assert first.asked[0]["toolCallId"] not in refused.json()["error"]
    assert after == before
    assert elsewhere.status_code == 404
    assert second.text == "You said yes"


async def test_a_call_that_a_worker_serves_is_not_the_clients_to_answer(http: httpx.AsyncClient, stage: Stage):
    talk = await asking(stage, ASK_AND_LOOK)

    async with triggered(http, talk.id) as first:
        await talk.request(2)
        [served] = [one for one in await talk.all(ToolRequested) if not one.client]
        refused = await refusal(http, talk.id, await first.begun(), {"toolCallId": served.call, "result": 1})
        await talk.answer(served, {"plan": "pro"})
        await first.end()
    await leg(http, talk.id, first.execution, *[result_of(call, "yes") for call in first.asked])

    assert refused.status_code == 400
    assert repr(str(served.call)) in refused.json()["error"]


async def test_a_new_trigger_cancels_the_turn_that_waits_and_a_late_result_changes_nothing(
    http: httpx.AsyncClient, stage: Stage
):
    talk = await asking(stage, ASK, when_busy="reject")

    abandoned = await turn(http, talk.id)
    first = await turn(http, talk.id, "Never mind")
    late = await leg(http, talk.id, abandoned.execution, result_of(abandoned.asked[0], "yes"))
    second = await leg(http, talk.id, first.execution, result_of(first.asked[0], "no"))

    assert (first.response.status_code, first.types[-1]) == (200, "finish")
    assert (await talk.end_of(abandoned.execution)).outcome == "cancelled"
    assert len(await talk.all(ToolCancelled)) == 1
    assert late.events[-1] == {"type": "finish", "finishReason": "stop"}
    assert "tool-request" not in late.types
    assert second.text == "You said no"
    assert len(await talk.all(ToolSucceeded)) == 1


async def test_a_client_that_leaves_while_the_next_leg_runs_cancels_the_turn(http: httpx.AsyncClient, stage: Stage):
    talk = await asking(stage, LOOK_THEN_MAIL)
    async with triggered(http, talk.id) as first:
        await talk.request(2)
        [served] = [one for one in await talk.all(ToolRequested) if not one.client]
        await talk.answer(served, {"plan": "pro"})
        await first.end()

    async with continued(http, talk.id, first.execution, *[result_of(call, "yes") for call in first.asked]) as second:
        await second.until("tool-input-available")

    assert (await talk.until(TurnFinished)).outcome == "cancelled"


async def refusal(http: httpx.AsyncClient, session: str, execution: str, *results: dict[str, Any]) -> httpx.Response:
    body = {"executionId": execution, "toolResults": results}
    return await http.post(f"/api/agent-sessions/{session}/trigger", json=body)
