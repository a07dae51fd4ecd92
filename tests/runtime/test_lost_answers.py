"""What a dead server was asked nobody answers: whoever waits is told at once, and asks the next one."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import nats.errors
import psutil
import pytest
from tests.support.wait import until

from stenograph_sdk.line import Line
from stenograph_services.runtime.batches import BatchReader
from stenograph_services.runtime.nats_server import NatsServer

Ask = Callable[[Line], Awaitable[Any]]


async def ask_the_api(line: Line) -> None:
    await line.request("$JS.API.INFO", timeout=60)


async def read_a_batch(line: Line) -> None:
    await BatchReader(line).read("EV", "ev.>", 1, 10)


@pytest.mark.parametrize("ask", [ask_the_api, read_a_batch])
async def test_a_question_to_a_server_that_dies_is_unanswered_as_soon_as_it_is_dead(nats_server: NatsServer, ask: Ask):
    """It waited for its time to be up, five seconds, although the server was back after a tenth of one."""
    line = Line()
    options: dict[str, Any] = {"max_reconnect_attempts": -1, "reconnect_time_wait": 0.05, "error_cb": silent}
    await line.connect(nats_server.url, **options)
    await line.jetstream().add_stream(name="EV", subjects=["ev.>"], allow_direct=True)
    await ask(line)
    server = psutil.Process(nats_server.pid)
    server.suspend()
    await until(lambda: server.status() == psutil.STATUS_STOPPED, what="the server stands still")

    sent = line.stats["out_msgs"]
    asked = asyncio.ensure_future(ask(line))
    await until(lambda: line.stats["out_msgs"] > sent, what="the question has left")
    await nats_server.kill()
    await until(asked.done, 3, what="the question is given up")

    assert isinstance(asked.exception(), nats.errors.TimeoutError)
    await nats_server.start()
    await until(lambda: line.is_connected, what="the line is back")
    await ask(line)
    await line.close()


async def silent(_: Exception) -> None:
    """The server is killed on purpose."""
