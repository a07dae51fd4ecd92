"""kill -9 of the services at random moments under load: what was acknowledged is never lost, and no turn stays open."""

import asyncio
import json
import os
import random
from pathlib import Path

import pytest
from rich.progress import Progress
from tests.faults.field import Field
from tests.support.processes import Process, Processes
from tests.support.wait import until

from stenograph_services.runtime.nats_server import NatsServer

# Two of each where the work is, so that there is somebody to take over at once.
SLOTS = ("orchestrator", "orchestrator.2", "tool-gateway", "tool-gateway.2", "projector")
SOAK = os.environ.get("STENOGRAPH_SOAK") == "1"
SESSIONS = 8
REPORTS = Path(__file__).parents[2] / "reports"


def holds(process: Process) -> int:
    """Return how many deliveries a process holds, by its own log: it tells of each when it begins and when it ends."""
    log = process.output()
    return log.count("delivery.taken") - log.count("delivery.settled")


async def kill_one(field: Field, slot: str) -> bool:
    """Kill the process in `slot` at a random moment, start another; return whether it held a delivery when it died."""
    victim = field.running[slot]
    await until(lambda: holds(victim), 30, what=f"{slot} takes something")
    await asyncio.sleep(random.uniform(0, 0.1))
    victim.kill()
    field.start(slot)
    return holds(victim) > 0


async def kill_many(field: Field, kills: int, progress: Progress) -> int:
    """Kill until `kills` of them hit a process that held something, at most three times as often."""
    shown, counted = progress.add_task("kills", total=kills), 0
    for trial in range(3 * kills):
        slot = SLOTS[trial % len(SLOTS)]
        await field.running[slot].line("service.started", 60)
        counted += await kill_one(field, slot)
        progress.update(shown, completed=counted)
        if counted == kills:
            break
    return counted


async def killed(tmp_path: Path, processes: Processes, kills: int) -> dict[str, int]:
    async with NatsServer(tmp_path / "nats") as server, Field([server.url], tmp_path, processes) as field:
        for slot in SLOTS:
            if slot not in field.running:
                field.start(slot)
        with Progress(disable=not SOAK) as progress:
            async with field.load(sessions=SESSIONS):
                counted = await kill_many(field, kills, progress)
        report = await field.check()
        turns = sum(len(acked) for acked in field.acked.values())
    return {"kills": counted, "turns": turns, "events": report.events, **report.rules}


@pytest.mark.timeout(240)
async def test_thirty_kills_of_services_that_held_a_delivery_harm_no_session(tmp_path: Path, processes: Processes):
    counted = await killed(tmp_path, processes, 30)

    assert counted["kills"] == 30
    assert counted["turns"] > SESSIONS
    assert counted["one-result"] > SESSIONS, "the rule about results had too little to decide on"


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_three_hundred_kills_of_services_that_held_a_delivery_harm_no_session(
    tmp_path: Path, processes: Processes
):
    counted = await killed(tmp_path, processes, 300)

    REPORTS.mkdir(exist_ok=True)
    (REPORTS / "kills.json").write_text(json.dumps(counted, indent=2) + "\n")
    assert counted["kills"] == 300
