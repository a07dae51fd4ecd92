"""Where commands look for the server, and a worker that finds it."""

import os
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Stenograph
from tests.support.agents import CALL_THEN_SAY
from tests.support.processes import Processes
from tests.support.services import Stage

from stenograph_services.cli.connect import DEFAULT_URL, Place
from stenograph_services.runtime.nats_server import NatsServer

TOOLS = """\
from stenograph_sdk import tool

@tool("get-account", retry="safe")
async def get_account(userId: str) -> dict[str, str]:
    return {"plan": "pro"}
"""


async def test_the_server_of_dev_is_found_by_its_data_folder_while_it_lives(tmp_path: Path):
    async with NatsServer(tmp_path / "nats") as server:
        found = Place.of(None, "default", tmp_path).url

    assert found == server.url
    assert Place.of(None, "default", tmp_path).url == DEFAULT_URL, "the server is gone"
    assert Place.of("nats://given:1", "default", tmp_path).url == "nats://given:1"


@pytest.mark.parametrize(
    "text", ["", "x y", f"{os.getpid()}", "99999999 nats://127.0.0.1:1"], ids=["empty", "no pid", "no url", "dead"]
)
def test_a_note_of_a_server_that_cannot_be_read_is_no_server(tmp_path: Path, text: str):
    (tmp_path / "nats").mkdir()
    (tmp_path / "nats" / "nats-server.lock").write_text(text)

    assert Place.of(None, "default", tmp_path).url == DEFAULT_URL


async def test_a_worker_serves_the_tools_of_a_file_and_ends_well(
    stage: Stage, stenograph: Stenograph, processes: Processes, tmp_path: Path
):
    file = tmp_path / "tools.py"
    file.write_text(TOOLS)
    talk = await stage.session(CALL_THEN_SAY)

    worker = processes.start("worker", "-m", "stenograph_services.cli", "worker", str(file), env=stenograph.env)
    await worker.line("worker.serving")
    ran = await stenograph("sessions", "trigger", talk.id, "user-message", "-i", "TEXT=Hi")

    assert ran.code == 0, ran.err
    assert 'get-account ok  {"plan":"pro"}' in ran.out
    assert worker.stop() == 0


async def test_a_reader_that_has_enough_is_no_error(stage: Stage, stenograph: Stenograph, processes: Processes):
    talk = await stage.session()
    for _ in range(3):
        await talk.end_of(await talk.send("x" * 30_000))
    command = f"{sys.executable} -m stenograph_services.cli sessions log {talk.id} --full | head -1"

    shell = processes.start(
        "shell", "-c", f"import subprocess; subprocess.run({command!r}, shell=True)", env=stenograph.env
    )

    assert await shell.exit() == 0
    assert shell.output().split() == ["n", "time", "after", "class", "what", "took"]
