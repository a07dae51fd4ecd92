"""An orchestrator is killed while a model talks; another one asks again, and whoever listens is told both attempts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from tests.gateway.retold import frames_kept, frames_of, parts_of, resumed_from, texts
from tests.gateway.streaming import observing, triggered
from tests.support.agents import SAY_SLOWLY
from tests.support.processes import Process, Processes
from tests.support.services import Stage

from stenograph_events.types import MessageAdded
from stenograph_services.orchestrator import app as orchestrator


@asynccontextmanager
async def orchestrated_by_a_process(stage: Stage, processes: Processes) -> AsyncIterator[Process]:
    """Let a process of its own do the work of the stage's orchestrator, which comes back afterwards."""
    settings = stage.settings
    env = {
        "STENOGRAPH_NATS_URL": settings.nats_url,
        "STENOGRAPH_DATA_DIR": str(settings.data_dir),
        "STENOGRAPH_ACK_WAIT_SECONDS": str(settings.ack_wait_seconds),
        "STENOGRAPH_CRASH_LIMIT": str(settings.crash_limit),
    }
    process = processes.start("orchestrator", "-m", "stenograph_services.cli", "run", "orchestrator", env=env)
    await process.line("service.started")
    await stage.end(stage.running("orchestrator"))
    try:
        yield process
    finally:
        if process.returncode is None:
            process.stop()
            await stage.start(orchestrator.build)


async def test_an_attempt_that_was_taken_over_is_closed_and_the_last_one_is_what_the_log_has(
    http: httpx.AsyncClient, stage: Stage, processes: Processes
):
    talk = await stage.session(SAY_SLOWLY)
    async with orchestrated_by_a_process(stage, processes) as killed, triggered(http, talk.id) as driver:
        await driver.until("text-delta")
        async with observing(http, talk.id) as stayed:
            async with observing(http, talk.id) as left:
                for _ in range(5):
                    await left.until("text-delta")
            had = resumed_from(left.identified, len(left.events))
            killed.kill()
            await stage.start(orchestrator.build)
            async with observing(http, talk.id, had[-1][0]) as back:
                for heard in (driver, stayed, back):
                    await heard.end()

    [message] = [one for one in await talk.all(MessageAdded) if one.role == "assistant"]
    kept = await frames_kept(stage, talk)
    assert message.attempt == 2
    assert {id.split(".")[1] for id, _ in kept} == {"1", "2"}
    for told in (driver.identified, stayed.identified, had + back.identified[1:]):
        (broken_off, first), (whole, second) = parts_of([event for _, event in told])
        assert first != second
        assert 0 < len(broken_off) < len(whole)
        assert [whole] == await texts(talk)
        assert frames_of(told) == kept
    assert all(heard.events[-1] == {"type": "finish", "finishReason": "stop"} for heard in (driver, stayed, back))
