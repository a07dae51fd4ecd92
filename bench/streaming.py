"""W7: many streams on one gateway process: how late a frame is, and what that costs the process.

200 clients follow a turn each, over a connection each. The frames are written by a process of ours instead of an
orchestrator, so that the machine is busy with what is measured; each turn runs in a real one, whose model is silent.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import NamedTuple

import msgspec
import psutil

from bench.measure import Load, cpu_seconds
from bench.parts import Part, PartFailed, start
from bench.streaming_parts import MODULE, Frames, Viewed, Writing
from bench.system import SERVICES, prepared, process
from stenograph_services.runtime.nats_server import NatsServer

STREAMS = 200
PER_SECOND = 20.0  # frames of one stream; an orchestrator writes 33 at most
STEP, HIGHEST = 10.0, 100.0  # by so much the rate grows, until frames are late
STEP_SECONDS = 2.0
LATE_MS = 50.0
ANSWER_SECONDS = 60.0
QUIET = {"STENOGRAPH_LOG_LEVEL": "error"}  # an orchestrator warns of every turn that it leaves at its end


class Streamed(msgspec.Struct, frozen=True):
    """What the frames of all streams took, and the gateway: its memory in MB, with no stream and at the end."""

    p50_ms: float
    p99_ms: float
    most_per_second: float
    cpu_us_per_frame: float
    idle_mb: float
    busy_mb: float


class Scene(NamedTuple):
    """A gateway whose streams are open, who writes their frames, and who reads them."""

    gateway: int
    writer: Part
    viewers: Part
    turns: list[Viewed]
    idle_mb: float

    async def play(self, per_second: float, seconds: float) -> Load:
        """Return how long frames took that were written at a rate. Raises `PartFailed` if some never came."""
        wish = Writing(self.turns, per_second, seconds)
        written = await self.writer.ask(wish, Frames, seconds + ANSWER_SECONDS)
        seen = await self.viewers.ask(written, Load, ANSWER_SECONDS)
        if seen.done != written.frames:
            raise PartFailed(f"{written.frames} frames were written and {seen.done} came to their viewers")
        return seen


async def run_streams(server: NatsServer, *, seconds: float) -> Streamed:
    """Return what `STREAMS` streams take at `PER_SECOND` frames each, and how many frames are not late at most."""
    async with _scene(server) as scene:
        await scene.play(PER_SECOND, 1.0)
        used = cpu_seconds([scene.gateway])
        seen = await scene.play(PER_SECOND, seconds)
        used = cpu_seconds([scene.gateway]) - used
        most = await _most(scene, min(seconds, STEP_SECONDS))
        busy = _megabytes(scene.gateway)
    return Streamed(seen.p50_ms, seen.p99_ms, most, used * 1e6 / seen.done, scene.idle_mb, busy)


async def _most(scene: Scene, seconds: float) -> float:
    """Return the most frames a second, of all streams together, that were written while 99 of 100 were not late."""
    most, rate = 0.0, PER_SECOND
    with suppress(PartFailed):  # some are so late that nobody waits for them
        while rate <= HIGHEST and (seen := await scene.play(rate, seconds)).p99_ms < LATE_MS:
            most, rate = max(most, seen.done / seen.seconds), rate + STEP
    return most


@asynccontextmanager
async def _scene(server: NatsServer) -> AsyncIterator[Scene]:
    async with prepared(server), AsyncExitStack() as running:
        gateway = process("gateway", server)
        writer = Part(MODULE, "writer", server.url)
        await start(
            [gateway, writer, *(process(role, server, QUIET) for role in SERVICES if role != "gateway")], running
        )
        idle = _megabytes(gateway.process.pid)
        viewers = Part(MODULE, "viewers", server.url, gateway.said.split()[1], str(STREAMS))
        await start([viewers], running)
        turns = msgspec.json.decode(viewers.said.removeprefix("ready "), type=list[Viewed])
        yield Scene(gateway.process.pid, writer, viewers, turns, idle)


def _megabytes(pid: int) -> float:
    return float(psutil.Process(pid).memory_info().rss) / 1e6
