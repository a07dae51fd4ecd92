"""The tools of a real MCP server, served by a worker: over stdio and over HTTP, through deaths, changes and cancels."""

import asyncio
import os
import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from mcp_types import CallToolResult, ImageContent, TextContent
from tests.sdk.services import Log, ToolGateway, request
from tests.sdk.test_worker import running
from tests.support.agents import CALL_THEN_SAY
from tests.support.processes import Process, Processes
from tests.support.running import stage
from tests.support.services import Stage
from tests.support.wait import until

from stenograph_events.types import ToolSucceeded
from stenograph_sdk import McpUnavailable, OutcomeUnknown, ToolError, Worker, cli, options
from stenograph_sdk.mcp_link import Link, Server, needs_mcp
from stenograph_sdk.mcp_pins import Pins
from stenograph_sdk.mcp_tools import Choice, McpTools, our_names, result_of
from stenograph_sdk.testing import Progress, run_tool, tool_request
from stenograph_sdk.testing import result_of as value_of
from stenograph_services.runtime.nats_server import free_ports

__all__ = ["stage"]

SERVER = Path(__file__).with_name("mcp_server.py")
FOLDER = "STENOGRAPH_TEST_FOLDER"
ALL = Choice()


class Shop(NamedTuple):
    """A server over HTTP, which all tests share that do it no harm."""

    server: Server
    folder: Path


@pytest.fixture(scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    processes = Processes(folder)
    try:
        (port,) = free_ports(1)
        await started(processes, folder, port)
        yield Shop(at(port), folder)
    finally:
        await asyncio.to_thread(processes.stop_all)


def at(port: int) -> Server:
    return Server(url=f"http://127.0.0.1:{port}/mcp")


async def started(processes: Processes, folder: Path, port: int) -> Process:
    """Start a server over HTTP."""
    server = processes.start("mcp", str(SERVER), str(port), env={FOLDER: str(folder)})
    await server.line("Uvicorn running")
    return server


def stdio(folder: Path) -> Server:
    return Server(command=(sys.executable, str(SERVER)), env={FOLDER: str(folder)})


@asynccontextmanager
async def served(
    server: Server, choice: Choice = ALL, pins: Path | None = None, *accepted: str
) -> AsyncIterator[McpTools]:
    """Yield the tools of a server, without a worker: the kit for tests runs them."""
    async with Link(server) as link:
        yield McpTools(link, choice, Pins(pins, server.name, accepted) if pins else None)


def effects(folder: Path) -> list[str]:
    return (folder / "effects").read_text().splitlines() if (folder / "effects").exists() else []


async def answer(
    tools: McpTools, name: str, arguments: Any = None, progress: list[Progress] | None = None, **more: Any
) -> Any:
    [tool] = [one for one in tools.tools if one.name == name]
    return await run_tool(tool, tool_request(name, arguments, retry=tool.retry, **more), progress=progress)


# ---- what is offered, and what comes back


async def test_tools_are_offered_with_their_schemas_and_answer_in_json(shop: Shop):
    async with served(shop.server, Choice(safe=["files.read"])) as tools:
        offered = {tool.name: tool for tool in tools.tools}
        account = await answer(tools, "get-account", {"userId": "u1"})
        text = await answer(tools, "files-read", {"path": "a"})
        picture = await answer(tools, "draw")
        failed = await answer(tools, "fail")
        wrong = await answer(tools, "get-account", {"userId": 7})

    assert offered["get-account"].parameters["required"] == ["userId"]
    assert offered["get-account"].description == "Look up what somebody pays for."
    assert {name: tool.retry for name, tool in offered.items() if tool.retry == "safe"} == {"files-read": "safe"}
    assert value_of(account) == {"plan": "pro of u1"}
    assert value_of(text) == "what stands in a"
    assert [part["type"] for part in value_of(picture)["content"]] == ["text", "image"]
    assert value_of(picture)["content"][1] == {"type": "image", "data": "iVBORw0KGgo=", "mimeType": "image/png"}
    assert (failed.outcome, failed.error) == ("failed", "Error executing tool fail: there is no such file")
    assert wrong.outcome == "failed"
    assert "userId" in (wrong.error or "")


async def test_what_a_server_says_of_its_progress_is_the_calls(tmp_path: Path, shop: Shop):
    told: list[list[Progress]] = [[], []]

    for kept, server in zip(told, (shop.server, stdio(tmp_path)), strict=True):
        async with served(server) as tools:
            counted = await answer(tools, "count", progress=kept)
        assert value_of(counted) == "two"

    assert told[0] == told[1] == [Progress("one of two", 1, 2, k=1), Progress("", 2, 2, k=2)]


@pytest.mark.parametrize(
    ("content", "structured", "value"),
    [
        ([], None, None),
        ([TextContent(text="a")], None, "a"),
        ([TextContent(text="a"), TextContent(text="b")], None,
         {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}),
        ([TextContent(text="{}")], {"a": 1}, {"a": 1}),
        ([], [1, 2], [1, 2]),
        ([ImageContent(data="AA==", mime_type="image/png")], {"a": 1},
         {"structuredContent": {"a": 1}, "content": [{"type": "image", "data": "AA==", "mimeType": "image/png"}]}),
    ],
)  # fmt: skip
def test_an_answer_becomes_the_json_that_it_is(content: Any, structured: Any, value: Any):
    assert result_of(CallToolResult(content=content, structured_content=structured)) == value


@pytest.mark.parametrize(
    ("content", "reason"),
    [([TextContent(text="no"), TextContent(text="not today")], "no\nnot today"), ([], "does not say why")],
)
def test_an_error_stays_one(content: Any, reason: str):
    with pytest.raises(ToolError, match=reason):
        result_of(CallToolResult(content=content, structured_content={"a": 1}, is_error=True))


def test_names_become_ours_and_never_one():
    long = "x" * 70
    names = our_names(["read_file", "files.read", "files/read", "a b", long, long + "y", "a-b"])

    assert names["read_file"] == "read_file"
    assert names["a-b"] == "a-b"
    assert names["a b"].startswith("a-b-")
    assert len(set(names.values())) == len(names)
    assert all(len(one) <= 64 and one.replace("-", "").replace("_", "").isalnum() for one in names.values())


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Choice(only=["files.read", "get-account"]), {"get-account": "never", "files-read": "never"}),
        (Choice(only=["files-read"], safe=["files-read"]), {"files-read": "safe"}),
        (Choice(only=["get-account", "draw"], trust_annotations=True), {"get-account": "safe", "draw": "never"}),
        (Choice(only=["get-account", "draw"], retry="safe"), {"get-account": "safe", "draw": "safe"}),
    ],
)
async def test_a_choice_says_which_are_served_and_which_may_run_again(
    shop: Shop, choice: Choice, expected: dict[str, str]
):
    async with served(shop.server, choice) as tools:
        assert {tool.name: tool.retry for tool in tools.tools} == expected


async def test_a_name_that_it_does_not_have_is_an_error(shop: Shop):
    with pytest.raises(McpUnavailable, match="it has no tool 'files-rite'; its tools are change, count, draw, fail"):
        async with served(shop.server, Choice(only=["files-rite"])):
            pass


# ---- a server that is not there


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        (Server(command=("no-such-command",)), "No such file or directory: 'no-such-command'"),
        (Server(command=(sys.executable, "-c", "")), "it ended before it answered; --verbose shows what it writes"),
        (Server(url="http://user:secret@127.0.0.1:9/mcp?key=secret"), "All connection attempts failed"),
    ],
)
async def test_a_server_that_does_not_start_is_an_error_that_names_it(server: Server, reason: str):
    with pytest.raises(McpUnavailable, match=reason) as raised:
        async with served(server):
            pass

    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "in_clear"),
    [("http://mcp.example.com/mcp", True), ("https://mcp.example.com/mcp", False), ("http://127.0.0.1:1/mcp", False)],
)
def test_what_leaves_the_machine_without_tls_is_in_clear(url: str, in_clear: bool):
    assert Server(url=url).in_clear is in_clear


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "mcp", None)

    with pytest.raises(McpUnavailable, match=r"pip install 'stenograph-sdk\[mcp\]'"):
        needs_mcp(Server(url="http://127.0.0.1:9/mcp"))


async def test_a_server_that_dies_is_started_again_and_a_safe_call_sent_again(tmp_path: Path):
    (tmp_path / "die").touch()
    async with served(stdio(tmp_path), Choice(safe=["send-mail"])) as tools:
        sent = await answer(tools, "send-mail", {"to": "a@b"})

    assert value_of(sent) == {"result": "sent to a@b"}
    assert effects(tmp_path) == ["send-mail a@b"] * 2


async def test_a_call_that_must_not_run_again_is_not_answered_when_its_server_dies(
    tool_gateway: ToolGateway, log: Log, nats_url: str, tmp_path: Path
):
    """So at its deadline the tool gateway finds the claim, and records what is true."""
    (tmp_path / "die").touch()
    async with served(stdio(tmp_path), Choice(only=["send-mail"])) as tools:
        worker = Worker(nats_url)
        worker.add(*tools.tools)
        async with running(worker):
            asked = msgspec.structs.replace(request("send-mail", {"to": "a@b"}, retry="never"), session=log.session)
            await log.append(asked)

            async def acked() -> bool:
                return await tool_gateway.acked_requests() == 1

            await until(acked)
            assert await tool_gateway.answer(asked) is None
        later = await answer(tools, "send-mail", {"to": "c@d"})

    assert later.outcome == "succeeded"
    assert effects(tmp_path) == ["send-mail a@b", "send-mail c@d"]


async def test_a_server_that_does_not_come_back_in_time_ran_nothing(shop: Shop):
    async with served(shop.server, Choice(safe=["send-mail"])) as tools:
        link = tools._link
        link._lost(link._client)  # type: ignore[arg-type]
        link.server = Server(command=("no-such-command",))
        failed = await answer(tools, "send-mail", {"to": "nobody"}, seconds=1.5)

    assert (failed.outcome, failed.error) == ("failed", "the MCP server was not there in time: the call did not run")
    assert "send-mail nobody" not in effects(shop.folder)


async def test_a_call_that_is_cancelled_is_cancelled_over_there(shop: Shop):
    async with served(shop.server) as tools:
        call = asyncio.create_task(answer(tools, "wait"))
        await until(lambda: "wait" in effects(shop.folder))
        call.cancel()
        await until((shop.folder / "cancelled").exists)
        with pytest.raises(asyncio.CancelledError):
            await call


async def test_a_deadline_ends_a_call_over_there(shop: Shop):
    (shop.folder / "cancelled").unlink(missing_ok=True)
    async with served(shop.server) as tools:
        with pytest.raises(OutcomeUnknown):
            await answer(tools, "wait", seconds=1.5)
        await until((shop.folder / "cancelled").exists)


# ---- pins


async def test_a_tool_that_changes_is_off_at_once(tmp_path: Path):
    """A server that turns bad after it was looked at gets nobody to read its new words."""
    async with served(stdio(tmp_path)) as tools:
        before = await answer(tools, "files-read", {"path": "a"})
        await answer(tools, "change")

        async def off() -> bool:
            return bool((await answer(tools, "files-read", {"path": "a"})).outcome == "failed")

        await until(off, what="the changed tool is off")
        failed = await answer(tools, "files-read", {"path": "a"})
        other = await answer(tools, "get-account", {"userId": "u1"})

    assert before.outcome == other.outcome == "succeeded"
    assert "it is off until its operator accepts it with --accept " in (failed.error or "")


async def test_a_changed_tool_stays_off_after_a_restart_until_it_is_accepted(
    shop: Shop, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """The file has what the server said of the tool when somebody looked at it."""
    path = tmp_path / "deep" / "pins.json"
    async with served(shop.server, pins=path) as tools:
        now = tools.hash_of(next(tool for tool in tools.tools if tool.name == "files-read"))
    path.write_text(path.read_text().replace(now, "1" * 32))

    async with served(shop.server, ALL, path, "0" * 32) as tools:
        failed = await answer(tools, "files-read", {"path": "a"})
        other = await answer(tools, "get-account", {"userId": "u1"})
    async with served(shop.server, ALL, path, now) as tools:
        accepted = await answer(tools, "files-read", {"path": "a"})
    async with served(shop.server, pins=path) as tools:
        for_good = await answer(tools, "files-read", {"path": "a"})

    assert (failed.outcome, other.outcome) == ("failed", "succeeded")
    assert now in (failed.error or "")
    assert accepted.outcome == for_good.outcome == "succeeded"
    assert f"mcp.accepted_nothing server={shop.server.name} accepted={'0' * 32}" in caplog.text
    assert f"mcp.tool_changed tool=files-read was={'1' * 32} now={now}" in caplog.text


def test_a_list_is_accepted_as_a_whole(tmp_path: Path):
    from stenograph_sdk.mcp_pins import hash_of_all

    path = tmp_path / "pins.json"
    before, after = {"a": "1", "b": "2"}, {"a": "1", "b": "3", "c": "4"}

    assert Pins(path, "one").hold(before) == before
    assert Pins(path, "one").hold(after) == before
    assert Pins(path, "one", ["4"]).hold(after) == before | {"c": "4"}
    assert Pins(path, "one", [hash_of_all(after)]).hold(after) == after
    assert Pins(path, "other").hold({"a": "9"}) == {"a": "9"}
    assert msgspec.json.decode(path.read_bytes()) == {"one": after, "other": {"a": "9"}}


def test_pins_that_cannot_be_read_serve_nothing(tmp_path: Path):
    (tmp_path / "pins.json").write_text("{")

    with pytest.raises(McpUnavailable, match=r"the pins in .*pins\.json cannot be read"):
        Pins(tmp_path / "pins.json", "one").hold({"a": "1"})


# ---- through the service


@pytest.mark.parametrize("way", ["stdio", "http"])
async def test_an_agent_calls_a_tool_of_an_mcp_server(
    stage: Stage, processes: Processes, shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
):
    folder = tmp_path if way == "stdio" else shop.folder
    monkeypatch.setenv(FOLDER, str(folder))
    command = shlex.join((sys.executable, str(SERVER)))
    where = ["--mcp", command, "--mcp-env", FOLDER] if way == "stdio" else ["--mcp-url", shop.server.url]
    more = ("--nats-url", stage.settings.nats_url, "--name", "w-1", "--pins", str(tmp_path / "pins.json"))
    worker = processes.start("worker", "-m", cli.__name__, *where, "--only", "get-account", *more)
    await worker.line("worker.serving worker=w-1 tools=get-account", timeout=40)
    before = len(effects(folder))

    talk = await stage.session(CALL_THEN_SAY)
    end = await talk.end_of(await talk.send(), timeout=20)

    [succeeded] = await talk.all(ToolSucceeded)
    assert end.outcome == "completed"
    assert msgspec.json.decode(succeeded.result) == {"plan": "pro of u1"}
    assert effects(folder)[before:] == ["get-account u1"]
    assert worker.stop() == 0
    assert "Traceback" not in worker.output()


@pytest.mark.soak
async def test_a_server_over_http_that_restarts_is_found_again(processes: Processes, tmp_path: Path):
    (port,) = free_ports(1)
    first = await started(processes, tmp_path, port)
    async with served(at(port), Choice(safe=["get-account"])) as tools:
        before = await answer(tools, "get-account", {"userId": "u1"})
        first.kill()
        during = asyncio.create_task(answer(tools, "get-account", {"userId": "u2"}))
        await started(processes, tmp_path, port)
        after = await during

    assert value_of(before) == {"plan": "pro of u1"}
    assert value_of(after) == {"plan": "pro of u2"}


# ---- the command line


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "name a file that defines tools, or an MCP server with --mcp or --mcp-url"),
        (["--mcp", ""], "--mcp is empty"),
        (["--mcp", "'a"], "is no command: No closing quotation"),
        (["--mcp-url", "ftp://x"], "'ftp://x' is no address: it begins with http:// or https://"),
        (["--mcp", "a", "--mcp-env", "NO_SUCH"], "--mcp-env: there is no variable NO_SUCH in the environment"),
        (["--mcp-url", "http://x", "--mcp-header", "Authorization"], "is not NAME=VARIABLE"),
        (["--mcp-url", "http://x", "--mcp-header", "A=NO_SUCH"], "--mcp-header A: there is no variable NO_SUCH"),
    ],
)
def test_a_mistake_in_the_options_is_named(capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str):
    with pytest.raises(SystemExit) as ended:
        options.parsed(arguments)

    assert ended.value.code == 2
    assert reason in capsys.readouterr().err


def test_the_list_shows_what_would_be_accepted(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    where = ["--mcp-url", shop.server.url, "--only", "files.read", "--list"]

    assert cli.main(where) == 0
    lines = capsys.readouterr().out.splitlines()
    assert cli.main([*where, "--json"]) == 0
    [tool] = msgspec.json.decode(capsys.readouterr().out)

    assert lines[0] == f"files-read  retry never, hash {tool['hash']}"
    assert lines[-1].startswith("all of them: --accept ")
    assert os.listdir(tmp_path) == []
