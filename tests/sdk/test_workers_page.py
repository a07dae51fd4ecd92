"""The Python of docs/workers.md, run as it stands. Its worker in JavaScript runs in tests/octavus."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.pages import files_of

from stenograph_events.testing import log, raw, session_created, tool_requested, turn_started
from stenograph_sdk import cli

FILES = files_of("workers.md")
TOOL = "get-user-account"


def test_every_file_of_the_page_is_run():
    here = {"tools.py", "orders.py", "pages.py", "accounts.py", "test_accounts.py"}

    assert set(FILES) == here | {"worker.mjs", "signatures.mjs", "seals.mjs"}


@pytest.mark.parametrize(
    ("name", "tool"),
    [("tools.py", TOOL), ("orders.py", "place-order"), ("pages.py", "export-pages"), ("accounts.py", TOOL)],
)
def test_its_tools_can_be_served(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, tool: str):
    (tmp_path / name).write_text(FILES[name])

    assert cli.main([str(tmp_path / name), "--list"]) == 0
    assert capsys.readouterr().out.startswith(f"{tool}  retry ")


def test_its_tests_pass(tmp_path: Path):
    for name in ("accounts.py", "test_accounts.py"):
        (tmp_path / name).write_text(FILES[name])
    asked = tool_requested("c1", tool=TOOL, arguments=raw({"userId": "user-123"}))
    stored = log(session_created(), turn_started(), asked)
    (tmp_path / "session.jsonl").write_bytes(b"".join(data + b"\n" for _, data in stored))

    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "test_accounts.py"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "4 passed" in ran.stdout
