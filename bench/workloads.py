"""The workloads: what is measured, on which servers, and what becomes of it in the table.

Each workload is a function from `Settings` to a `Section`; `WORKLOADS` names them. A side is measured on a fresh server
of its own, so neither pays for what the other one left behind. Where both sides exist they run through `interleave`.
"""

import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from bench.floor import run_append_floor, run_floor
from bench.measure import Result, median_of_runs
from bench.report import Row
from stenograph_services.runtime.nats_server import NatsServer

AT_ONCE = 64


class Settings(msgspec.Struct, frozen=True):
    """How long and how often to measure; `say` shows progress; servers keep their stores under `directory`."""

    runs: int
    seconds: float
    directory: Path
    say: Callable[[str], None]


class Section(msgspec.Struct, frozen=True):
    """What one workload adds to the report."""

    rows: list[Row]
    operations: dict[str, dict[str, float]] = {}


Measurement = Callable[[NatsServer], Awaitable[Result]]


async def turns(settings: Settings) -> Section:
    """W1: one turn with one tool call by a separate worker."""

    def playing(clients: int) -> Measurement:
        return lambda server: run_floor(server, seconds=settings.seconds, clients=clients)

    one = await _floor(settings, "turns, 1 client", playing(1))
    many = await _floor(settings, f"turns, {AT_ONCE} clients", playing(AT_ONCE))
    cpu = "CPU of all processes, 1,000 turns"
    rows = [
        Row("w1.p50", "a turn, p50, 1 client", "ms", "lower", one.p50_ms, must="≤ 1.4"),
        Row("w1.p99", "a turn, p99, 1 client", "ms", "lower", one.p99_ms),
        Row("w1.rate", f"turns, {AT_ONCE} sessions", "1/s", "higher", many.per_second, must="≥ 0.5"),
        Row("w1.cpu-1", f"{cpu}, 1 client", "s", "lower", one.cpu_seconds_per_1000),
        Row("w1.cpu", f"{cpu}, {AT_ONCE} sessions", "s", "lower", many.cpu_seconds_per_1000, must="≤ 8 s"),
    ]
    return Section(rows, {"floor": one.operations})


async def appends(settings: Settings) -> Section:
    """W3: append one 500-byte event."""

    def writing(writers: int) -> Measurement:
        return lambda server: run_append_floor(server, seconds=settings.seconds, writers=writers)

    one = await _floor(settings, "appends, 1 writer", writing(1))
    many = await _floor(settings, f"appends, {AT_ONCE} writers", writing(AT_ONCE))
    rows = [
        Row("w3.p50", "an append, p50, 1 writer", "ms", "lower", one.p50_ms),
        Row("w3.p99", "an append, p99, 1 writer", "ms", "lower", one.p99_ms),
        Row("w3.rate", f"appends, {AT_ONCE} sessions", "1/s", "higher", many.per_second),
    ]
    return Section(rows)


WORKLOADS: dict[str, Callable[[Settings], Awaitable[Section]]] = {"w1": turns, "w3": appends}


async def on_fresh_server(settings: Settings, what: str, measure: Measurement) -> Result:
    """Return what `measure` finds on a server that holds nothing yet, and say it."""
    with tempfile.TemporaryDirectory(dir=settings.directory) as data:
        async with NatsServer(Path(data)) as server:
            result = await measure(server)
    settings.say(
        f"{what}: p50 {result.p50_ms:.2f} ms, {result.per_second:,.0f}/s, "
        f"{result.cpu_seconds_per_1000:.2f} CPU s for 1,000"
    )
    return result


async def _floor(settings: Settings, what: str, measure: Measurement) -> Result:
    runs = range(1, settings.runs + 1)
    return median_of_runs(
        [await on_fresh_server(settings, f"floor, {what}, run {run}/{settings.runs}", measure) for run in runs]
    )
