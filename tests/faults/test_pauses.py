"""A stopped orchestrator is overtaken, and what it does when it wakes up is refused or dropped."""

import asyncio
from pathlib import Path

from tests.faults.field import Field
from tests.support.processes import Processes
from tests.support.wait import until

from stenograph_events.frames import TextDelta
from stenograph_events.types import MessageAdded, TurnFinished
from stenograph_sdk import Client
from stenograph_services.runtime.nats_server import NatsServer


async def test_an_orchestrator_stopped_during_a_model_call_is_overtaken_and_writes_nothing_when_it_wakes(
    tmp_path: Path, processes: Processes
):
    async with NatsServer(tmp_path / "nats") as server, Field([server.url], tmp_path, processes) as field:
        sleeper = field.running["orchestrator"]
        async with Client.connect(server.url) as client:
            client.connection.opened = field.log.seals.opened
            session = await client.sessions.create("slow")
            spoken = asyncio.Event()

            async def talk() -> set[int]:
                attempts = set()
                async for item in session.trigger("ask", {"QUESTION": "Well?"}):
                    if isinstance(item, TextDelta):
                        attempts.add(item.attempt)
                        spoken.set()
                return attempts

            talking = asyncio.create_task(talk())
            await spoken.wait()
            sleeper.pause()
            successor = field.start("orchestrator")
            await successor.line("service.started")
            attempts = await asyncio.wait_for(talking, 30)
            sleeper.resume()
            await sleeper.line("answer.dropped")

        field.acked[session.id] = set()
        await field.check()
        log = [one.event for one in await field.log.read("default", session.id)]
        answers = [event for event in log if isinstance(event, MessageAdded) and event.role == "assistant"]
        # The stopped process still has a pull request at the server, so one redelivery may go to it in vain.
        assert min(attempts) == 1, "a reader saw the first attempt"
        assert [answer.attempt for answer in answers] == [max(attempts)] != [1], "one finished message, the successor's"
        assert [event.outcome for event in log if isinstance(event, TurnFinished)] == ["completed"]
        sleeper.stop()


async def test_a_stopped_orchestrator_that_wakes_early_enough_goes_on_by_itself(tmp_path: Path, processes: Processes):
    async with NatsServer(tmp_path / "nats") as server, Field([server.url], tmp_path, processes) as field:
        async with field.load(sessions=2) as sessions:
            orchestrator = field.running["orchestrator"]
            await until(lambda: field.held("orchestrator"), what="a turn runs")
            orchestrator.pause()
            orchestrator.resume()
        report = await field.check()
        assert len(sessions) == 2
        assert report.events > 10
