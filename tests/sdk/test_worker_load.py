"""Many calls at once in one worker, and many that waited for it: a process of its own, on a real server."""

import time
from pathlib import Path

import msgspec
import pytest
from nats.js import JetStreamContext
from tests.sdk.services import Log, ToolGateway, request
from tests.support.processes import Process, Processes
from tests.support.wait import until

from stenograph_events.types import ToolRequested
from stenograph_sdk import cli

AT_ONCE = 200
TOOLS = f"""
import asyncio
import threading
from stenograph_sdk import tool

arrived: list[int] = []
everybody = asyncio.Event()
together = threading.Barrier({AT_ONCE})

@tool("wait-for-all", retry="safe")
async def wait_for_all(number: int) -> int:
    arrived.append(number)
    if len(arrived) == {AT_ONCE}:
        everybody.set()
    await everybody.wait()
    return number

@tool("block-for-all", retry="safe")
def block_for_all(number: int) -> int:
    together.wait()
    return number

@tool("count", retry="safe")
async def count(number: int) -> int:
    return number
"""


def started(processes: Processes, directory: Path, url: str) -> Process:
    path = directory / "tools.py"
    path.write_text(TOOLS)
    options = ("--nats-url", url, "--concurrency", str(AT_ONCE), "--name", "w-1")
    return processes.start("worker", "-m", cli.__name__, str(path), *options)


def requests(log: Log, tool: str, count: int) -> list[ToolRequested]:
    """Return `count` requests, each with a number to answer."""
    made = (request(tool, {"number": i}, call=f"c{i}", seconds=600) for i in range(count))
    return [msgspec.structs.replace(one, session=log.session) for one in made]


async def answers(tool_gateway: ToolGateway, asked: list[ToolRequested]) -> list[int]:
    """Return what was answered, in the order of the requests, as soon as all are."""
    found = [await until(lambda one=one: tool_gateway.answer(one), 60.0) for one in asked]  # type: ignore[misc]
    return [msgspec.json.decode(one.result) for one in found]


@pytest.mark.parametrize("tool", ["wait-for-all", "block-for-all"])
async def test_one_worker_holds_two_hundred_calls_at_once(
    processes: Processes, tool_gateway: ToolGateway, log: Log, nats_url: str, tmp_path: Path, tool: str
):
    """No handler returns before all have begun, coroutines or threads: an answer says that all ran at once."""
    worker = started(processes, tmp_path, nats_url)
    await worker.line("worker.serving", timeout=40)
    asked = requests(log, tool, AT_ONCE)

    await log.append(*asked)

    assert await answers(tool_gateway, asked) == list(range(AT_ONCE))
    assert worker.stop() == 0


@pytest.mark.parametrize("queued", [300, pytest.param(10_000, marks=[pytest.mark.soak, pytest.mark.timeout(600)])])
async def test_calls_that_waited_for_a_worker_are_all_answered_once(
    processes: Processes,
    tool_gateway: ToolGateway,
    log: Log,
    nats_url: str,
    js: JetStreamContext,
    tmp_path: Path,
    queued: int,
):
    """Half of them came before any worker, the other half while it drains; each has one answer, and none is left."""
    asked = requests(log, "count", queued)
    await log.append(*asked[: queued // 2])
    worker = started(processes, tmp_path, nats_url)
    await worker.line("tool.served tool=count")
    began = time.monotonic()
    await log.append(*asked[queued // 2 :])

    async def drained() -> bool:
        return await tool_gateway.acked_requests() >= queued

    await until(drained, timeout=500, what="every request is acked")
    print(f"drained {queued} calls in {time.monotonic() - began:.1f} s")
    assert await answers(tool_gateway, asked) == list(range(queued))
    assert (await js.stream_info("TOOLS")).state.messages == 0
    await until(lambda: worker.output().count("tool.succeeded tool=count") == queued, what="each has one line")
