"""The kit with which customers test their tools: what it answers is what a worker would."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import pytest
from tests.sdk.services import ToolGateway
from tests.sdk.test_worker import Calls, calls, running

from stenograph_events import encode
from stenograph_events.testing import log, session_created, tool_requested, tool_succeeded, turn_started
from stenograph_sdk import FromLifespan, ToolContext, ToolDefinitionError, ToolError, Worker, lifespan, tool
from stenograph_sdk.testing import (
    Progress,
    ToolAnswer,
    assert_safe_to_repeat,
    recorded,
    result_of,
    run_tool,
    run_tool_sync,
    tool_request,
)

__all__ = ["calls"]


class Ledger:
    def __init__(self) -> None:
        self.rows: list[str] = []
        self.keys: set[str] = set()


@tool("get-account", retry="safe")
async def get_account(userId: str, call: ToolContext) -> dict[str, Any]:
    if userId == "u9":
        raise ToolError("no user has the id u9")
    return {"user": userId, "call": call.call, "attempt": call.attempt}


@tool("refund", retry="never")
def refund(order: str, ledger: Annotated[Ledger, FromLifespan], call: ToolContext) -> str:
    """Refunds once for each call."""
    if call.call not in ledger.keys:
        ledger.keys.add(call.call)
        ledger.rows.append(order)
    return f"refunded {order}"


@tool("log-in", retry="safe")
def log_in(ledger: Annotated[Ledger, FromLifespan]) -> str:
    ledger.rows.append("in")
    return "in"


@tool("count", retry="safe")
def count(ledger: Annotated[Ledger, FromLifespan]) -> int:
    ledger.rows.append("counted")
    return len(ledger.rows)


@lifespan
async def ledger() -> AsyncIterator[Ledger]:
    yield Ledger()


async def test_a_handler_answers_a_request_that_was_made_by_hand():
    answer = await run_tool(get_account, tool_request("get-account", {"userId": "u1"}, call="c7", attempt=2))

    assert result_of(answer) == {"user": "u1", "call": "c7", "attempt": 2}


async def test_the_answer_is_the_one_that_a_worker_stores(tool_gateway: ToolGateway, calls: Calls, nats_url: str):
    worker = Worker(nats_url, name="test")
    worker.add(get_account)
    async with running(worker):
        for user in ("u1", "u9", 9):
            asked = await calls.ask("get-account", {"userId": user}, call=f"c-{user}")
            assert await calls.to(asked) == await run_tool(get_account, asked)


@pytest.mark.parametrize("is_async", [True, False])
async def test_all_that_a_handler_says_of_its_progress_can_be_looked_at(is_async: bool):
    def say(pages: int, call: ToolContext) -> str:
        for page in range(1, pages + 1):
            call.progress(f"{page} of {pages}\npages", done=page, total=pages)
        return "done"

    async def say_too(pages: int, call: ToolContext) -> str:
        return say(pages, call)

    told: list[Progress] = []
    answer = await run_tool(
        tool("export")(say_too if is_async else say), tool_request("export", {"pages": 100}), progress=told
    )

    assert result_of(answer) == "done"
    assert len(told) == 100
    assert told[-1] == Progress("100 of 100 pages", 100, 100, k=100)


async def test_who_makes_a_context_by_hand_may_let_it_say_something():
    context = ToolContext("c1", 1, "export", "acme", "s1", None, datetime.now(UTC))  # type: ignore[arg-type]

    context.progress("nobody hears it")

    assert not context.cancelled


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"userId": "u9"}, "no user has the id u9"),
        ({"userId": 9}, "the arguments do not fit get-account: Expected `str`, got `int` - at `$.userId`"),
        ({"id": "u1"}, "the arguments do not fit get-account: Object contains unknown field `id`"),
    ],
)
async def test_what_fails_fails_with_the_sentence_that_a_model_reads(arguments: dict[str, Any], error: str):
    answer = await run_tool(get_account, tool_request("get-account", arguments))

    assert answer == ToolAnswer("failed", error=error, worker="test")
    with pytest.raises(AssertionError, match="the call failed: "):
        result_of(answer)


async def test_what_a_lifespan_opens_is_given_or_opened():
    theirs = Ledger()
    answer = await run_tool(refund, tool_request("refund", {"order": "o-1"}), values=[theirs])
    async with ledger() as opened:
        again = await run_tool(refund, tool_request("refund", {"order": "o-1"}), values=[opened])

    assert result_of(answer) == result_of(again) == "refunded o-1"
    assert theirs.rows == opened.rows == ["o-1"]
    with pytest.raises(ToolDefinitionError, match="'ledger' wants a Ledger, and no lifespan gives one"):
        await run_tool(refund, tool_request("refund", {"order": "o-1"}))


async def test_a_worker_that_looks_too_late_does_not_run_it():
    theirs = Ledger()
    at = datetime(2026, 11, 30, tzinfo=UTC)
    request = tool_request("refund", {"order": "o-1"}, at=at, seconds=10)

    late = await run_tool(refund, request, values=[theirs], at=at + timedelta(seconds=11))
    in_time = await run_tool(refund, request, values=[theirs], at=at + timedelta(seconds=9))

    assert (late.outcome, in_time.outcome) == ("expired", "succeeded")
    assert theirs.rows == ["o-1"]


async def test_of_a_large_result_there_is_the_reference():
    @tool("dump")
    def dump() -> str:
        return "x" * 300_000

    answer = await run_tool(dump, tool_request("dump"))

    assert answer.result_ref is not None
    assert answer.result_ref.size == 300_002
    with pytest.raises(AssertionError, match="the result is large"):
        result_of(answer)


async def test_a_tool_of_a_worker_is_found_by_its_name():
    worker = Worker("nats://nowhere")
    worker.add(get_account, count)

    answer = await run_tool(worker, tool_request("get-account", {"userId": "u1"}))

    assert answer.outcome == "succeeded"
    with pytest.raises(ValueError, match="for tool 'refund', which this does not serve"):
        await run_tool(worker, tool_request("refund"))


def test_a_test_need_not_be_async():
    assert result_of(run_tool_sync(get_account, tool_request("get-account", {"userId": "u1"})))["user"] == "u1"


def test_requests_are_read_from_the_log_of_a_session(tmp_path: Path):
    path = tmp_path / "session.jsonl"
    stored = log(
        session_created(),
        turn_started(),
        tool_requested("c1", tool="get-account"),
        tool_succeeded("c1"),
        tool_requested("c2", tool="refund"),
        tool_requested("c3", tool="pick-a-seat", client=True),
    )
    path.write_bytes(b"\n".join(data for _, data in stored) + b"\n\n")

    assert [one.call for one in recorded(path)] == ["c1", "c2"]
    assert [one.call for one in recorded(path, "refund")] == ["c2"]


def test_a_line_that_is_no_event_is_named(tmp_path: Path):
    path = tmp_path / "session.jsonl"
    path.write_bytes(encode(session_created()) + b"\nfive minutes ago\n")

    with pytest.raises(ValueError, match=r"session\.jsonl, line 2: "):
        recorded(path)


async def test_a_request_of_long_ago_is_run_as_on_that_day():
    old = tool_request("get-account", {"userId": "u1"}, at=datetime(2020, 1, 1, tzinfo=UTC))

    assert (await run_tool(get_account, old)).outcome == "succeeded"


async def test_a_tool_that_may_run_again_says_so():
    theirs = Ledger()
    request = tool_request("refund", {"order": "o-1"})

    answer = await assert_safe_to_repeat(refund, request, values=[theirs], effects=lambda: theirs.rows)

    assert result_of(answer) == "refunded o-1"


async def test_a_second_effect_is_found():
    theirs = Ledger()

    with pytest.raises(AssertionError, match=r"an effect of its own: \['in', 'in'\], after the first \['in'\]"):
        await assert_safe_to_repeat(log_in, tool_request("log-in"), values=[theirs], effects=lambda: theirs.rows)


async def test_another_answer_is_found():
    with pytest.raises(AssertionError, match="the second run answers 2, the first 1"):
        await assert_safe_to_repeat(count, tool_request("count"), values=[Ledger()])
