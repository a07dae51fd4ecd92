"""The packages of the application SDK, 2.0.0 from npm and unmodified, against a running Stenograph.

Each file `*.test.js` is a test here; its own tests, run by Node, are sentences of their own.
"""

import asyncio
import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.octavus.conftest import HERE, ROOT, Developed
from tests.octavus.npm import Node

FILES = sorted(path.name for path in HERE.glob("*.test.js"))


@pytest.fixture(scope="module")
async def worker(dev: Developed) -> None:
    """The worker of the demo agent, running."""
    tools = str(ROOT / "agents" / "support-chat" / "tools.py")
    reached = ("--nats-url", dev.nats_url, "--credentials", str(dev.creds / "worker.creds"))
    started = dev.processes.start("worker", "-m", "stenograph_sdk.cli", tools, *reached)
    await started.line("tool.served tool=create-support-ticket")
    await started.line("tool.served tool=get-user-account")


@pytest.fixture
def project(node: Node, tmp_path: Path) -> Path:
    """The Node project, with its packages beside it."""
    return node.folder(tmp_path / "octavus", [*HERE.glob("*.js"), HERE / "agents", HERE / "mistakes"])


@pytest.mark.parametrize("file", FILES)
async def test_the_sdk_from_npm_works_unmodified(node: Node, project: Path, dev: Developed, worker: None, file: str):
    ran = await asyncio.to_thread(node.run, project, "--test", "--test-reporter=spec", file, env=dev.env)

    said = f"{ran.stdout}\n{''.join(log.read_text() for log in dev.processes.directory.glob('dev*.log'))[-3000:]}"
    assert ran.returncode == 0, said
    assert "Traceback" not in said


def test_exactly_the_published_packages_are_installed(node: Node):
    for package in ("server-sdk", "client-sdk", "cli", "core"):
        manifest = json.loads((node.modules / "@octavus" / package / "package.json").read_text())
        assert manifest["version"] == "2.0.0"


def test_the_lock_file_asks_only_the_registry_that_npm_is_set_to():
    packages = json.loads((HERE / "package-lock.json").read_text())["packages"]

    addresses = {urlsplit(package["resolved"]).hostname for package in packages.values() if "resolved" in package}
    assert addresses <= {"registry.npmjs.org"}
    assert all("integrity" in package for name, package in packages.items() if name)
