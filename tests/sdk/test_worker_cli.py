import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.sdk.services import Log, ToolGateway, request
from tests.support.processes import Processes
from tests.support.wait import until

from stenograph_sdk import NoTools, WorkerFileError, cli
from stenograph_sdk.cli import main
from stenograph_sdk.loading import load

TOOLS = """
from collections.abc import AsyncIterator
from typing import Annotated
from stenograph_sdk import FromLifespan, lifespan, tool

@lifespan
async def prefix() -> AsyncIterator[str]:
    yield "user "

@tool("get-user-account", retry="safe")
async def get_user_account(userId: str, before: Annotated[str, FromLifespan]) -> dict[str, str]:
    \"\"\"Look up what somebody pays for.

    In the books of this year.
    \"\"\"
    return {"user": before + userId}

@tool("create-support-ticket", concurrency=2)
def create_support_ticket(summary: str, labels: list[str] | None = None) -> str:
    return summary

alias = get_user_account
"""
ONE = """
from stenograph_sdk import tool

@tool("say", retry="safe")
def say() -> str:
    return "{word}"
"""


def written(directory: Path, text: str, name: str = "tools.py") -> Path:
    path = directory / name
    path.write_text(text)
    return path


def test_a_file_gives_its_tools_in_order_and_each_once(tmp_path: Path):
    found = load([written(tmp_path, TOOLS)])

    assert [tool.name for tool in found.tools] == ["get-user-account", "create-support-ticket"]
    assert [one.name for one in found.lifespans] == ["prefix"]


def test_several_files_are_served_together_and_what_they_share_once(tmp_path: Path):
    shared = written(tmp_path, TOOLS, "shared_tools.py")
    other = written(tmp_path, "from shared_tools import *\n" + ONE, "other_tools.py")

    names = [tool.name for tool in load([shared, other]).tools]

    assert names == ["get-user-account", "create-support-ticket", "say"]


def test_files_of_one_name_in_two_folders_are_two_files(tmp_path: Path):
    (tmp_path / "other").mkdir()
    other = written(tmp_path / "other", ONE)

    assert len(load([written(tmp_path, TOOLS), other]).tools) == 3


def test_two_tools_of_one_name_name_both_files(tmp_path: Path):
    paths = [written(tmp_path, ONE, "one.py"), written(tmp_path, ONE, "two.py")]

    with pytest.raises(WorkerFileError, match=r"two\.py and .*one\.py both define a tool 'say'"):
        load(paths)


def test_a_tool_is_still_the_function(tmp_path: Path):
    _, ticket = load([written(tmp_path, TOOLS)]).tools

    assert ticket("broken") == "broken"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def tool(:\n    pass\n", r"tools\.py, line 1: invalid syntax"),
        ("import os\n\nos.environ['NO_SUCH']\n", r"tools\.py, line 3: KeyError: 'NO_SUCH'"),
        ("from stenograph_sdk import tool\n@tool('a.b')\ndef a(): ...\n", r"line 2: InvalidId: tool 'a\.b' must match"),
        ("import os\nimport no_such_package\n", r"line 2: ModuleNotFoundError: No module .*; is it installed in "),
        ("from stenograph_sdk import tol\n", r"line 1: ImportError: cannot import name 'tol'"),
        ("import sys\nsys.exit(3)\n", r"line 2: SystemExit: 3"),
        ("open('no-such-file')\n", r"line 1: \[Errno 2\] No such file"),
    ],
)
def test_a_file_that_cannot_be_run_names_its_line(tmp_path: Path, text: str, reason: str):
    with pytest.raises(WorkerFileError, match=reason):
        load([written(tmp_path, text)])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x = 1\n", r"tools\.py defines no tools: decorate functions with @tool"),
        ("from stenograph_sdk import Worker\nw = Worker('nats://h')\n", r"makes a Worker itself: run it with `python "),
    ],
)
def test_a_file_without_tools_says_how_to_make_one(tmp_path: Path, text: str, reason: str):
    with pytest.raises(NoTools, match=reason):
        load([written(tmp_path, text)])


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["no-such.py"], "there is no file no-such.py"),
        (["."], ". is a folder: name the Python files in it"),
        (["pyproject.toml"], "pyproject.toml is not a Python file"),
        (["no-such.py", "--tenant", "a.b"], "there is no file no-such.py"),
        ([__file__, "--tenant", "a.b"], "defines no tools"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_1(capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str):
    assert main(arguments) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("stenograph-worker: ")
    assert reason in said[0]


def test_a_tenant_that_is_none_is_refused_before_anything_is_sent(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main([str(written(tmp_path, TOOLS)), "--tenant", "a.b"]) == 1

    assert "stenograph-worker: tenant 'a.b' must match" in capsys.readouterr().err


def test_the_tools_are_listed_without_a_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main([str(written(tmp_path, TOOLS)), "--list"]) == 0

    assert capsys.readouterr().out.splitlines() == [
        "get-user-account  retry safe",
        "    Look up what somebody pays for.",
        "    userId  string",
        "create-support-ticket  retry never, 2 at once",
        "    summary  string",
        "    labels?  list of string | null",
    ]


def test_the_list_gives_programs_the_whole_schemas(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main([str(written(tmp_path, TOOLS)), "--list", "--json"]) == 0

    account, ticket = json.loads(capsys.readouterr().out)
    assert account["parameters"]["required"] == ["userId"]
    assert account["description"].endswith("In the books of this year.")
    assert account["result"]["type"] == "object"
    assert (ticket["tool"], ticket["concurrency"]) == ("create-support-ticket", 2)


async def answered(tool_gateway: ToolGateway, log: Log, tool: str, arguments: Any = None, call: str = "c1") -> Any:
    asked = msgspec.structs.replace(request(tool, arguments, call=call), session=log.session)
    await log.append(asked)
    answer = await until(lambda: tool_gateway.answer(asked))
    return msgspec.json.decode(answer.result)


async def test_the_command_serves_until_it_is_terminated(
    processes: Processes, tool_gateway: ToolGateway, log: Log, nats_url: str, tmp_path: Path
):
    path = str(written(tmp_path, TOOLS))
    worker = processes.start("worker", "-m", cli.__name__, path, "--nats-url", nats_url, "--name", "w-1")
    await worker.line("worker.serving worker=w-1 tools=get-user-account,create-support-ticket")

    answer = await answered(tool_gateway, log, "get-user-account", {"userId": "u1"})

    assert answer == {"user": "user u1"}
    assert worker.stop() == 0
    assert "Traceback" not in worker.output()


async def test_its_log_is_json_where_that_is_asked_for_and_holds_no_argument_and_no_result(
    processes: Processes, tool_gateway: ToolGateway, log: Log, nats_url: str, tmp_path: Path
):
    failing = '@tool("fail", retry="safe")\ndef fail(secret: str) -> None:\n    raise KeyError(secret)\n'
    path = str(written(tmp_path, TOOLS + failing))
    options = ("--nats-url", nats_url, "--name", "w-1", "--log-json")
    worker = processes.start("worker", "-m", cli.__name__, path, *options)
    await worker.line("worker.serving")
    await answered(tool_gateway, log, "get-user-account", {"userId": "hunter2"})
    await answered(tool_gateway, log, "fail", {"secret": "hunter2"}, "c2")
    await worker.line("tool.failed")
    worker.stop()

    lines = [json.loads(line) for line in worker.output().splitlines()]
    [succeeded] = [line for line in lines if line.get("event") == "tool.succeeded"]
    [raised] = [line for line in lines if line.get("event") == "tool.raised"]
    ids = {"tool", "call", "attempt", "tenant", "session", "turn", "worker"}
    assert succeeded.keys() == {"at", "level", "event", "ms", "bytes"} | ids
    assert (succeeded["call"], succeeded["session"], succeeded["level"]) == ("c1", log.session, "info")
    assert (raised["error"], raised["call"]) == ("KeyError", "c2")
    assert re.fullmatch(r"tools\.py:\d+", raised["raised_at"])
    assert "hunter2" not in worker.output()


async def test_a_changed_file_is_served_by_a_new_process(
    processes: Processes, tool_gateway: ToolGateway, log: Log, nats_url: str, tmp_path: Path
):
    path = written(tmp_path, ONE.format(word="one"))
    worker = processes.start("worker", "-m", cli.__name__, str(path), "--nats-url", nats_url, "--reload")
    await worker.line("worker.serving")
    assert await answered(tool_gateway, log, "say") == "one"

    path.write_text(ONE.format(word="two") + "def broken(:\n")
    await worker.line("reloading: tools.py changed")
    await worker.line("invalid syntax")
    path.write_text(ONE.format(word="two"))
    await until(lambda: worker.output().count("worker.serving") == 2)

    assert await answered(tool_gateway, log, "say", call="c2") == "two"
    assert worker.stop() == 0
    assert "Traceback" not in worker.output()


def test_reload_without_its_package_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(__import__("sys").modules, "watchfiles", None)

    assert main([str(written(tmp_path, TOOLS)), "--reload"]) == 1
    assert "pip install 'stenograph-sdk[reload]'" in capsys.readouterr().err
