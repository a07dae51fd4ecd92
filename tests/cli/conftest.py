"""The commands as a person runs them, against all four services on a real server.

ran = await stenograph("sessions", "log", talk.id)
assert ran.code == 0, ran.err
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import structlog
from tests.support.nats import Endpoint
from tests.support.running import stage
from tests.support.services import Stage
from typer.testing import CliRunner

from stenograph_services.cli.app import main
from stenograph_services.cli.connect import hush
from stenograph_services.gateway import app as gateway
from stenograph_services.projector import app as projector

__all__ = ["stage"]


class Ran(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.out)

    @property
    def lines(self) -> list[Any]:
        """The JSON of each line."""
        return [msgspec.json.decode(line) for line in self.out.splitlines()]


class Stenograph:
    """Runs commands in this process, on a thread of their own: each has its own event loop."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env

    async def __call__(self, *arguments: str, input: str = "", **env: str) -> Ran:
        runner = CliRunner(env={"COLUMNS": None} | self.env | env)  # a pipe has no width; xdist pretends that it has
        done = await asyncio.to_thread(runner.invoke, main, arguments, input=input, prog_name="stenograph")
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return Ran(done.exit_code, done.stdout, done.stderr)


@pytest.fixture(scope="module")
async def services(shared_nats: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with Stage(shared_nats.url, tmp_path_factory.mktemp("data"), port=0, snapshot_idle_seconds=0.05) as stage:
        for build in (gateway.build, projector.build):
            await stage.start(build)
        yield stage


@pytest.fixture
def quiet() -> Iterator[None]:
    """The services of this process write no log into what a command prints."""
    before = structlog.get_config()
    hush()
    yield
    structlog.configure(**before)


@pytest.fixture
def stenograph(services: Stage, quiet: None) -> Stenograph:
    """The commands, pointed at the services by the environment."""
    return Stenograph(
        {"STENOGRAPH_NATS_URL": services.settings.nats_url, "STENOGRAPH_DATA_DIR": str(services.settings.data_dir)}
    )


@pytest.fixture
def anywhere(quiet: None, tmp_path: Path) -> Stenograph:
    """The commands where nothing runs."""
    return Stenograph({"STENOGRAPH_NATS_URL": "nats://127.0.0.1:1", "STENOGRAPH_DATA_DIR": str(tmp_path)})
