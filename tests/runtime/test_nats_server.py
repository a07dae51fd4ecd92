import json
import os
import signal
import socket
from pathlib import Path

import httpx
import nats
import pytest
from nats.js.api import StreamConfig
from tests.support.nats import connect
from tests.support.processes import Processes
from tests.support.wait import until

from stenograph_services.runtime.nats_cluster import NatsCluster
from stenograph_services.runtime.nats_server import (
    DataInUse,
    NatsServer,
    NatsServerError,
    port_is_free,
    server_program,
)

HOLD = """
import asyncio, sys
from pathlib import Path
from stenograph_services.runtime.nats_server import NatsServer

async def hold():
    server = await NatsServer(Path(sys.argv[1])).start()
    print("started", server.pid)
    await asyncio.Event().wait()

asyncio.run(hold())
"""


async def test_what_was_acknowledged_survives_a_kill(nats_server: NatsServer):
    url, pid = nats_server.url, nats_server.pid
    client = await connect(url)
    js = client.jetstream()
    await js.add_stream(StreamConfig(name="S", subjects=["s.>"]))
    for _ in range(20):
        await js.publish("s.x", b"x")

    await nats_server.kill()
    await nats_server.restart()

    assert nats_server.url == url
    assert nats_server.pid != pid
    await until(lambda: client.is_connected)
    assert (await js.stream_info("S")).state.messages == 20
    await client.close()


async def test_every_write_is_synced_before_it_is_acknowledged(nats_server: NatsServer):
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = (await http.get(f"{nats_server.monitor_url}/varz")).json()

    assert answer["jetstream"]["config"]["sync_always"] is True


async def test_a_second_start_on_the_same_data_says_who_has_it(nats_server: NatsServer):
    with pytest.raises(DataInUse, match=rf"is in use by nats-server {nats_server.pid} at {nats_server.url}"):
        await NatsServer(nats_server.directory).start()

    assert nats_server.running


async def test_the_data_stays_locked_when_only_the_starter_is_killed(tmp_path: Path, processes: Processes):
    starter = processes.start("starter", "-c", HOLD, str(tmp_path / "nats"))
    server = int((await starter.line("started")).split()[1])
    starter.kill()

    with pytest.raises(DataInUse, match=f"nats-server {server} "):
        await NatsServer(tmp_path / "nats").start()

    os.kill(server, signal.SIGKILL)
    again = NatsServer(tmp_path / "nats")
    await until(lambda: _starts(again))
    await again.stop()


async def test_a_taken_port_is_told_in_the_servers_words(nats_server: NatsServer, tmp_path: Path):
    taken = NatsServer(tmp_path / "other", port=nats_server.port, monitor_port=nats_server.monitor_port)

    with pytest.raises(NatsServerError, match="address already in use"):
        await taken.start()

    assert not taken.running


async def test_a_data_directory_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with pytest.raises(NatsServerError, match=f"cannot write to {tmp_path}/file/nats: Not a directory"):
        await NatsServer(tmp_path / "file" / "nats").start()


async def test_a_data_directory_may_have_any_name(tmp_path: Path):
    async with NatsServer(tmp_path / 'a "quoted" näme') as server:
        client = await nats.connect(server.url)
        await client.jetstream().add_stream(StreamConfig(name="S", subjects=["s"]))
        await client.close()

    assert json.dumps(server.name) in (server.directory / "server.conf").read_text()
    assert list((server.directory / "jetstream").rglob("S"))


def test_a_program_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("STENOGRAPH_NATS_SERVER", "/nowhere/nats-server")

    with pytest.raises(NatsServerError, match="STENOGRAPH_NATS_SERVER is '/nowhere/nats-server'"):
        server_program()


def test_a_port_that_somebody_listens_on_is_not_free():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert not port_is_free(listener.getsockname()[1])


async def test_a_cluster_elects_another_leader_when_its_leader_is_killed(nats_cluster: NatsCluster):
    client = await nats.connect(nats_cluster.urls, max_reconnect_attempts=-1, reconnect_time_wait=0.1)
    js = client.jetstream(timeout=20)
    await js.add_stream(StreamConfig(name="S", subjects=["s.>"], num_replicas=3))
    await js.publish("s.x", b"x")
    first = await nats_cluster.meta_leader()
    assert first is not None

    await first.kill()

    second = await until(lambda: _other_leader(nats_cluster, first), 30)
    assert second.running
    await first.restart()
    await until(lambda: _publishes(nats_cluster), 30)
    await client.close()


async def _starts(server: NatsServer) -> bool:
    try:
        await server.start()
    except DataInUse:
        return False
    return True


async def _other_leader(cluster: NatsCluster, than: NatsServer) -> NatsServer | None:
    leader = await cluster.meta_leader()
    return None if leader is than else leader


async def _publishes(cluster: NatsCluster) -> bool:
    client = await nats.connect(cluster.urls)
    try:
        await client.jetstream().publish("s.x", b"x")
    except nats.errors.Error:
        return False
    finally:
        await client.close()
    return True
