"""kill -9 of a tool gateway while it takes a large result: another one goes on, and the result is there once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from nats.aio.msg import Msg
from tests.support.agents import CALL_THEN_SAY
from tests.support.nats import processed
from tests.support.processes import Process, Processes
from tests.support.services import TENANT, Stage
from tests.support.wait import until

from stenograph_events.types import ToolAnswerRejected, ToolSucceeded
from stenograph_sdk import Worker
from stenograph_services.accounts.keys import new_key
from stenograph_services.accounts.minting import worker
from stenograph_services.accounts.private import write_private
from stenograph_services.runtime.blobs import Blobs
from stenograph_services.runtime.sealing.master_keys import new_key_file

PLAN = "x" * 12_000_000  # 23 chunks


@pytest.fixture
async def stage(nats_url: str, tmp_path: Path) -> AsyncIterator[Stage]:
    """Services that seal, without a tool gateway."""
    keys = tmp_path / "sealing.key"
    write_private(keys, new_key_file())
    async with Stage(nats_url, tmp_path, sealing=True, sealing_key_file=keys) as made:
        await made.end(made.running("tool-gateway"))
        yield made


@pytest.mark.parametrize(
    ("subject", "times"),
    [
        pytest.param(f"blob.{TENANT}.>", 3, id="while it copies"),
        pytest.param("ev.*.*.*.tool-result", 1, id="before it gives the room back"),
    ],
)
async def test_a_large_result_is_whole_after_its_tool_gateway_was_killed(
    stage: Stage, processes: Processes, tmp_path: Path, subject: str, times: int
):
    first = tool_gateway(stage, processes)
    await kill_at(stage, first, subject, times)
    await first.line("service.started")
    talk = await stage.session(CALL_THEN_SAY)
    serves = Worker(stage.settings.nats_url, tenant=TENANT, identity=credential(tmp_path), verify=False)
    serves.tool("get-account", retry="safe")(lambda userId="": {"plan": PLAN})
    running = asyncio.create_task(serves.run(signals=False))
    await serves.serving.wait()

    await talk.send()
    await first.exit()
    tool_gateway(stage, processes)
    succeeded = await talk.until(ToolSucceeded, timeout=30)
    await until(lambda: nothing_uploaded(stage), 30, what="the room is given back")
    serves.stop()
    await running

    assert succeeded.result_ref is not None
    key = await stage.log.seals.known(TENANT, talk.id)
    [value] = await Blobs(stage.nc).get(TENANT, [succeeded.result_ref], key=key)
    assert msgspec.json.decode(value) == {"plan": PLAN}
    assert len(await talk.all(ToolSucceeded)) == 1
    assert await talk.all(ToolAnswerRejected) == []


async def kill_at(stage: Stage, victim: Process, subject: str, times: int) -> None:
    """Kill `victim` as soon as so many messages were sent on `subject`."""
    heard: list[str] = []

    async def hear(message: Msg) -> None:
        heard.append(message.subject)
        if len(heard) == times:
            victim.kill()

    await stage.nc.subscribe(subject, cb=hear)
    await processed(stage.nc)


def tool_gateway(stage: Stage, processes: Processes) -> Process:
    env = {
        "STENOGRAPH_NATS_URL": stage.settings.nats_url,
        "STENOGRAPH_DATA_DIR": str(stage.settings.data_dir),
        "STENOGRAPH_ACK_WAIT_SECONDS": str(stage.settings.ack_wait_seconds),
        "STENOGRAPH_SEALING": "on",
        "STENOGRAPH_SEALING_KEY_FILE": str(stage.settings.sealing_key_file),
        "STENOGRAPH_PORT": "0",
    }
    return processes.start("tool-gateway", "-m", "stenograph_services.cli", "run", "tool-gateway", env=env)


def credential(directory: Path) -> Path:
    file = directory / "worker.creds"
    write_private(file, worker(new_key("account"), TENANT, ["get-account"], "").text)
    return file


async def nothing_uploaded(stage: Stage) -> bool:
    return (await stage.nc.jetstream().stream_info(f"UPLOADS_{TENANT}")).state.messages == 0
