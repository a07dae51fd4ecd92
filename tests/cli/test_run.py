"""`stenograph run` as a supervisor sees it: a ready file, an exit code, one line that says what is wrong."""

import json
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from tests.support.processes import Process, Processes
from tests.support.wait import until

from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.errors import Unreachable
from stenograph_services.runtime.nats_server import NatsServer, free_ports
from stenograph_services.runtime.service import Running
from stenograph_services.tool_gateway import app as tool_gateway


def start(processes: Processes, *arguments: str) -> Process:
    return processes.start("run", "-m", "stenograph_services.cli", "run", *arguments)


async def test_all_services_run_in_one_process_until_sigterm(
    processes: Processes, tmp_path: Path, nc: Client, nats_url: str
):
    ready = tmp_path / "ready"
    places = ("--nats-url", nats_url, "--data", str(tmp_path / "data"), "--port", "0")

    service = start(processes, "all", *places, "--ready-file", str(ready))
    await until(ready.exists, what=f"ready: {service.output()}")

    assert ready.read_text() == f"{service.pid}\n"
    assert service.output().count("service.started") == 4
    assert service.stop() == 0
    assert service.output().count("service.stopped") == 4


async def test_a_wrong_setting_ends_with_78_and_one_line(processes: Processes):
    service = start(processes, "gateway", "--port", "99999")

    assert await service.exit() == 78
    assert service.output().startswith("stenograph: STENOGRAPH_PORT: ")
    assert len(service.output().splitlines()) == 1


async def test_a_server_that_does_not_sync_is_refused_when_it_must(processes: Processes, tmp_path: Path):
    async with NatsServer(tmp_path / "nats", sync_interval="2m") as server:
        places = ("--nats-url", server.url, "--monitor-url", server.monitor_url)

        service = start(processes, "orchestrator", *places, "--require-sync")

        assert await service.exit() == 1
    assert "stenograph: --require-sync: the server's durability is false" in service.output()


async def test_a_stream_that_would_lose_data_if_changed_is_named(
    processes: Processes, js: JetStreamContext, nats_url: str
):
    await js.add_stream(name="TRIG", subjects=["trig.>", "mine.>"])

    service = start(processes, "tool-gateway", "--nats-url", nats_url)

    assert await service.exit() == 1
    last = service.output().splitlines()[-1]
    assert last.startswith("stenograph: stream TRIG: ")
    assert "Traceback" not in service.output()


async def test_a_server_that_comes_late_is_waited_for_aloud(processes: Processes, tmp_path: Path):
    """Nothing used to be said."""
    [port] = free_ports(1)
    url = f"nats://127.0.0.1:{port}"

    service = start(processes, "tool-gateway", "--nats-url", url)
    said = json.loads(await service.line("nats.awaited", timeout=10))
    async with NatsServer(tmp_path / "nats", port=port):
        await service.line("service.started")
        assert service.stop() == 0

    assert (said["nats"], said["error"], said["level"]) == (url, "connection refused", "warning")
    assert service.output().count("nats.awaited") == 1


async def test_a_service_that_waits_for_its_server_ends_when_it_is_told_to(processes: Processes):
    """It used to wait out the 15 s, and then to say that no server answers."""
    service = start(processes, "tool-gateway", "--nats-url", "nats://127.0.0.1:1")
    await service.line("nats.awaited", timeout=10)

    assert service.stop() == 0
    assert "no nats-server answers" not in service.output()
    assert "Traceback" not in service.output()


async def test_a_server_that_does_not_come_is_named_with_the_reason(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("stenograph_services.runtime.service.CONNECT_SECONDS", 0.3)
    service = Running(tool_gateway.build, Settings(nats_url="nats://127.0.0.1:1"))

    with pytest.raises(Unreachable) as ended:
        await service.start()

    assert str(ended.value) == "no nats-server answers at nats://127.0.0.1:1: connection refused for 0.3 s"


async def test_a_service_seals_unless_it_is_told_not_to_and_does_not_start_without_keys(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("STENOGRAPH_SEALING")

    service = start(processes, "gateway", "--nats-url", "nats://127.0.0.1:1")

    assert await service.exit() == 78
    [said] = service.output().splitlines()
    assert "STENOGRAPH_SEALING_KEY_FILE names no file: `stenograph tenants init`" in said
    assert "with STENOGRAPH_SEALING=off" in said
