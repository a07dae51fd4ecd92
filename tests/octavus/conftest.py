"""A `stenograph dev` in a process of its own, and Node with the packages of the application SDK."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.octavus.npm import Node, missing_node
from tests.support.processes import Processes

from stenograph_services.runtime.nats_server import free_ports

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
KEY = "a-key-for-tests"


class Developed(NamedTuple):
    """Where a `stenograph dev` listens, and where it puts what its users connect with."""

    url: str
    nats_url: str
    creds: Path
    processes: Processes

    @property
    def env(self) -> dict[str, str]:
        """The environment of an application."""
        return {"STENOGRAPH_URL": self.url, "STENOGRAPH_API_KEY": KEY, "STENOGRAPH_NATS_URL": self.nats_url}


@pytest.fixture(scope="session")
def node(request: pytest.FixtureRequest) -> Node:
    """Node with the packages, which stay in pytest's cache for the next run."""
    if why := missing_node():
        pytest.skip(why)
    assert request.config.cache is not None, "pytest runs with its cache"
    return Node.installed(request.config.cache.mkdir("octavus-packages"))


@pytest.fixture(scope="module")
async def dev(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Developed]:
    """A service to develop against, with the agents of ./agents and of tests/octavus/agents."""
    folder = tmp_path_factory.mktemp("dev")
    for agents in (ROOT / "agents", HERE / "agents"):
        shutil.copytree(agents, folder / "agents", dirs_exist_ok=True)
    processes = Processes(folder)
    try:
        yield await _started(processes, folder)
    finally:
        await asyncio.to_thread(processes.stop_all)


async def _started(processes: Processes, folder: Path) -> Developed:
    port, nats_port = free_ports(2)
    creds = folder / "data" / "creds"
    dev = Developed(f"http://127.0.0.1:{port}", f"nats://127.0.0.1:{nats_port}", creds, processes)
    places = ("--data", str(folder / "data"), "--agents", str(folder / "agents"))
    ports = ("--port", str(port), "--nats-port", str(nats_port))
    service = processes.start("dev", "-m", "stenograph_services.cli", "dev", *places, *ports, env=dev.env)
    await service.line("Next, in another terminal", timeout=40)
    await service.answers(f"{dev.url}/readyz")
    return dev
