"""`stenograph tools …`: which tools workers serve, and how one of them becomes the clients'."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.cli.conftest import Stenograph
from tests.support.agents import CALL_THEN_SAY
from tests.support.services import TENANT, Stage
from tests.support.wait import until

from stenograph_events.types import ToolRefused, ToolSucceeded
from stenograph_sdk import Worker
from stenograph_services.runtime.breaker import Terms, opened
from stenograph_services.runtime.registry import ToolEntry, ToolRegistry

TOOL = "get-account"


@asynccontextmanager
async def working(stage: Stage) -> AsyncIterator[None]:
    """Let a worker serve the tool."""
    worker = Worker(stage.settings.nats_url, name="w-1")

    @worker.tool(TOOL)
    async def get_account(userId: str) -> dict[str, str]:
        """What somebody pays for."""
        return {"plan": "pro"}

    running = asyncio.create_task(worker.run(signals=False))
    await worker.serving.wait()
    yield
    worker.stop()
    await running


async def broken(stage: Stage) -> None:
    """Let the tool be one that is not asked for a minute, and the orchestrator know."""
    breaker = opened(5, datetime.now(UTC), Terms(5, timedelta(minutes=1)))
    await ToolRegistry(stage.nc).put(TENANT, ToolEntry(TOOL, "never", "w-1", datetime.now(UTC), breaker=breaker))
    await until(lambda: TOOL in known_broken(stage), what="the orchestrator knows")


def known_broken(stage: Stage) -> Any:
    service: Any = stage.running("orchestrator").service
    return service._registry.broken(TENANT)


async def listed(stenograph: Stenograph) -> dict[str, Any]:
    [found] = [one for one in (await stenograph("tools", "list", "--json")).json if one["tool"] == TOOL]
    return dict(found)


async def test_a_tool_stays_with_its_workers_until_it_is_retired(stage: Stage, stenograph: Stenograph):
    """It used to stay theirs for ever."""
    long_ago = datetime.now(UTC) - timedelta(days=3)
    await ToolRegistry(stage.nc).put(TENANT, ToolEntry(TOOL, "never", "w-1", long_ago))
    before = datetime.now(UTC)
    async with working(stage):

        async def seen() -> bool:
            return bool(datetime.fromisoformat((await listed(stenograph))["seen_at"]) >= before)

        await until(seen, what="the worker was seen")

    waits = await stage.session(CALL_THEN_SAY)
    turn = await waits.send()
    assert not (await waits.request()).client

    async def waiting() -> bool:
        return bool((await listed(stenograph))["waiting"] == 1)

    await until(waiting, what="one call waits")
    table = await stenograph("tools", "list")
    [row] = [line.split() for line in table.out.splitlines() if line.startswith(TOOL)]
    assert row[:3] == [TOOL, "w-1", "never"]
    assert row[-2:] == ["1", "yes"]

    retired = await stenograph("tools", "retire", TOOL)
    await stage.forgets(TOOL)
    assert (retired.code, retired.out) == (0, f"retired {TOOL}\n")
    assert retired.err.splitlines() == [
        "1 of its calls wait for a worker until their time is up",
        f"worker w-1 was seen a moment ago: if it still runs, it serves {TOOL} again soon",
    ]
    assert TOOL not in [one["tool"] for one in (await stenograph("tools", "list", "--json")).json]
    theirs = await stage.session(CALL_THEN_SAY)
    cancelled = await theirs.send()
    assert (await theirs.request()).client
    await theirs.cancel(cancelled)
    await theirs.end_of(cancelled)

    async with working(stage):  # it came back after all: what waited for it is answered, and it is the worker's again
        await waits.until(ToolSucceeded, turn)
        await waits.end_of(turn)
        assert (await listed(stenograph))["worker"] == "w-1"


async def test_a_worker_tells_people_what_its_tool_takes_and_gives(stage: Stage, stenograph: Stenograph):
    async with working(stage):
        page = await stenograph("tools", "show", TOOL)
        said = (await stenograph("tools", "show", TOOL, "--json")).json

    assert (said["description"], said["worker"]) == ("What somebody pays for.", "w-1")
    assert said["parameters"]["required"] == ["userId"]
    assert said["result"] == {"type": "object", "additionalProperties": {"type": "string"}}
    assert "What somebody pays for." in page.out
    assert '"userId"' in page.out


async def test_a_tool_that_no_worker_serves_is_not_shown(stenograph: Stenograph):
    missed = await stenograph("tools", "show", "send-mial")

    assert (missed.code, missed.out) == (1, "")
    assert "no worker serves a tool 'send-mial'; did you mean 'send-mail'?" in missed.err


async def test_a_tool_that_no_worker_serves_is_not_retired(stenograph: Stenograph):
    missed = await stenograph("tools", "retire", "send-mial")

    assert (missed.code, missed.out) == (1, "")
    assert missed.err == "stenograph: no worker serves a tool 'send-mial'; did you mean 'send-mail'?\n"


async def test_a_file_of_tools_is_listed_as_the_workers_own_command_does(stenograph: Stenograph):
    ran = await stenograph("worker", "agents/support-chat/tools.py", "--list", "--json")

    tools = [one["tool"] for one in ran.json]
    assert tools == ["get-user-account", "create-support-ticket"]


async def test_an_mcp_server_that_does_not_start_is_one_line(stenograph: Stenograph):
    ran = await stenograph("worker", "--mcp", "no-such-command --now", "--only", "read_file", "--list")

    assert (ran.code, ran.out) == (1, "")
    assert "MCP server 'no-such-command --now': [Errno 2] No such file or directory: 'no-such-command'" in ran.err


async def test_a_broken_tool_is_shown_and_asked_again_once_somebody_closes_its_breaker(
    stage: Stage, stenograph: Stenograph
):
    await broken(stage)
    talk = await stage.session(CALL_THEN_SAY)
    await talk.end_of(await talk.send())
    shown = await listed(stenograph)
    table, entry = await stenograph("tools", "list"), await stenograph("tools", "show", TOOL)
    [row] = [line for line in table.out.splitlines() if line.startswith(TOOL)]

    closed, again = await stenograph("tools", "close", TOOL), await stenograph("tools", "close", TOOL)
    await until(lambda: TOOL not in known_broken(stage), what="the orchestrator knows")
    turn = await talk.send()
    await talk.answer(await talk.request(), {"plan": "pro"})
    await talk.end_of(turn)

    assert len(await talk.all(ToolRefused)) == 1
    assert shown["breaker"]["failures"] == 5
    until_text = f"{datetime.fromisoformat(shown['breaker']['until']):%H:%M:%S}"
    assert row.endswith(f"not before {until_text}, failed 5 times")
    assert f"asked: not before {until_text}, failed 5 times" in entry.out
    assert (closed.code, closed.out) == (0, f"closed {TOOL}, which failed 5 times in a row\n")
    assert (again.code, again.out) == (0, f"{TOOL} is asked as it is: nothing to close\n")
    assert (await listed(stenograph))["breaker"] is None


async def test_a_tool_that_nobody_knows_cannot_be_closed(stage: Stage, stenograph: Stenograph):
    ran = await stenograph("tools", "close", "get-acount")

    assert ran.code == 1
    assert "no worker serves a tool 'get-acount'; did you mean 'get-account'?" in ran.err
