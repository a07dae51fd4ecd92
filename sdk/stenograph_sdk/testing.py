"""Tests of tools, without a server: a handler runs as a worker would run it, and what it would answer comes back.

    from stenograph_sdk.testing import assert_safe_to_repeat, recorded, result_of, run_tool, tool_request

    async def test_a_user_has_a_plan():
        request = tool_request("get-user-account", {"userId": "u1"})
        answer = await run_tool(get_user_account, request, values=[FakeDatabase()])

        assert result_of(answer) == {"plan": "pro"}

    async def test_a_refund_may_run_again():
        await assert_safe_to_repeat(refund, tool_request("refund", {"order": "o-7"}), effects=lambda: ledger.rows)

    async def test_an_export_says_how_far_it_is():
        told: list[Progress] = []
        await run_tool(export, tool_request("export", {"pages": 10}), progress=told)

        assert told[-1].text == "10 of 10 pages"

Requests are made by hand, or read from the log of a session: `stenograph sessions log ID --json > session.jsonl`.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw

from stenograph_events import DEFAULT_TENANT, CallId, EventId, SessionId, TenantId, TurnId, checked_id, decode, new_id
from stenograph_events.boxes import AnswerKey
from stenograph_events.errors import EventError
from stenograph_events.progress import Progress
from stenograph_events.types import ToolRequested
from stenograph_events.values import BlobRef, Retry
from stenograph_events.wire import ToolAnswer
from stenograph_sdk.calls import Calls
from stenograph_sdk.encoding import to_json
from stenograph_sdk.errors import OutcomeUnknown
from stenograph_sdk.progress import Kept, Reporter
from stenograph_sdk.tools import Tool
from stenograph_sdk.worker import Worker

__all__ = [
    "Progress",
    "ToolAnswer",
    "ToolRequested",
    "assert_safe_to_repeat",
    "recorded",
    "result_of",
    "run_tool",
    "run_tool_sync",
    "tool_request",
]

SESSION = SessionId("00" + "0" * 32)
WORKER = "test"


def tool_request(
    tool: str,
    arguments: dict[str, Any] | None = None,
    *,
    call: str = "c1",
    attempt: int = 1,
    retry: Retry = "safe",
    seconds: float = 60.0,
    at: datetime | None = None,
    session: str = SESSION,
    turn: str = "t1",
    tenant: str = DEFAULT_TENANT,
    traceparent: str | None = None,
) -> ToolRequested:
    """Return a request for `tool`, made `at` that time, by default now, to be answered within `seconds` of it."""
    at = at or datetime.now(UTC)
    return ToolRequested(
        id=EventId(new_id()),
        at=at,
        tenant=TenantId(checked_id(tenant, "tenant")),
        session=SessionId(session),
        turn=TurnId(turn),
        call=CallId(checked_id(call, "call")),
        tool=checked_id(tool, "tool"),
        arguments=Raw(to_json(arguments or {})),
        attempt=attempt,
        retry=retry,
        deadline_at=at + timedelta(seconds=seconds),
        traceparent=traceparent,
    )


def recorded(log: str | Path, tool: str | None = None) -> list[ToolRequested]:
    """Return the requests in a log, one event a line, for workers: all, or those for `tool`; in order.

    Raises `ValueError` for a line that is no event, naming it.
    """
    requests: list[ToolRequested] = []
    for number, line in enumerate(Path(log).read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            event = decode(line)
        except (EventError, ValueError) as error:
            raise ValueError(f"{log}, line {number}: {error}") from error
        if isinstance(event, ToolRequested) and not event.client and event.child is None:
            requests.append(event)
    return [one for one in requests if tool in (None, one.tool)]


async def run_tool(
    tool: Tool | Worker,
    request: ToolRequested,
    *,
    values: Sequence[Any] = (),
    at: datetime | None = None,
    progress: list[Progress] | None = None,
) -> ToolAnswer:
    """Return what a worker would answer to `request`. Nothing is sent, stored or claimed.

    `values` are what its lifespans would open. The worker looks at its clock `at` that time, by default when the
    request was made: one past its deadline is not run, and the answer is `expired`. Of a result that a worker uploads
    the answer has the reference. `progress` gets all that the handler says of its own, also what a worker would leave
    out. Raises `ToolDefinitionError` for a value that is missing, `ValueError` for a request
    for another tool, and `OutcomeUnknown` if the tool does.
    """
    tool = _chosen(tool, request.tool)
    threads = ThreadPoolExecutor(1, thread_name_prefix="tool")
    try:
        calls = _Rehearsed(tool.given(values), at or request.at, threads, progress if progress is not None else [])
        answer = await calls.outcome(request)
    finally:
        threads.shutdown(wait=False)
    if answer is None:
        raise OutcomeUnknown("the tool says that nobody can know how the call ended, so a worker would not answer it")
    return answer


def run_tool_sync(
    tool: Tool | Worker,
    request: ToolRequested,
    *,
    values: Sequence[Any] = (),
    at: datetime | None = None,
    progress: list[Progress] | None = None,
) -> ToolAnswer:
    """Do as `run_tool` does, for a test that is not async."""
    return asyncio.run(run_tool(tool, request, values=values, at=at, progress=progress))


def result_of(answer: ToolAnswer) -> Any:
    """Return the result of a call that succeeded; raise `AssertionError` with what it says if it did not."""
    assert answer.outcome == "succeeded", f"the call {answer.outcome}: {answer.error}"
    assert answer.result_ref is None, f"the result is large, {answer.result_ref.size} bytes: it would be uploaded"
    return msgspec.json.decode(answer.result)


async def assert_safe_to_repeat(
    tool: Tool | Worker,
    request: ToolRequested,
    *,
    values: Sequence[Any] = (),
    effects: Callable[[], Any] | None = None,
) -> ToolAnswer:
    """Run `request` twice, as after a worker's death, and fail unless the second run changes nothing.

    The call id is the same, the attempt the next one. Both must answer alike, and what `effects` returns, such as the
    rows of a table, must be as it was after the first. Returns the answer.
    """
    first = await run_tool(tool, request, values=values)
    after = deepcopy(effects()) if effects else None
    again = msgspec.structs.replace(request, attempt=request.attempt + 1)
    second = await run_tool(tool, again, values=values)
    assert first.outcome == second.outcome == "succeeded", (
        f"the first run {first.outcome} ({first.error}), the second {second.outcome} ({second.error})"
    )
    assert bytes(first.result) == bytes(second.result), (
        f"the second run answers {bytes(second.result).decode()}, the first {bytes(first.result).decode()}"
    )
    assert first.result_ref == second.result_ref, "the second run answers something else than the first"
    if effects:
        now = effects()
        assert now == after, f"the second run has an effect of its own: {now!r}, after the first {after!r}"
    return first


_NOWHERE: Any = None  # where other calls are stored; these touch no server


class _Rehearsed(Calls):
    """Calls of a worker that has no server: the claim is granted, and what would be uploaded is only addressed."""

    def __init__(self, tool: Tool, at: datetime, threads: ThreadPoolExecutor, progress: list[Progress]) -> None:
        super().__init__(_NOWHERE, tool, WORKER, threads, now=lambda: at)
        self._progress = progress

    def _reporter(self, request: ToolRequested) -> Reporter:
        return Kept(self._progress)

    async def _claim(self, request: ToolRequested) -> None:
        return

    async def _upload(self, request: ToolRequested, result: bytes, key: AnswerKey | None) -> BlobRef:
        return BlobRef(sha256(result).hexdigest(), len(result))


def _chosen(tool: Tool | Worker, name: str) -> Tool:
    found = [one for one in (tool.tools if isinstance(tool, Worker) else (tool,)) if one.name == name]
    if not found:
        raise ValueError(f"the request is for tool {name!r}, which this does not serve")
    return found[0]
