"""kill -9 of the services at random moments under load: what was acknowledged is never lost, and no turn stays open."""

import asyncio
import json
import os
import random
from pathlib import Path

import pytest
from rich.progress import Progress
from tests.faults.field import Field
from tests.support.processes import Processes
from tests.support.wait import until

from stenograph_services.runtime.nats_server import NatsServer

VICTIMS = ("orchestrator", "tool-gateway", "projector")
SOAK = os.environ.get("STENOGRAPH_SOAK") == "1"
SESSIONS = 8
REPORTS = Path(__file__).parents[2] / "reports"


async def kill_while_it_holds_something(field: Field, name: str) -> None:
    """Kill a service that holds a delivery, and start another. It is frozen first, so that nothing changes between."""
    before = field.killed_at.get(name, {})
    await until(lambda: field.settled(name, before), 30, what=f"what the last {name} held is taken over")
    victim = field.running[name]
    while True:
        await until(lambda: field.held(name), 30, what=f"{name} holds a delivery")
        await asyncio.sleep(random.uniform(0, 0.2))  # a random moment of its work
        victim.pause()
        # What it had sent already may still be on its way: two equal counts in a row are its own.
        held = await field.held(name)
        await asyncio.sleep(0.05)
        if held and await field.held(name) == held:
            break
        victim.resume()
    field.killed_at[name] = await field.deliveries(name)
    victim.kill()
    field.start(name)


async def kill_many(field: Field, kills: int, progress: Progress) -> None:
    shown = progress.add_task("kills", total=kills)
    done = 0
    while done < kills:
        names = VICTIMS[: kills - done]
        await asyncio.gather(*(kill_while_it_holds_something(field, name) for name in names))
        done += len(names)
        progress.update(shown, completed=done)
        for name in names:
            await field.running[name].line("service.started")


async def killed(tmp_path: Path, processes: Processes, kills: int) -> dict[str, int]:
    async with NatsServer(tmp_path / "nats") as server, Field([server.url], tmp_path, processes) as field:
        with Progress(disable=not SOAK) as progress:
            async with field.load(sessions=SESSIONS):
                await kill_many(field, kills, progress)
        report = await field.check()
        turns = sum(len(acked) for acked in field.acked.values())
    assert all(report.rules[rule] for rule in ("chain", "one-result")), "the rules had nothing to decide on"
    return {"kills": kills, "turns": turns, "events": report.events, **report.rules}


@pytest.mark.timeout(240)
async def test_thirty_kills_of_services_that_held_a_delivery_harm_no_session(tmp_path: Path, processes: Processes):
    counted = await killed(tmp_path, processes, 30)

    assert counted["kills"] == 30
    assert counted["turns"] > SESSIONS


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_three_hundred_kills_of_services_that_held_a_delivery_harm_no_session(
    tmp_path: Path, processes: Processes
):
    counted = await killed(tmp_path, processes, 300)

    REPORTS.mkdir(exist_ok=True)
    (REPORTS / "kills.json").write_text(json.dumps(counted, indent=2) + "\n")
    assert counted["kills"] == 300
