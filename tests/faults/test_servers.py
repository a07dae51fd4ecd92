"""The nats-server dies and comes back; on a cluster the leader of a log dies. Clients and services ride it out."""

import asyncio
from functools import partial
from pathlib import Path

import pytest
from tests.faults.field import Field, retried
from tests.support.processes import Processes
from tests.support.wait import until

from stenograph_services.runtime.jetstream import api
from stenograph_services.runtime.nats_cluster import NatsCluster
from stenograph_services.runtime.nats_server import NatsServer


async def has_turned(field: Field, more: int) -> None:
    """Wait until the sessions were answered `more` times from now on."""
    before = sum(map(len, field.acked.values()))
    await until(lambda: sum(map(len, field.acked.values())) >= before + more, 60, what="turns go on")


async def test_a_killed_nats_server_loses_nothing_that_it_acknowledged(tmp_path: Path, processes: Processes):
    async with NatsServer(tmp_path / "nats") as server, Field([server.url], tmp_path, processes) as field:
        async with field.load(sessions=6):
            for _ in range(3):
                await has_turned(field, 6)
                await server.kill()
                await server.restart()
            await has_turned(field, 6)
        report = await field.check()
        assert report.rules["one-result"]


@pytest.mark.timeout(240)
async def test_on_a_cluster_the_loss_of_a_logs_leader_loses_nothing(tmp_path: Path, processes: Processes):
    async with (
        NatsCluster(tmp_path / "cluster") as cluster,
        Field(cluster.urls, tmp_path, processes, replicas=3) as field,
    ):
        async with field.load(sessions=4):
            for stream in ("EV_0", "TRIG"):
                await has_turned(field, 4)
                info = await retried(partial(api, field.nc, f"STREAM.INFO.{stream}"))
                leader = cluster.named(info["cluster"]["leader"])
                await leader.kill()
                await has_turned(field, 4)
                await leader.restart()
            await has_turned(field, 4)
        report = await field.check()
        assert report.rules["one-result"]


async def test_a_rolling_stop_of_every_service_finishes_or_hands_over_what_it_holds(
    tmp_path: Path, processes: Processes
):
    async with NatsServer(tmp_path / "nats") as server, Field([server.url], tmp_path, processes) as field:
        async with field.load(sessions=4):
            for name in ("orchestrator", "tool-gateway", "projector"):
                await has_turned(field, 4)
                stopping = field.running[name]
                field.start(name)
                assert await asyncio.to_thread(stopping.stop) == 0, stopping.output()[-2000:]
            await has_turned(field, 4)
        await field.check()
