"""How far a call is, on a terminal and in a pipe."""

import asyncio
import os
import pty
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from nats.aio.msg import Msg
from tests.cli.conftest import Stenograph
from tests.cli.test_chat import agent_of
from tests.support.agents import CALL_THEN_SAY
from tests.support.nats import processed
from tests.support.services import Stage

from stenograph_events.frames import ToolProgress, decode_frame
from stenograph_events.subjects import Pattern
from stenograph_sdk import ToolContext, Worker
from stenograph_services.cli.progress import progress_text

TAKEN_AWAY = "\r\x1b[2K"


@asynccontextmanager
async def half_way(stage: Stage) -> AsyncIterator[None]:
    """Serve a tool that goes on when its frame is out: whoever follows the session has it before its result."""
    worker, shown = Worker(stage.settings.nats_url), asyncio.Event()

    @worker.tool("get-account", retry="safe")
    async def get_account(userId: str, *, call: ToolContext) -> dict[str, str]:
        call.progress("half of \x1b[31mit", done=1, total=2)
        await shown.wait()
        return {"plan": "pro"}

    async def hear(message: Msg) -> None:
        if isinstance(decode_frame(message.data), ToolProgress):
            shown.set()

    listening = await stage.nc.subscribe(Pattern.FRAMES, cb=hear)
    await processed(stage.nc)
    serving = asyncio.create_task(worker.run(signals=False))
    yield
    worker.stop()
    await serving
    await listening.unsubscribe()


def all_of(terminal: int) -> str:
    """Return what was written to a terminal that nobody holds open any more."""
    read = b""
    with suppress(OSError):  # so Linux says that it is at its end
        while piece := os.read(terminal, 65_536):
            read += piece
    os.close(terminal)
    return read.decode()


async def test_in_a_pipe_it_is_a_line_beside_what_the_agent_says(stage: Stage, stenograph: Stenograph):
    talk = await stage.session(CALL_THEN_SAY)

    async with half_way(stage):
        ran = await stenograph("chat", await agent_of(talk), input="one\n")

    told = [line.strip() for line in ran.err.splitlines() if line.startswith("  get-account")]
    assert told[:2] == ['get-account {"userId":"u1"}', r"get-account: half of \x1b[31mit, 50 %"]
    assert told[2].startswith('get-account ok {"plan":"pro"}')
    assert ran.out == 'You have {"plan":"pro"}\n'


async def test_as_json_it_is_the_frame(stage: Stage, stenograph: Stenograph):
    talk = await stage.session(CALL_THEN_SAY)

    async with half_way(stage):
        ran = await stenograph("chat", "--session", talk.id, "--json", input="one\n")

    [frame] = [line for line in ran.lines if line.get("frame") == "tool.progress"]
    assert (frame["tool"], frame["done"], frame["total"]) == ("get-account", 1, 2)


@pytest.mark.parametrize("command", ["chat", "tail"])
async def test_on_a_terminal_it_is_a_line_that_goes_away(stage: Stage, stenograph: Stenograph, command: str):
    talk = await stage.session(CALL_THEN_SAY)
    arguments = ("chat", "--session", talk.id) if command == "chat" else ("sessions", "tail", talk.id)
    terminal, its_end = pty.openpty()
    shown = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "stenograph_services.cli", *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=its_end,
        env={**os.environ, **stenograph.env, "TERM": "xterm", "COLUMNS": "80"},
    )  # fmt: skip
    os.close(its_end)
    assert shown.stdin
    assert shown.stdout

    async with half_way(stage):
        if command == "chat":
            shown.stdin.write(b"one\n")
            shown.stdin.close()
        else:
            await shown.stdout.readline()  # it follows
            await talk.end_of(await talk.send())
            await asyncio.wait_for(shown.stdout.readuntil(b"completed"), 10)
            shown.terminate()
        await shown.stdout.read()
        await shown.wait()

    said = all_of(terminal)
    line, away, after = said.partition("get-account: half of ")[2].partition(TAKEN_AWAY)
    assert line.startswith(r"\x1b[31mit, 50 %")
    assert "\n" not in line
    assert away
    assert TAKEN_AWAY not in after


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({}, "export"),
        ({"text": "3 of 10 pages"}, "export: 3 of 10 pages"),
        ({"text": "pages", "done": 3, "total": 10}, "export: pages, 30 %"),
        ({"done": 3, "total": 10}, "export: 3 of 10"),
        ({"done": 30_000}, "export: 30,000"),
        ({"text": "pages", "done": 30_000}, "export: pages"),
        ({"text": "more than all", "done": 11, "total": 10}, "export: more than all"),
        ({"text": "of nothing", "done": 0, "total": 0}, "export: of nothing"),
    ],
)
def test_it_is_one_line(said: dict[str, Any], text: str):
    assert progress_text(ToolProgress(turn="t1", after=1, call="c1", tool="export", **said)) == text
