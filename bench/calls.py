"""Tool calls by themselves: from the request in the log to its result there, without a model or an orchestrator.

    loader          append the request; hear the result, as the server republishes it      EV_k            1 write
    (the server)    copy the request                                                       TOOLS           1 write
    worker          publish the answer                                                     RES             1 write
    tool gateway    check the answer, append the result                                    EV_k            1 write

Ours is the real worker and the real tool gateway; the loader appends what an orchestrator would, with the real log. The
floor does the same four writes by hand.
"""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from bench.calls_parts import MODULE
from bench.floor import declare as declare_floor
from bench.floor_parts import MODULE as FLOOR
from bench.floor_parts import Drained
from bench.measure import Result
from bench.parts import Part, measured, start
from bench.system import prepared, process
from stenograph_services.runtime.nats_server import NatsServer

DRAIN_SECONDS = 300.0


async def run_calls(server: NatsServer, *, seconds: float, in_flight: int) -> Result:
    """Return what calls cost with `in_flight` of them open at once, served by one worker process."""
    async with prepared(server):
        parts = [process(role, server) for role in ("tool-gateway", "worker")]
        loader = Part(MODULE, "calls", server.url, str(seconds), str(in_flight))
        return await measured(parts, loader, server.pid, server.monitor_url, seconds)


async def run_calls_floor(server: NatsServer, *, seconds: float, in_flight: int) -> Result:
    """As `run_calls`, by hand."""
    await declare_floor(server.url, live=True)
    parts = [Part(FLOOR, role, server.url) for role in ("tool-gateway", "worker")]
    loader = Part(FLOOR, "caller", server.url, str(seconds), str(in_flight))
    return await measured(parts, loader, server.pid, server.monitor_url, seconds)


async def run_drain(server: NatsServer, *, calls: int) -> Drained:
    """Return how long one worker process takes for what was queued while it was away."""
    async with prepared(server):
        loader = Part(MODULE, "drain", server.url, str(calls))
        return await _drained([process("tool-gateway", server)], loader, process("worker", server))


async def run_drain_floor(server: NatsServer, *, calls: int) -> Drained:
    """As `run_drain`, by hand."""
    await declare_floor(server.url, live=True)
    loader = Part(FLOOR, "drain", server.url, str(calls), "1")
    return await _drained([Part(FLOOR, "tool-gateway", server.url)], loader, Part(FLOOR, "worker", server.url))


async def _drained(parts: Sequence[Part], loader: Part, worker: Part) -> Drained:
    """Let `loader` queue its calls while there is no worker, then start `worker` and wait for the last result."""
    async with AsyncExitStack() as running:
        await start(parts, running)
        await running.enter_async_context(loader)
        await running.enter_async_context(worker)
        return await loader.ask("go", Drained, DRAIN_SECONDS)
