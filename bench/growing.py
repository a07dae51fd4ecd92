"""W4, W5: what turn N of one session costs: a long conversation must not make its turns slow.

The sessions grow by playing their turns. Then each plays some more, one at a time and in turns, so that whatever the
machine does meanwhile hits all lengths alike; and once more on an orchestrator that has just started and holds none.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from statistics import median

import msgspec

from bench.parts import start
from bench.system import SERVICES, prepared, process
from bench.system_parts import INPUT, TRIGGER
from stenograph_events import encode
from stenograph_sdk import Client
from stenograph_sdk.session import Session
from stenograph_services.runtime.nats_server import NatsServer


class Growth(msgspec.Struct, frozen=True):
    """Median milliseconds of a turn by its number in its session; `cold` is the first one on a new orchestrator.

    `bytes_per_turn` is what the logs of the sessions of each length hold, divided by their turns.
    """

    warm: dict[int, float]
    cold: dict[int, float]
    bytes_per_turn: dict[int, float]


async def run_growth(server: NatsServer, agent: str, lengths: Sequence[int], *, sessions: int, turns: int) -> Growth:
    """Return what `turns` turns of `agent` cost in each of `sessions` sessions of each of `lengths`."""
    async with prepared(server), AsyncExitStack() as running:
        others = [process(role, server) for role in (*SERVICES, "worker") if role != "orchestrator"]
        await start(others, running)
        client = await running.enter_async_context(Client.connect(server.url))
        async with process("orchestrator", server):
            of_length = {n: [await client.sessions.create(agent) for _ in range(sessions)] for n in lengths}
            await _grow(of_length)
            warm = await _measure(of_length, turns)
            played = {n: await _bytes(sessions) / len(sessions) / (n - 1 + turns) for n, sessions in of_length.items()}
        async with process("orchestrator", server):
            spare = await client.sessions.create(agent)
            for _ in range(turns):  # compiles the agent, so that only the sessions are cold
                await _ask(spare)
            cold = await _measure(of_length, 1)
    return Growth(warm, cold, played)


async def _bytes(sessions: list[Session]) -> int:
    """Return how many bytes the logs of `sessions` hold."""
    size = 0
    for session in sessions:
        async for event in session.events():
            size += len(encode(event))
    return size


async def _grow(of_length: dict[int, list[Session]]) -> None:
    """Play each session to just before the turn that its length names, all at once."""

    async def play(session: Session, turns: int) -> None:
        for _ in range(turns):
            await _ask(session)

    async with asyncio.TaskGroup() as playing:
        for length, sessions in of_length.items():
            for session in sessions:
                playing.create_task(play(session, length - 1))


async def _measure(of_length: dict[int, list[Session]], turns: int) -> dict[int, float]:
    """Return the median of `turns` turns in each session, by length."""
    taken: dict[int, list[float]] = {length: [] for length in of_length}
    for _ in range(turns):
        for sessions in zip(*of_length.values(), strict=True):
            for length, session in zip(of_length, sessions, strict=True):
                taken[length].append(await _ask(session))
    return {length: median(all_taken) for length, all_taken in taken.items()}


async def _ask(session: Session) -> float:
    """Play one turn and return how many milliseconds it took."""
    before = time.perf_counter()
    await session.ask(TRIGGER, INPUT)
    return (time.perf_counter() - before) * 1e3
