"""What every test may ask for: a real nats-server, a connected client, servers to kill, and processes."""

import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from hypothesis import HealthCheck, settings
from nats.aio.client import Client
from nats.js import JetStreamContext
from tests.support.nats import Endpoint, connect, delete_streams, server_for_tests
from tests.support.processes import Processes

from stenograph_services.runtime.nats_cluster import NatsCluster
from stenograph_services.runtime.nats_server import NatsServer

if TYPE_CHECKING:
    from xdist.scheduler import LoadFileScheduling

SOAK = os.environ.get("STENOGRAPH_SOAK") == "1"

# How long an example takes says more about the machine than about us.
settings.register_profile("stenograph", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("stenograph")

# structlog's own default draws each exception with all local values: that stops every service of a test for a second.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(),
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)

# The services that tests start as processes seal nothing, unless a test is about it and gives them keys.
os.environ.setdefault("STENOGRAPH_SEALING", "off")

# Where Python is told to keep no bytecode, each of our 200 processes would compile all that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Each write of a test's nats-server is synced before it is acknowledged. That a process dies harms no file in memory
# either, and a disk would cost a third of the time.
MEMORY = Path("/dev/shm")
if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 4 << 30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

# Started in the background, as CI may do, we and all our processes would be deaf to the Ctrl-C that tests send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


FIRST = ("faults", "demo", "octavus", "security", "sealing")
"""The folders whose tests take long: begun first, so that no worker is alone with one of them at the end."""

FIELDS = ("approvals", "kills", "pauses", "reconnects", "servers", "trials")
"""The tests of faults that run a whole system of processes: one after the other, as two would starve each other."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> "LoadFileScheduling | None":
    """Let a worker have whole files, and one worker all those of `FIELDS`."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Spread(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return "fields" if file in {f"tests/faults/test_{name}.py" for name in FIELDS} else file

    return Spread(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that take long; leave the long form of a test to `make soak`."""
    items.sort(key=lambda item: item.path.parent.name not in FIRST)
    skip = pytest.mark.skip(reason="the long form: run `make soak`")
    for item in items:
        if item.get_closest_marker("soak") and not SOAK:
            item.add_marker(skip)


@pytest.fixture(scope="session")
async def shared_nats(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Endpoint]:
    """The one nats-server of this run (of each worker, under xdist). Nothing may stop it."""
    async with server_for_tests(tmp_path_factory.mktemp("nats")) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def nats_url(shared_nats: Endpoint) -> str:
    return shared_nats.url


@pytest.fixture(scope="session")
def nats_monitor_url(shared_nats: Endpoint) -> str:
    if shared_nats.monitor_url is None:
        pytest.skip("STENOGRAPH_TEST_NATS_MONITOR_URL is not given")
    return shared_nats.monitor_url


@pytest.fixture
async def nc(nats_url: str) -> AsyncIterator[Client]:
    """A client of the shared server, which holds no stream when the test begins."""
    client = await connect(nats_url)
    await delete_streams(client.jetstream())
    yield client
    await client.close()


@pytest.fixture
def js(nc: Client) -> JetStreamContext:
    return nc.jetstream()


@pytest.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """A server of the test's own, to be killed and restarted."""
    async with NatsServer(tmp_path / "nats") as server:
        yield server


@pytest.fixture
async def nats_cluster(tmp_path: Path) -> AsyncIterator[NatsCluster]:
    """Three servers of the test's own that replicate to each other."""
    async with NatsCluster(tmp_path / "cluster") as cluster:
        yield cluster


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Start processes; all of them are gone when the test ends."""
    started = Processes(tmp_path)
    yield started
    started.stop_all()


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """A command that runs in this process silences its log; the tests after it read what services say."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)
