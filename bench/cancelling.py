"""W6: how long a cancel takes, from its publish to the end of the turn that a client sees.

While the orchestrator that asks the model lives, it hears of the cancel at once. Where it was killed, its delivery has
to come again first; another orchestrator is there to take it.
"""

import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import msgspec

from bench.measure import percentile
from bench.parts import start
from bench.system import SERVICES, SPEAKER, prepared, process
from bench.system_parts import INPUT, TRIGGER
from stenograph_events import Event, turn_id
from stenograph_events.types import TurnFinished
from stenograph_sdk import Client
from stenograph_sdk.session import Session
from stenograph_services.runtime.nats_server import NatsServer


class Cancels(msgspec.Struct, frozen=True):
    """Milliseconds, of cancels while the orchestrator lives and after it was killed."""

    alive_p50: float
    alive_p99: float
    killed_max: float


async def run_cancels(server: NatsServer, *, alive: int, killed: int) -> Cancels:
    """Cancel `alive` turns while their orchestrator lives, then `killed` ones whose orchestrator was killed."""
    async with prepared(server), AsyncExitStack() as running:
        others = [process(role, server) for role in SERVICES if role != "orchestrator"]
        await start(others, running)
        client = await running.enter_async_context(Client.connect(server.url))
        async with process("orchestrator", server):
            session = await client.sessions.create(SPEAKER)
            taken = [await _cancelled(session, f"alive-{i}") for i in range(alive)]
        taken_over = [await _taken_over(server, client, f"killed-{i}") for i in range(killed)]
    return Cancels(percentile(taken, 50), percentile(taken, 99), max(taken_over, default=0.0))


async def _taken_over(server: NatsServer, client: Client, request: str) -> float:
    """Return how long a cancel takes whose orchestrator is killed in the moment before it."""
    async with process("orchestrator", server) as first, AsyncExitStack() as second:
        session = await client.sessions.create(SPEAKER)

        async def replace() -> None:
            first.process.kill()
            await first.process.wait()
            await second.enter_async_context(process("orchestrator", server))

        return await _cancelled(session, request, before=replace)


async def _nothing() -> None: ...


async def _cancelled(session: Session, request: str, before: Callable[[], Awaitable[None]] = _nothing) -> float:
    """Begin a turn, cancel it once the model speaks, and return the milliseconds until it is over."""
    began = 0.0
    async for item in session.trigger(TRIGGER, INPUT, request=request):
        if not isinstance(item, Event) and not began:
            await before()
            began = time.perf_counter()
            await session.cancel(turn_id(session.id, request))
        elif isinstance(item, TurnFinished):
            assert item.outcome == "cancelled", item
            return (time.perf_counter() - began) * 1e3
    raise AssertionError("the turn did not end")
