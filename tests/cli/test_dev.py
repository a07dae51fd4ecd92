"""`stenograph dev` as a person starts it: a process of its own, its words in a file."""

import os
import re
import shutil
import signal
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import httpx
import nats
import pytest
from nats.errors import Error as NatsError
from tests.cli.conftest import Stenograph
from tests.security.walls import serving
from tests.support.processes import Process, Processes
from tests.support.wait import until

from stenograph_sdk import Client, Worker

AGENT = Path(__file__).parents[2] / "agents" / "support-chat"

Start = Callable[..., Process]


@pytest.fixture
def agents(tmp_path: Path) -> Path:
    folder = tmp_path / "agents"
    folder.mkdir()
    return folder


@pytest.fixture
def start(processes: Processes, tmp_path: Path, agents: Path) -> Start:
    """Start `dev` on the test's own folders; what is given comes after that."""

    def started(*arguments: str) -> Process:
        folders = ("--data", str(tmp_path / "data"), "--agents", str(agents))
        return processes.start("dev", "-m", "stenograph_services.cli", "dev", *folders, *arguments)

    return started


@pytest.fixture
def commands(quiet: None, tmp_path: Path) -> Stenograph:
    """The commands, which know of the data folder and of no address."""
    return Stenograph({"STENOGRAPH_DATA_DIR": str(tmp_path / "data")})


async def shown(dev: Process, name: str) -> str:
    """Return what the banner says under `name`."""
    await dev.line("Next, in another terminal")
    found = re.search(rf"^ +{name} +(\S+)", dev.output(), re.MULTILINE)
    assert found, dev.output()
    return found[1]


async def test_dev_serves_http_with_the_key_it_shows_and_ends_well_on_sigterm(start: Start, agents: Path):
    shutil.copytree(AGENT, agents / "support-chat")

    dev = start()
    url, key = await shown(dev, "HTTP"), await shown(dev, "API key")
    await dev.answers(f"{url}/healthz")
    async with httpx.AsyncClient(trust_env=False, headers={"authorization": f"Bearer {key}"}) as http:
        ready = (await http.get(f"{url}/readyz")).json()
        created = await http.post(
            f"{url}/api/agent-sessions", json={"agentId": "support-chat", "input": {"COMPANY_NAME": "Acme"}}
        )

    assert ready["durable"] == "true"
    assert created.is_success, created.text
    assert "stenograph chat support-chat" in dev.output()
    assert dev.stop() == 0
    assert "Traceback" not in dev.output()


async def test_a_second_start_on_the_same_folder_says_who_has_it(start: Start):
    first = start()
    nats = await shown(first, "NATS")

    second = start()

    assert await second.exit() == 1
    assert f"is in use by nats-server {_server(first)} at {nats}" in second.output()
    assert len(second.output().splitlines()) == 1
    assert first.returncode is None


async def test_an_empty_agents_folder_is_fine_and_an_agent_that_comes_is_stored(start: Start, agents: Path):
    dev = start()
    assert await shown(dev, "Agents") == "none"

    shutil.copytree(AGENT, agents / "support-chat")

    await dev.line("support-chat is stored as version")


async def test_a_changed_agent_is_stored_and_a_broken_one_leaves_the_version_before(start: Start, agents: Path):
    shutil.copytree(AGENT, agents / "support-chat")
    protocol = agents / "support-chat" / "protocol.yaml"
    sound = protocol.read_text()
    dev = start()
    await dev.line("Next, in another terminal")

    protocol.write_text(sound.replace("maxSteps: 8", "maxSteps: eight"))
    problem = await dev.line("protocol.yaml:")
    protocol.write_text(sound.replace("maxSteps: 8", "maxSteps: 9"))
    await dev.line("support-chat is stored as version")

    assert "maxSteps" in problem
    assert "a version from before stays" in dev.output()
    assert dev.stop() == 0


async def test_dev_goes_on_where_it_stood_when_it_is_started_again(start: Start, agents: Path):
    shutil.copytree(AGENT, agents / "support-chat")
    first = start()
    await dev_ready(first)
    assert first.stop() == 0
    shutil.rmtree(agents / "support-chat")

    second = start()

    assert await shown(second, "Agents") == "support-chat"


async def test_a_port_that_was_given_and_is_taken_is_an_error(start: Start, tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        http, nats = start("--port", str(port)), start("--nats-port", str(port), "--data", str(tmp_path / "other"))

        assert await http.exit() == 78
        assert f"port {port} is taken" in http.output()
        assert await nats.exit() == 1
        assert str(port) in nats.output()
    assert "Traceback" not in http.output() + nats.output()


async def test_a_folder_that_is_not_there_is_named(start: Start):
    dev = start("--agents", "nowhere")

    assert await dev.exit() == 2
    assert "nowhere" in dev.output()


async def test_dev_ends_with_a_word_when_its_server_is_killed(start: Start):
    dev = start()
    await dev_ready(dev)

    os.kill(_server(dev), signal.SIGKILL)

    assert await dev.exit(40) == 1
    assert "nats-server ended" in dev.output()


async def test_dev_lets_in_who_has_a_credential_and_nobody_else(
    start: Start,
    agents: Path,
    tmp_path: Path,
    processes: Processes,
    commands: Stenograph,
    monkeypatch: pytest.MonkeyPatch,
):
    """An application and a worker hold the files that it made; the commands find what they need by themselves."""
    monkeypatch.setenv("STENOGRAPH_SEALING", "on")  # the keys for that are in these files, too
    shutil.copytree(AGENT, agents / "support-chat")
    dev = start()
    url = await shown(dev, "NATS")
    [line] = re.findall(r"Client\.connect\((.*)\)", dev.output())
    app, worker_file = line.partition('credentials="')[2].strip('"'), tmp_path / "data" / "creds" / "worker.creds"

    with pytest.raises(NatsError):
        await nats.connect(url, allow_reconnect=False, connect_timeout=2)
    own = ("-m", "stenograph_services.cli", "worker", str(AGENT / "tools.py"))
    worker = processes.start("worker", *own, env=commands.env)
    await worker.line("worker.serving")
    async with Client.connect(url, credentials=app) as client:
        session = await client.sessions.create("support-chat", {"COMPANY_NAME": "Acme"})
        answer = await session.ask("user-message", {"USER_MESSAGE": "What plan am I on?"})
    late = Worker(url, worker_file)
    late.tool("late")(lambda: 1)
    async with serving(late):  # a tool that nobody knew when the file was made
        pass
    tools = await commands("tools", "list", "--json")

    async def is_listed() -> bool:
        listed = await commands("sessions", "list", "--json")
        return listed.code == 0 and session.id in [one["session"] for one in listed.json]

    await until(is_listed, what="the projector has written the session into the index")
    assert answer
    assert [one["tool"] for one in tools.json] == ["create-support-ticket", "get-user-account", "late"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in (Path(app), worker_file)} == {0o600}
    assert [(tmp_path / "data" / name / ".gitignore").read_text() for name in ("keys", "creds")] == ["*\n"] * 2
    assert "permissions violation" not in worker.output()
    assert worker.stop() == 0
    assert dev.stop() == 0
    assert "Traceback" not in dev.output()


async def test_what_was_stored_without_keys_is_there_behind_the_wall_and_the_other_way_round(
    start: Start, agents: Path, commands: Stenograph
):
    shutil.copytree(AGENT, agents / "support-chat")
    logs: list[str] = []
    for way in (("--insecure",), (), ("--insecure",)):
        dev = start(*way)
        url = await shown(dev, "NATS")
        assert ("whoever reaches it may do everything" in dev.output()) is bool(way)
        if not logs:
            async with Client.connect(url) as client:
                session = await client.sessions.create("support-chat", {"COMPANY_NAME": "Acme"})
        ran = await commands("sessions", "log", session.id, "--json")
        assert ran.code == 0, ran.err
        logs.append(ran.out)
        assert dev.stop() == 0

    assert logs[0].count("session.created") == 1
    assert logs == [logs[0]] * 3


async def test_a_store_of_two_accounts_is_left_alone_and_named(start: Start, tmp_path: Path):
    for account in ("$G", "AOTHER"):
        (tmp_path / "data" / "nats" / "jetstream" / account / "streams" / "TRIG").mkdir(parents=True)

    dev = start()

    assert await dev.exit() == 1
    assert "holds streams of $G and AOTHER: move all but one of these folders" in dev.output()


async def dev_ready(dev: Process) -> None:
    await dev.line("Next, in another terminal")


def _server(dev: Process) -> int:
    """Return the process id of the nats-server that `dev` started."""
    data = re.search(r"^ +Data +(\S+)", dev.output(), re.MULTILINE)
    assert data, dev.output()
    return int((Path(data[1]) / "nats" / "nats-server.lock").read_text().split()[0])
