from pathlib import Path

import msgspec
import pytest
from tests.sdk.services import Log, ToolGateway, request
from tests.support.processes import Processes
from tests.support.wait import until

from stenograph_sdk import NoTools, WorkerFileError, cli
from stenograph_sdk.cli import load_tools, main

TOOLS = """
from stenograph_sdk import tool

@tool("get-user-account", retry="safe")
async def get_user_account(userId: str) -> dict[str, str]:
    return {"user": userId}

@tool("create-support-ticket")
def create_support_ticket(summary: str) -> str:
    return summary

alias = get_user_account
"""


def written(directory: Path, text: str) -> Path:
    path = directory / "tools.py"
    path.write_text(text)
    return path


def test_a_file_gives_its_tools_in_order_and_each_once(tmp_path: Path):
    tools = load_tools(written(tmp_path, TOOLS))

    assert [tool.name for tool in tools] == ["get-user-account", "create-support-ticket"]


def test_a_tool_is_still_the_function(tmp_path: Path):
    _, ticket = load_tools(written(tmp_path, TOOLS))

    assert ticket("broken") == "broken"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def tool(:\n    pass\n", r"tools\.py, line 1: invalid syntax"),
        ("import os\n\nos.environ['NO_SUCH']\n", r"tools\.py, line 3: KeyError: 'NO_SUCH'"),
        ("from stenograph_sdk import tool\n@tool('a.b')\ndef a(): ...\n", r"line 2: InvalidId: tool 'a\.b' must match"),
    ],
)
def test_a_file_that_cannot_be_run_names_its_line(tmp_path: Path, text: str, reason: str):
    with pytest.raises(WorkerFileError, match=reason):
        load_tools(written(tmp_path, text))


def test_a_file_without_tools_says_how_to_make_one(tmp_path: Path):
    with pytest.raises(NoTools, match=r"tools\.py defines no tools: decorate functions with @tool"):
        load_tools(written(tmp_path, "x = 1\n"))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["no-such.py"], "there is no file no-such.py"),
        (["no-such.py", "--tenant", "a.b"], "tenant 'a.b' must match"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_1(capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str):
    assert main(arguments) == 1
    assert f"stenograph-worker: {reason}" in capsys.readouterr().err


async def test_the_command_serves_until_it_is_terminated(
    processes: Processes, tool_gateway: ToolGateway, log: Log, nats_url: str, tmp_path: Path
):
    path = str(written(tmp_path, TOOLS))
    worker = processes.start("worker", "-m", cli.__name__, path, "--nats-url", nats_url, "--name", "w-1")
    await worker.line("worker.serving worker=w-1 tools=get-user-account,create-support-ticket")
    asked = msgspec.structs.replace(request("get-user-account", {"userId": "u1"}), session=log.session)
    await log.append(asked)

    answer = await until(lambda: tool_gateway.answer(asked))

    assert bytes(answer.result) == b'{"user":"u1"}'
    assert worker.stop() == 0
    assert "Traceback" not in worker.output()
