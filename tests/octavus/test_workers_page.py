"""The worker in JavaScript of docs/workers.md: cut out and run, with a credential, against a server with its walls."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from nats.aio.msg import Msg
from tests.octavus.npm import Node
from tests.security.conftest import wall
from tests.security.test_signed_requests import asked, forgeries, nothing_waits
from tests.security.walls import Wall, walled
from tests.support.agents import CALL_THEN_SAY
from tests.support.pages import files_of
from tests.support.wait import until

from stenograph_events import encode
from stenograph_events.progress import Progress, read_progress
from stenograph_events.subjects import parse_answer, progress_filter
from stenograph_events.types import ToolSucceeded, TurnFinished
from stenograph_projections.invariants import Stored, check
from stenograph_services.runtime.jetstream import publish

__all__ = ["wall"]

ON_THE_PAGE = "get-user-account"
TAKES, GIVES = "({ userId }, tell)", "return { plan: 'Team', userId };"


class JavaScript:
    """The worker of the page, running."""

    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self.log = log
        self._process = process

    async def serves(self, tool: str) -> None:
        await until(lambda: f"serving {tool}" in self.said(), what=f"the worker serves {tool}")

    def said(self) -> str:
        text = self.log.read_text()
        assert self._process.poll() is None, text
        return text


@contextmanager
def running(node: Node, folder: Path, tool: str, url: str, credentials: Path, says: str = "") -> Iterator[JavaScript]:
    """Run the page's worker for `tool`; `says`: what it answers of the argument `key`, too."""
    at = node.folder(folder, [])
    for name, text in files_of("workers.md").items():
        if name.endswith(".mjs"):
            if says:
                gives = GIVES.replace("userId", f"userId, {says}")
                text = text.replace(TAKES, "({ userId, key }, tell)").replace(GIVES, gives)
            (at / name).write_text(text.replace(ON_THE_PAGE, tool))
    log = at / "log"
    with log.open("w") as out:
        command = ["node", "worker.mjs", url, str(credentials)]
        process = subprocess.Popen(command, cwd=at, stdout=out, stderr=out, text=True, env=dict(os.environ))
    try:
        yield JavaScript(process, log)
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("tool", ["get-account", "send-mail"])
async def test_a_worker_in_javascript_answers_behind_the_wall(node: Node, wall: Wall, tmp_path: Path, tool: str):
    """One of them must not run twice: it is claimed first."""
    await answers(node, wall, tmp_path, tool)


async def test_it_opens_what_is_sealed_and_seals_its_answer(node: Node, tmp_path: Path):
    async with walled(tmp_path / "sealed", sealing=True) as wall:
        session = await answers(node, wall, tmp_path, "get-account")
        stored = await wall.log.read("acme", session)

    assert [one for one in stored if b"Team" in one.data] == []
    assert [one for one in stored if b"Team" in one.plain] != []


@pytest.mark.parametrize("sealing", [True, False])
async def test_its_handler_gets_the_secrets_of_a_call(node: Node, tmp_path: Path, sealing: bool):
    """The platform has the keys that secrets need, also where nothing else is sealed."""
    parameters = "{userId: {type: string}, key: {type: string, secret: true, from: KEY}}"
    tools = f"get-account: {{description: Look it up, retry: safe, parameters: {parameters}}}\n"
    top = "input: {KEY: {type: string, secret: true}}"
    async with walled(tmp_path / "walled", sealing=sealing, keys=True) as wall:
        agent = await wall.agent("acme", CALL_THEN_SAY, tools=tools, offered="get-account", top=top)
        credentials = await wall.worker("acme", ["get-account"])
        folder, url = tmp_path / "js", wall.server.url
        with running(node, folder, "get-account", url, credentials, says="key: key.length") as worker:
            await worker.serves("get-account")
            session = await wall.session_of("acme", agent, KEY="sk-live-ü")
            await session.trigger(TEXT="Hi")
            succeeded = await session.until(ToolSucceeded)
        stored = await wall.log.read("acme", session.id)

    assert msgspec.json.decode(succeeded.result) == {"plan": "Team", "userId": "u1", "key": len("sk-live-ü")}
    assert [one for one in stored if "sk-live-ü".encode() in one.plain] == []


async def answers(node: Node, wall: Wall, tmp_path: Path, tool: str) -> str:
    """See that the page's worker answers a call of `tool`; return its session."""
    credentials, told = await wall.worker("acme", [tool]), list[Progress]()

    async def hear(message: Msg) -> None:
        assert parse_answer(message.subject).tool == tool
        told.append(read_progress(message.data))

    listening = await wall.platform.subscribe(progress_filter("acme"), cb=hear)
    with running(node, tmp_path / "js", tool, wall.server.url, credentials) as worker:
        await worker.serves(tool)
        argument = "userId: 'ü \\\"{}'" if tool == "get-account" else "to: u1"
        script = CALL_THEN_SAY.replace("get-account", tool).replace("userId: u1", argument.replace('\\"', '"'))
        session = await wall.session("acme", script)
        await session.trigger(TEXT="Hi")
        end = await session.until(TurnFinished)
        succeeded = await session.until(ToolSucceeded)
    await listening.unsubscribe()

    assert told == [Progress("asking the ledger", 1, 2, k=1)]
    result = msgspec.json.decode(succeeded.result)
    assert end.outcome == "completed"
    assert result == {"plan": "Team"} | ({"userId": 'ü "{}'} if tool == "get-account" else {})
    assert (succeeded.worker or "").startswith("node-")
    assert succeeded.signed is not None
    report = check(
        [Stored(one.sequence, None, one.data, one.opened) for one in await wall.log.read("acme", session.id)]
    )
    assert report.ok
    assert report.rules["signed-answers"] == 1
    return session.id


async def test_it_runs_what_the_platform_signed_and_nothing_else(node: Node, wall: Wall, tmp_path: Path):
    session, true = await asked(wall)
    for request, subject in forgeries(true):
        await publish(wall.platform, subject, encode(request))
    credentials = await wall.worker("acme", ["get-account"])

    with running(node, tmp_path / "js", "get-account", wall.server.url, credentials):
        end = await session.until(TurnFinished)
        await until(lambda: nothing_waits(wall), what="every forgery was looked at")

    succeeded = await session.until(ToolSucceeded)
    assert end.outcome == "completed"
    assert msgspec.json.decode(succeeded.result) == {"plan": "Team", "userId": "u1"}
