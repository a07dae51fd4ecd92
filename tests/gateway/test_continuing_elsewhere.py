"""Turns that go on at another gateway than the one where they began: real processes, killed between and within legs."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from tests.gateway.asking import ASK, ASK_AND_THANK, LOOK_THEN_MAIL, asking, result_of
from tests.gateway.streaming import continued, leg, triggered, turn
from tests.support.processes import Process, Processes
from tests.support.services import Stage

from stenograph_events.types import ToolRequested, ToolSucceeded


@pytest.fixture
async def gateways(stage: Stage, tmp_path: Path) -> AsyncIterator["Gateways"]:
    processes = Processes(tmp_path)
    yield Gateways(stage, processes)
    processes.stop_all()


class Gateways:
    """Gateways in processes of their own, with the limits of the default settings."""

    def __init__(self, stage: Stage, processes: Processes) -> None:
        self._stage = stage
        self._processes = processes

    async def start(self, name: str) -> tuple[Process, httpx.AsyncClient]:
        settings = self._stage.settings
        env = {
            "STENOGRAPH_NATS_URL": settings.nats_url,
            "STENOGRAPH_DATA_DIR": str(settings.data_dir),
            "STENOGRAPH_PORT": "0",
            "STENOGRAPH_LOG_JSON": "false",
        }
        process = self._processes.start(name, "-m", "stenograph_services.cli", "run", "gateway", env=env)
        line = await process.line("http.listening")
        port = next(word for word in line.split() if word.startswith("port=")).removeprefix("port=")
        headers = {"Content-Type": "application/json"}
        return process, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30)


async def test_a_gateway_that_is_killed_between_two_legs_is_replaced_by_any_other(stage: Stage, gateways: Gateways):
    talk = await asking(stage, ASK)
    process, http = await gateways.start("one")
    async with http:
        first = await turn(http, talk.id)
    process.kill()

    _, other = await gateways.start("two")
    async with other:
        second = await leg(other, talk.id, first.execution, result_of(first.asked[0], "yes"))

    assert second.text == "You said yes"
    assert second.done


async def test_a_gateway_that_is_killed_within_a_leg_is_replaced_by_any_other(stage: Stage, gateways: Gateways):
    talk = await asking(stage, LOOK_THEN_MAIL)
    process, http = await gateways.start("one")
    _, other = await gateways.start("two")
    async with http, other:
        async with triggered(http, talk.id) as first:
            await talk.request(2)
            [served] = [one for one in await talk.all(ToolRequested) if not one.client]
            await talk.answer(served, {"plan": "pro"})
            await first.end()
        results = [result_of(call, "yes") for call in first.asked]
        async with continued(http, talk.id, first.execution, *results) as second:
            await second.until("tool-input-available")
            process.kill()
            with pytest.raises(httpx.HTTPError):
                await second.end()

        async with continued(other, talk.id, first.execution, *results) as again:
            await again.until("tool-input-available")
            await talk.answer(await talk.request(3), None)
            await again.end()

    assert [kind for kind in again.types if kind.startswith("tool-")][-1] == "tool-output-available"
    assert again.events[-1] == {"type": "finish", "finishReason": "stop"}


async def test_a_result_of_1_5_megabytes_goes_through_and_is_stored_out_of_line(stage: Stage, gateways: Gateways):
    talk = await asking(stage, ASK_AND_THANK)
    _, http = await gateways.start("one")

    async with http:
        first = await turn(http, talk.id)
        large = {"text": "x" * 1_500_000}
        second = await leg(http, talk.id, first.execution, result_of(first.asked[0], large))
        state = (await http.get(f"/api/agent-sessions/{talk.id}")).json()

    [recorded] = await talk.all(ToolSucceeded)
    assert recorded.result_ref is not None
    assert second.events[-1] == {"type": "finish", "finishReason": "stop"}
    assert state["messages"][1]["toolCalls"][0]["result"] == large
