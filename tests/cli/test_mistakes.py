"""Whatever is wrong: one line on stderr, an exit code, no traceback."""

from pathlib import Path

import pytest
from tests.cli.conftest import Stenograph
from tests.support.services import Stage

from stenograph_services.runtime.nats_server import NatsServer

SESSION = "2f0193a5c1d07b7c8e9d4f60718293a4b5"

REMOTE = [
    ("agents", "list"),
    ("sessions", "show", SESSION),
    ("sessions", "log", "2f"),
    ("sessions", "tail", SESSION),
    ("sessions", "trigger", SESSION, "user-message"),
    ("sessions", "cancel", SESSION),
    ("sessions", "verify", "--all"),
    ("parked", "list"),
    ("parked", "retry", "1"),
    ("tools", "list"),
    ("chat", "support-chat"),
    ("chat", "--session", SESSION),
]
"""Every command that asks the server."""


def one_line(err: str) -> str:
    assert err.startswith("stenograph: "), err
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    return err


@pytest.mark.parametrize("command", REMOTE, ids=" ".join)
async def test_a_server_that_is_not_there_is_named(
    anywhere: Stenograph, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
):
    monkeypatch.setattr("stenograph_services.cli.connect.CONNECT_SECONDS", 0.3)

    ran = await anywhere(*command, input="Hi\n")

    assert ran.code == 1
    assert "cannot connect to NATS at nats://127.0.0.1:1: " in one_line(ran.err)
    assert ran.out == ""


async def test_a_server_that_knows_nothing_of_us_is_told_apart(nats_server: NatsServer, anywhere: Stenograph):
    for command in REMOTE:
        ran = await anywhere(*command, "--nats-url", nats_server.url, input="Hi\n")

        assert ran.code == 1, command
        assert f"the server at {nats_server.url} holds no Stenograph streams" in one_line(ran.err), command


USAGE = {
    ("sessions", "list", "--agnt", "x"): "No such option: --agnt",
    ("sessions", "lst"): "No such command 'lst'",
    ("sessions", "list", "--status", "sleeping"): "'sleeping' is none of idle, queued, running, waiting, broken",
    ("sessions", "list", "--limit", "0"): "greater than or equal to 1",
    ("sessions", "log"): "Missing argument 'ID'",
    ("sessions", "verify"): "give one ID, or --all",
    ("sessions", "verify", SESSION, "--all"): "give one ID, or --all",
    (
        "sessions",
        "trigger",
        SESSION,
        "go",
        "--input",
        "KEY",
    ): "there is no environment variable KEY",
    ("sessions", "trigger", SESSION, "go", "--input", "key"): "'key' is not KEY=VALUE, nor KEY:=JSON, nor KEY",
    ("sessions", "trigger", SESSION, "go", "--input", "KEY:=x"): "what follows KEY:= is not JSON",
    ("sessions", "trigger", SESSION, "go", "--json-input", "[1]"): "not a JSON object",
    ("agents", "new", "Bad_Name"): "'Bad_Name': the name of a slug is spelled in lower-case-with-dashes",
    ("agents", "validate"): "Missing argument 'DIR...'",
    ("parked", "show", "seven"): "Input should be a valid integer",
    ("chat",): "give an agent for a new session, or --session ID",
    ("chat", "x", "--session", SESSION): "give an agent for a new session, or --session ID",
    ("worker", "tools.py", "--concurrency", "0"): "greater than or equal to 1",
}


@pytest.mark.parametrize("command", USAGE, ids=" ".join)
async def test_a_command_line_that_cannot_be_right_exits_with_2(anywhere: Stenograph, command: tuple[str, ...]):
    ran = await anywhere(*command)

    assert ran.code == 2
    assert USAGE[command] in one_line(ran.err)
    assert "--help` for" in ran.err or "--help`)" in ran.err


@pytest.mark.parametrize("given", ["a b", "a.b", "*", ">", "", "x" * 65, "zz", "ffffff", "é"])
async def test_a_session_that_cannot_exist_is_said_to_be_none(stage: Stage, stenograph: Stenograph, given: str):
    ran = await stenograph("sessions", "log", given)

    assert ran.code == 1
    assert one_line(ran.err)


async def test_a_tenant_that_cannot_be_one_is_refused(stage: Stage, stenograph: Stenograph):
    ran = await stenograph("agents", "list", "--tenant", "a.b")

    assert ran.code == 1
    assert "tenant 'a.b' must match" in one_line(ran.err)


async def test_a_folder_without_an_index_is_named(anywhere: Stenograph, tmp_path: Path):
    ran = await anywhere("sessions", "list")

    assert ran.code == 1
    assert f"no session index at {tmp_path / 'index.db'}" in one_line(ran.err)


async def test_a_file_of_tools_that_cannot_be_loaded_is_named_with_its_line(anywhere: Stenograph, tmp_path: Path):
    broken = tmp_path / "tools.py"
    broken.write_text("x = 1\nraise ValueError('no')\n")

    failed = await anywhere("worker", str(broken))
    missing = await anywhere("worker", str(tmp_path / "none.py"))

    assert (failed.code, missing.code) == (1, 1)
    assert f"{broken}, line 2: ValueError: no" in failed.err
    assert f"there is no file {tmp_path / 'none.py'}" in missing.err


@pytest.mark.parametrize(
    "command",
    [
        *("agents new", "agents validate", "agents sync", "agents list", "chat", "worker"),
        *(f"sessions {name}" for name in ("list", "show", "log", "tail", "trigger", "cancel", "verify")),
        *(f"parked {name}" for name in ("list", "show", "retry", "drop")),
        *("tools list", "tools retire", "agents archive"),
    ],
)
async def test_every_command_teaches_with_an_example(anywhere: Stenograph, command: str):
    ran = await anywhere(*command.split(), "--help")

    assert ran.code == 0
    assert f"stenograph {command}" in ran.out.split("Example:")[1]
