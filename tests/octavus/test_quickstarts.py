"""The quick starts of docs/quickstarts.md: each file on the page is cut out and run, with the addresses of the test."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.octavus.conftest import ROOT, Developed
from tests.octavus.npm import Node
from tests.support.pages import files_of

SAID = "I have your account in front of me"
PLAN = '"plan":"Team"'


def files() -> dict[str, str]:
    return files_of("quickstarts.md")


@pytest.fixture
def folder(node: Node, dev: Developed, tmp_path: Path) -> Path:
    """A folder with every file of the page, the packages of the SDK and the agents."""
    at = node.folder(tmp_path / "quickstart", [ROOT / "agents"])
    _write(at, dev)
    return at


@pytest.fixture(scope="module")
async def worker(dev: Developed, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The worker of the page, running."""
    at = tmp_path_factory.mktemp("worker")
    _write(at, dev)
    page = (ROOT / "docs" / "quickstarts.md").read_text()
    [line] = re.findall(r"^\$ stenograph-worker (.*)$", _there(page, dev), re.MULTILINE)
    arguments = line.replace("tools.py", str(at / "tools.py")).split()
    worker = dev.processes.start("worker", "-m", "stenograph_sdk.cli", *arguments)
    await worker.line("tool.served tool=get-user-account")


def _write(at: Path, dev: Developed) -> None:
    for name, text in files().items():
        (at / name).write_text(_there(text, dev))


def _there(text: str, dev: Developed) -> str:
    """Return `text` with the addresses and folders of the test."""
    text = text.replace("http://127.0.0.1:8420", dev.url).replace("nats://127.0.0.1:4222", dev.nats_url)
    return text.replace(".stenograph/creds", str(dev.creds))


async def _ran(dev: Developed, folder: Path, *command: str) -> str:
    def run() -> subprocess.CompletedProcess[str]:
        out = subprocess.PIPE
        env = {**os.environ, **dev.env}
        return subprocess.run(command, cwd=folder, env=env, stdout=out, stderr=subprocess.STDOUT, text=True, timeout=60)

    ran = await asyncio.to_thread(run)
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


def test_every_file_of_the_page_is_run_here():
    assert set(files()) == {"chat.mjs", "agents.sh", "tools.py", "chat.py", "chat.sh"}


async def test_the_javascript_of_the_page_answers_the_tool_itself(dev: Developed, folder: Path):
    said = await _ran(dev, folder, "node", "chat.mjs")

    assert SAID in said
    assert f'{PLAN},"seats":12,"userId":"user-123"' in said


async def test_the_command_line_of_the_page_updates_the_agent(dev: Developed, folder: Path):
    said = await _ran(dev, folder, "sh", "agents.sh")

    assert "Updated" in said
    assert "Support Chat" in said


async def test_the_python_of_the_page_is_answered_by_its_worker(dev: Developed, folder: Path, worker: None):
    said = await _ran(dev, folder, sys.executable, "chat.py")

    assert SAID in said
    assert PLAN in said


async def test_the_curl_of_the_page_streams_a_turn_and_reads_the_session(dev: Developed, folder: Path, worker: None):
    said = await _ran(dev, folder, "sh", "chat.sh")

    stream, _, state = said.partition("data: [DONE]")
    assert stream.startswith('data: {"type":"start"')
    assert '"type":"tool-output-available"' in stream
    assert SAID in state
