"""The ways in: a worker serves calls over each of them, and finds the server again that was killed."""

import importlib.util
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest
from nats.errors import Error as NatsError
from tests.security.certificates import Certificates
from tests.security.sites import server, site
from tests.security.walls import Guest, Wall, serving, walled
from tests.support.agents import CALL_THEN_SAY
from tests.support.wait import until

from stenograph_events.types import ToolSucceeded
from stenograph_sdk import CannotConnect, Client, Worker
from stenograph_sdk.connection import connect
from stenograph_services.accounts import changes
from stenograph_services.accounts.folder import KeyFolder
from stenograph_services.accounts.leafs import Site, configuration
from stenograph_services.orchestrator import app as orchestrator
from stenograph_services.runtime import service as running
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.errors import InvalidSetting, Unreachable
from stenograph_services.runtime.nats_server import free_ports, server_program
from stenograph_services.runtime.service import Running

ROOT = Path(__file__).parents[2]
TOOL = "get-account"


class Ways(NamedTuple):
    """A wall, how to reach it, and the CA that the encrypted ways are signed by."""

    wall: Wall
    urls: dict[str, str]
    ca: Path


@pytest.fixture(scope="module")
async def plain(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ways]:
    """A server that offers plain text, over TCP and WebSocket."""
    directory = tmp_path_factory.mktemp("plain")
    [port] = free_ports(1)
    listeners = f'websocket {{ listen: "127.0.0.1:{port}", no_tls: true }}'
    async with walled(directory, listeners) as wall:
        urls = {"nats": wall.server.url, "ws": f"ws://127.0.0.1:{port}"}
        yield Ways(wall, urls, Certificates(directory).ca)


@pytest.fixture(scope="module")
async def encrypted(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ways]:
    """A server that takes TLS alone, over TCP and WebSocket; the services, and the operator's commands, use it too."""
    directory = tmp_path_factory.mktemp("encrypted")
    [port] = free_ports(1)
    made = Certificates(directory)
    listeners = f'{made.tls}\nwebsocket {{ listen: "127.0.0.1:{port}", {made.tls} }}'
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("STENOGRAPH_NATS_CA", str(made.ca))
        async with walled(directory, listeners, made.ca) as wall:
            tls = wall.server.url.replace("nats://", "tls://")
            yield Ways(wall, {"tls": tls, "wss": f"wss://127.0.0.1:{port}"}, made.ca)


@pytest.fixture
def ways(request: pytest.FixtureRequest, way: str) -> Ways:
    found: Ways = request.getfixturevalue("encrypted" if way in ("tls", "wss") else "plain")
    return found


@pytest.mark.parametrize("way", ["tls", "ws", "wss"])
async def test_a_worker_serves_calls_over_it_also_after_the_server_was_killed(ways: Ways, way: str):
    wall = ways.wall
    encrypted = way in ("tls", "wss")
    worker = Worker(ways.urls[way], await wall.worker("acme", [TOOL]), name="w-1", ca=ways.ca if encrypted else None)
    worker.tool(TOOL)(lambda **_: {"plan": "x" * 700_000})  # over two chunks of a blob

    async with serving(worker):
        for kill in (False, True):
            if kill:
                await wall.server.kill()
                await wall.server.start()
            session = await wall.session("acme", CALL_THEN_SAY)
            await session.trigger(TEXT="Hi")
            succeeded = await session.until(ToolSucceeded)

            assert succeeded.worker == "w-1"
            assert succeeded.result_ref is not None


@pytest.mark.parametrize("way", ["tls", "ws", "wss"])
async def test_a_client_connects_over_it(ways: Ways, way: str):
    ca = ways.ca if way in ("tls", "wss") else None
    async with Client.connect(ways.urls[way], credentials=ways.wall.folder.platform_credentials, ca=ca) as client:
        assert client.connection.nats.is_connected


@pytest.mark.parametrize("asked", ["tls", "ca"])
async def test_whoever_asks_for_tls_says_nothing_in_plain_text(
    plain: Ways, asked: str, monkeypatch: pytest.MonkeyPatch
):
    """nats-py goes on in plain text where the server, or whoever sits on the way to it, offers no TLS."""
    url = plain.urls["nats"].replace("nats://", "tls://") if asked == "tls" else plain.urls["nats"]
    worker = Worker(url, await plain.wall.worker("acme", [TOOL]), ca=plain.ca)
    worker.tool(TOOL)(lambda: 1)

    with pytest.raises(CannotConnect, match="offers plain text only"):
        await worker.run(signals=False)
    monkeypatch.setattr(running, "CONNECT_SECONDS", 0.5)
    service = Running(orchestrator.build, Settings(nats_url=url, nats_ca=plain.ca))
    with pytest.raises(Unreachable, match="offers plain text only"):
        await service.start()
    await service.broker.stop()


@pytest.mark.parametrize("way", ["tls", "wss"])
async def test_a_certificate_of_an_unknown_ca_is_refused_at_once(ways: Ways, way: str):
    worker = Worker(ways.urls[way], await ways.wall.worker("acme", [TOOL]))
    worker.tool(TOOL)(lambda: 1)

    with pytest.raises(CannotConnect, match="certificate verify failed"):
        await worker.run(signals=False)


@pytest.mark.parametrize(
    ("url", "ca", "sentence"),
    [
        ("tls://127.0.0.1:1", "missing.pem", "missing.pem holds no certificates to trust: No such file"),
        ("tls://127.0.0.1:1", "empty.pem", "empty.pem holds no certificates to trust"),
        ("ws://127.0.0.1:1", "empty.pem", "wss:// is the other one"),
    ],
)
async def test_a_ca_that_cannot_be_used_is_named(tmp_path: Path, url: str, ca: str, sentence: str):
    (tmp_path / "empty.pem").touch()
    with pytest.raises(CannotConnect, match=sentence):
        async with Client.connect(url, ca=tmp_path / ca):
            pass
    if url.startswith("tls"):
        with pytest.raises(InvalidSetting, match=r"STENOGRAPH_NATS_CA: .*holds no certificates"):
            Running(orchestrator.build, Settings(nats_url=url, nats_ca=tmp_path / ca))


async def test_without_the_package_for_it_a_websocket_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(CannotConnect, match=r"pip install 'stenograph-sdk\[websocket\]'"):
        async with Client.connect("ws://127.0.0.1:1"):
            pass
    with pytest.raises(InvalidSetting, match=r"pip install 'stenograph\[websocket\]'"):
        Running(orchestrator.build, Settings(nats_url="ws://127.0.0.1:1"))


async def test_the_configuration_in_the_documentation_lets_workers_in_by_each_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    [shown] = re.findall(r"```conf\n(.*?)```", (ROOT / "docs" / "deployment-nats.md").read_text(), re.DOTALL)
    made, folder = Certificates(tmp_path), KeyFolder(tmp_path / "keys")
    folder.make()
    shutil.copy(folder.server_config, tmp_path)
    tcp, monitor, web, leafs, inside = free_ports(5)
    for before, after in {
        "/etc/nats": str(tmp_path), "/var/lib/nats": str(tmp_path / "store"),
        "0.0.0.0:4222": f"127.0.0.1:{tcp}", ":8222": f":{monitor}",
        "0.0.0.0:8443": f"127.0.0.1:{web}", "0.0.0.0:7422": f"127.0.0.1:{leafs}",
    }.items():  # fmt: skip
        assert before in shown
        shown = shown.replace(before, after)
    (tmp_path / "nats-server.conf").write_text(shown)
    monkeypatch.setenv("STENOGRAPH_NATS_CA", str(made.ca))
    url = f"tls://127.0.0.1:{tcp}"

    async with server(tmp_path, (server_program(), "-c", "nats-server.conf")):
        await changes.create(folder, url, "acme")
        minted = await changes.worker_credentials(folder, url, "acme", [TOOL], "", None)
        (tmp_path / "acme.creds").write_text(minted.text)
        for way in (url, f"wss://127.0.0.1:{web}"):
            connection = await connect(way, credentials=tmp_path / "acme.creds", ca=made.ca)
            assert connection.nats.is_connected
            await connection.close()
        minted = await changes.leaf_credentials(folder, url, "acme", [TOOL], "", None)
        there = tmp_path / "site"
        there.mkdir()
        (there / "leaf.creds").write_text(minted.text)
        remote = f"tls://127.0.0.1:{leafs}"
        described = Site("acme", [TOOL], minted.user, remote, f"127.0.0.1:{inside}", str(made.ca))
        (there / "leaf.conf").write_text(configuration(described))
        async with site(there) as leaf:
            await until(lambda: "JetStream using domains" in leaf.said(), what="our server has taken it in")


async def test_the_credential_of_a_leaf_node_opens_no_other_way(plain: Ways):
    wall = plain.wall
    made = await changes.leaf_credentials(wall.folder, wall.server.url, "acme", [TOOL], "", None)

    with pytest.raises(NatsError):
        await Guest.connect(wall.server.url, wall.file(made.text))
