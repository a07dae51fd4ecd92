"""A leaf node in a customer's network: its workers hold no credential, and what passes it is one tenant's tools."""

import asyncio
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import nats
import pytest
from nats.aio.msg import Msg
from tests.cli.conftest import Stenograph
from tests.security import attempts
from tests.security.certificates import Certificates
from tests.security.sites import Site, dial, entering, outbound_only, site
from tests.security.test_wall import stored
from tests.security.walls import Session, Wall, serving, walled
from tests.support.agents import CALL_THEN_SAY
from tests.support.nats import processed
from tests.support.processes import Processes
from tests.support.wait import until

from stenograph_events.progress import Progress, read_progress
from stenograph_events.subjects import progress_filter
from stenograph_events.types import ToolRequested, ToolSucceeded
from stenograph_events.wire import Registered, Registration
from stenograph_sdk import ToolContext, Worker
from stenograph_services.runtime.jetstream import api
from stenograph_services.runtime.nats_server import free_ports, server_program

TOOL, OTHER_TOOL = "get-account", "send-mail"
SECRET = "CANARY-OF-BOLT"


class Hub(NamedTuple):
    """The wall, and where it takes leaf nodes."""

    wall: Wall
    port: int

    async def config(self, stenograph: Stenograph, directory: Path, host: str = "127.0.0.1", **given: str) -> Path:
        """Return the folder that `stenograph leaf config` wrote for acme."""
        [port] = free_ports(1)
        options = {"tools": TOOL, "url": f"nats-leaf://{host}:{self.port}", "listen": f"127.0.0.1:{port}"} | given
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        ran = await stenograph("leaf", "config", "acme", "--out", str(directory), *arguments, **self.place)
        assert ran.code == 0, ran.err
        return directory

    @property
    def place(self) -> dict[str, str]:
        wall = self.wall
        return {"STENOGRAPH_NATS_URL": wall.server.url, "STENOGRAPH_KEYS_DIR": str(wall.folder.directory)}


@pytest.fixture(scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Hub]:
    [port] = free_ports(1)
    listeners = f'leafnodes {{ listen: "0.0.0.0:{port}" }}'
    async with walled(tmp_path_factory.mktemp("hub"), listeners) as wall:
        yield Hub(wall, port)


@pytest.fixture
async def bolt(hub: Hub) -> Session:
    """A session of another tenant, with a call that waits for its worker."""
    wall = hub.wall
    offering = Worker(wall.server.url, await wall.worker("bolt", [TOOL]))
    offering.tool(TOOL, retry="safe")(lambda userId: "")
    async with serving(offering):
        pass
    session = await wall.session("bolt", CALL_THEN_SAY.replace("u1", SECRET))
    await session.trigger(TEXT=SECRET)
    await session.until(ToolRequested)

    async def deadline_is_stored() -> bool:
        found = await api(wall.platform, "STREAM.INFO.TIM", {"subjects_filter": f"tim.set.bolt.{session.id}.>"})
        return bool(found["state"].get("subjects"))

    await until(deadline_is_stored, what="its deadline is stored, so that nothing of it moves any more")
    return session


def worker_at(leaf: Site) -> Worker:
    worker = Worker(leaf.url, name="w-leaf", identity=leaf.identity)

    @worker.tool(TOOL)
    async def large(*, call: ToolContext, **_: Any) -> dict[str, str]:
        call.progress("half of it")
        return {"plan": "x" * 700_000}  # over two chunks of a blob

    return worker


async def served(hub: Hub) -> ToolSucceeded:
    session = await hub.wall.session("acme", CALL_THEN_SAY)
    await session.trigger(TEXT="Hi")
    return await session.until(ToolSucceeded)


async def test_a_worker_behind_a_leaf_node_serves_calls_also_after_our_server_was_killed(
    hub: Hub, stenograph: Stenograph, tmp_path: Path
):
    folder = await hub.config(stenograph, tmp_path / "site")
    told: list[Progress] = []

    async def hear(message: Msg) -> None:
        told.append(read_progress(message.data))

    await hub.wall.platform.subscribe(progress_filter("acme"), cb=hear)
    async with site(folder) as leaf, serving(worker_at(leaf)):
        before = await served(hub)
        await hub.wall.server.kill()
        await hub.wall.server.start()
        after = await served(hub)

    assert (before.worker, after.worker) == ("w-leaf", "w-leaf")
    assert before.result_ref is not None
    assert told[0] == Progress("half of it")
    assert stat.S_IMODE((folder / "leaf.creds").stat().st_mode) == 0o600
    assert "SEED" not in (folder / "leaf.conf").read_text()


async def test_it_does_so_from_a_network_that_reaches_outwards_only(
    hub: Hub, stenograph: Stenograph, tmp_path: Path, processes: Processes
):
    async with outbound_only() as network:
        folder = await hub.config(stenograph, tmp_path / "site", network.ours)
        tools = tmp_path / "tools.py"
        tools.write_text(
            f'from stenograph_sdk import tool\n\n@tool("{TOOL}")\ndef get(**_): return {{"plan": "Team"}}\n'
        )
        async with site(folder, network.name) as leaf:
            serve = (sys.executable, "-m", "stenograph_sdk.cli", str(tools), "--nats-url", leaf.url)
            whose = ("--identity", str(leaf.identity))
            worker = processes.start("worker", *entering(network.name, *serve, *whose)[1:])
            await worker.line("worker.serving")
            before = await served(hub)
            await hub.wall.server.kill()
            await hub.wall.server.start()
            after = await served(hub)
            port = int(leaf.url.rpartition(":")[2])

            assert before.result is not None
            assert after.result is not None
            assert dial(network.theirs, port) != 0  # nobody dials in
            assert worker.stop() == 0


async def test_nothing_of_another_tenant_or_tool_passes_a_leaf_node(
    hub: Hub, bolt: Session, stenograph: Stenograph, tmp_path: Path
):
    """Whoever sits on the leaf node may do what he likes there; at our end it is one tenant's tools."""
    wall = hub.wall
    offering = Worker(wall.server.url, await wall.worker("acme", [OTHER_TOOL]))
    offering.tool(OTHER_TOOL)(lambda: "")
    async with serving(offering):
        pass
    folder = await hub.config(stenograph, tmp_path / "site")
    tried = [
        *attempts.published(("bolt",), (TOOL, OTHER_TOOL), bolt.id),
        *(one.format(t="acme", tool=OTHER_TOOL, s=bolt.id) for one in attempts.ON_A_TOOL),
        *(one.format(t="acme", s=bolt.id) for one in attempts.ON_A_TENANT),
        f"tool.next.bolt.{TOOL}",
        f"tool.next.acme.{OTHER_TOOL}",
    ]
    before = await stored(wall)
    heard: list[str] = []

    async def hear(message: Any) -> None:
        heard.append(f"{message.subject} {message.data.decode(errors='replace')}")

    async with site(folder) as leaf:
        thief = await nats.connect(leaf.url, inbox_prefix=leaf.inbox_prefix)
        for subject in (">", *attempts.listened(("bolt", "acme"), ())):
            await thief.subscribe(subject, cb=hear)
        for subject in tried:
            await thief._send_command(f"PUB {subject} {leaf.inbox_prefix}.thief 4\r\nmine\r\n".encode())
        await processed(thief)
        offer = msgspec.json.encode(Registration(TOOL, "thief", "safe"))
        reply = await thief.request(f"api.acme.tools.register.{TOOL}", offer, timeout=5)  # all before it has passed
        after = await stored(wall)
        await thief.close()

    others = [one for one in heard if not one.endswith(" mine")]
    assert len(tried) >= 400
    assert msgspec.json.decode(reply.data, type=Registered).consumer == f"acme={TOOL}"
    assert [name for name in before if before[name] != after[name]] == ["KV_TOOLREG"]  # its own registration
    assert others, "it hears what is its own"
    assert [one for one in others if SECRET in one or "bolt" in one or OTHER_TOOL in one] == []


async def test_a_revoked_leaf_node_is_cut_off_and_its_tools_go_to_others(
    hub: Hub, stenograph: Stenograph, tmp_path: Path
):
    wall = hub.wall
    folder = await hub.config(stenograph, tmp_path / "site")
    user = wall.folder.tenant("acme").credentials[-1].user

    async with site(folder) as leaf, serving(worker_at(leaf)):
        listed = await stenograph("leaf", "list", "acme", **hub.place)
        revoked = await stenograph("leaf", "revoke", "acme", user[:10], **hub.place)
        await until(lambda: "Leafnode connection closed" in leaf.said(), 1.0, what="the leaf node is cut off")
        instead = Worker(wall.server.url, await wall.worker("acme", [TOOL]), name="w-2")
        instead.tool(TOOL)(lambda **_: {"plan": "Team"})
        async with serving(instead):
            assert (await served(hub)).worker == "w-2"

    assert [line.split()[1] for line in listed.out.splitlines() if user[:10] in line] == ["leaf"]
    assert revoked.out == f"revoked {user[:10]}\n"


async def test_a_workers_credential_opens_no_leaf_node(hub: Hub, stenograph: Stenograph, tmp_path: Path):
    folder = await hub.config(stenograph, tmp_path / "site")
    (folder / "leaf.creds").write_text((await hub.wall.worker("acme", [TOOL])).read_text())

    async with site(folder) as leaf:
        await until(lambda: "Authorization Violation" in leaf.said(), what="it is refused")


async def test_the_configuration_is_printed_with_the_credential_beside_it(
    hub: Hub, stenograph: Stenograph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    options = ("--tools", "a,b", "--url", "tls://nats.example:7422", "--ca", "ca.pem", "--expires", "30d")

    printed = await stenograph("leaf", "config", "acme", *options, **hub.place)
    again = await stenograph("leaf", "config", "acme", *options, **hub.place)

    assert printed.code == 0, printed.err
    assert '{ url: "tls://nats.example:7422", credentials: "leaf.creds", tls: { ca_file: "ca.pem" } }' in printed.out
    assert printed.out.count("tool.next.acme.") == 2
    assert stat.S_IMODE((tmp_path / "leaf.creds").stat().st_mode) == 0o600
    assert (again.code, again.out) == (1, "")
    assert "leaf.creds is there already" in again.err
    Certificates(tmp_path)  # writes ca.pem
    (tmp_path / "leaf.conf").write_text(printed.out)
    command = [server_program(), "-t", "-c", "leaf.conf"]
    checked = await asyncio.to_thread(subprocess.run, command, cwd=tmp_path, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--url", "nats.example"), "'nats.example' is no address such as tls://nats.example:7422"),
        (("--url", "http://nats.example"), "is no address such as tls://"),
        (("--listen", "4222"), "'4222' is no address such as 127.0.0.1:4222"),
        (("--expires", "soon"), "'soon' is no time such as 30d"),
    ],
)
async def test_what_is_no_configuration_is_said_before_a_credential_is_made(
    hub: Hub, stenograph: Stenograph, tmp_path: Path, options: tuple[str, str], sentence: str
):
    before = hub.wall.folder.tenant("acme")
    out = str(tmp_path / "site")

    ran = await stenograph("leaf", "config", "acme", "--tools", TOOL, "--out", out, *options, **hub.place)

    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert sentence in ran.err
    assert hub.wall.folder.tenant("acme") == before
