"""The workloads: what is measured, on which servers, and what becomes of it in the table.

Each workload is a function from `Settings` to a `Section`; `WORKLOADS` names them. A side is measured on a fresh server
of its own, so neither pays for what the other one left behind. Where both sides exist they run through `interleave`.
"""

import tempfile
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from bench.calls import run_calls, run_calls_floor, run_drain, run_drain_floor
from bench.cancelling import run_cancels
from bench.first_frame import FirstFrames, run_first_frames
from bench.floor import run_append_floor, run_floor
from bench.floor_parts import Drained
from bench.folding import folded_per_second
from bench.growing import Growth, run_growth
from bench.measure import Result, interleave, median_of_runs, medians
from bench.report import TIMES, Must, Row
from bench.restoring import Restored, run_restores
from bench.streaming import PER_SECOND, STREAMS, Streamed, run_streams
from bench.system import SCRIPTED, THREE_CALLS, run_appends, run_secure_turns, run_turns, run_turns_over_http
from stenograph_services.runtime.nats_server import NatsServer

AT_ONCE = 64
IN_FLIGHT = 200
QUEUED = 10_000
REPEATED = 15  # what takes milliseconds is measured so often, because it is cheap and one is easily disturbed
QUICK = 3

ACK_WAIT_SECONDS = 5.0  # what a service that was killed is given before its deliveries go to another one

A = TypeVar("A")


class Settings(msgspec.Struct, frozen=True):
    """How long and how often to measure; `say` shows progress; servers keep their stores under `directory`."""

    runs: int
    seconds: float
    directory: Path
    say: Callable[[str], None]
    quick: bool = False

    @property
    def repeated(self) -> int:
        return QUICK if self.quick else REPEATED


class Section(msgspec.Struct, frozen=True):
    """What one workload adds to the report."""

    rows: list[Row]
    operations: dict[str, dict[str, float]] = {}


Measurement = Callable[..., Awaitable[Result]]
"""`await measure(server, seconds=…, clients=… or writers=…)`."""


async def turns(settings: Settings) -> Section:
    """one turn with one tool call by a separate worker"""

    floor, ours = await _both(settings, "turns", run_floor, run_turns, clients=1)
    floor_64, ours_64 = await _both(settings, "turns", run_floor, run_turns, clients=AT_ONCE)
    cpu = "CPU of all processes for 1,000 turns"
    rows = [
        _row("w1.p50", "a turn, p50, 1 client", floor.p50_ms, ours.p50_ms, Must("ratio", 1.4)),
        _row("w1.p99", "a turn, p99, 1 client", floor.p99_ms, ours.p99_ms),
        Row(
            "w1.rate", f"turns, {AT_ONCE} sessions", "1/s", "higher",
            floor_64.per_second, ours_64.per_second, Must("ratio", 0.5),
        ),
        Row("w1.cpu-1", f"{cpu}, 1 client", "s", "lower", floor.cpu_seconds_per_1000, ours.cpu_seconds_per_1000),
        Row(
            "w1.cpu", f"{cpu}, {AT_ONCE} sessions", "s", "lower",
            floor_64.cpu_seconds_per_1000, ours_64.cpu_seconds_per_1000, Must("ours", 8),
        ),
    ]  # fmt: skip
    return Section(rows, {"floor": floor.operations, "ours": ours.operations})


async def secure_turns(settings: Settings) -> Section:
    """the same turn with its requests signed and verified and all of it sealed, and without"""

    both = partial(_both, settings, "turns", run_turns, run_secure_turns, sides=("plain ", "secure"))
    plain, secure = await both(clients=1)
    plain_64, secure_64 = await both(clients=AT_ONCE)
    times, many = secure.p50_ms / plain.p50_ms, plain_64.per_second / secure_64.per_second
    cpu = secure_64.cpu_seconds_per_1000 / plain_64.cpu_seconds_per_1000
    what = "signed and sealed ÷ plain"
    rows = [
        Row("w1-secure.p50", f"a turn, p50, 1 client, {what}", TIMES, "lower", None, times, Must("ratio", 1.15)),
        Row("w1-secure.rate", f"time for turns, {AT_ONCE} sessions, {what}", TIMES, "lower", None, many,
            Must("ratio", 1.15)),
        Row("w1-secure.cpu", f"CPU for 1,000 turns, {AT_ONCE} sessions, {what}", TIMES, "lower", None, cpu),
    ]  # fmt: skip
    return Section(rows)


async def turns_over_http(settings: Settings) -> Section:
    """the same turn, its model asked over HTTP; the floor asks no model"""

    over_http = "turns, model over HTTP"
    floor, ours = await _both(settings, over_http, run_floor, run_turns_over_http, clients=1)
    floor_64, ours_64 = await _both(settings, over_http, run_floor, run_turns_over_http, clients=AT_ONCE)
    what, cpu = "a turn, model over HTTP", "CPU for 1,000 turns, model over HTTP"
    rows = [
        _row("w1-http.p50", f"{what}, p50, 1 client", floor.p50_ms, ours.p50_ms),
        _row("w1-http.p99", f"{what}, p99, 1 client", floor.p99_ms, ours.p99_ms),
        Row(
            "w1-http.rate", f"{over_http}, {AT_ONCE} sessions", "1/s", "higher",
            floor_64.per_second, ours_64.per_second,
        ),
        Row("w1-http.cpu", f"{cpu}, 1 client", "s", "lower", floor.cpu_seconds_per_1000, ours.cpu_seconds_per_1000),
    ]  # fmt: skip
    return Section(rows)


async def restores(settings: Settings) -> Section:
    """a session restored until its next model request is built"""
    rows: list[Row] = []
    for events in (50, 1_000, 10_000):
        found = await _on_fresh_server(settings, partial(run_restores, events=events, times=settings.repeated))
        settings.say(
            f"{events:,} events, {found.size / 1e6:.2f} MB: with snapshot {found.with_snapshot * 1e3:.1f} ms, "
            f"from zero {found.from_zero * 1e3:.1f} ms, bare reading {found.read * 1e3:.1f} ms"
        )
        rows += _restore_rows(found)
    return Section(rows)


def _restore_rows(found: Restored) -> list[Row]:
    size = f"{found.events:,} events ({found.size / 1e6:.2g} MB)"
    zero = f"restore {size}, from zero; bare NATS only reads"
    must = found.events == 10_000
    return [
        _row(
            f"w2.snapshot-{found.events}", f"restore {size}, with snapshot",
            None, found.with_snapshot * 1e3, Must("ours", 50) if must else None,
        ),
        Row(
            f"w2.zero-{found.events}", zero, "events/s", "higher",
            found.events / found.read, found.events / found.from_zero, Must("ours", 40_000) if must else None,
        ),
    ]  # fmt: skip


async def appends(settings: Settings) -> Section:
    """one 500-byte event appended"""

    floor, ours = await _both(settings, "appends", run_append_floor, run_appends, writers=1)
    floor_64, ours_64 = await _both(settings, "appends", run_append_floor, run_appends, writers=AT_ONCE)
    rows = [
        _row("w3.p50", "an append, p50, 1 writer", floor.p50_ms, ours.p50_ms),
        _row("w3.p99", "an append, p99, 1 writer", floor.p99_ms, ours.p99_ms),
        Row("w3.rate", f"appends, {AT_ONCE} sessions", "1/s", "higher", floor_64.per_second, ours_64.per_second),
    ]
    return Section(rows)


async def growth(settings: Settings) -> Section:
    """turn 1, 100 and 1,000 of one session"""
    found = await _grown(settings, SCRIPTED, (1, 100, 1_000))
    rows = [_row(f"w4.{n}", f"turn {n:,} of a session, p50", None, ms) for n, ms in found.warm.items()]
    rows += [_row(f"w4.cold-{n}", f"turn {n:,}, session not in memory", None, ms) for n, ms in found.cold.items()]
    times = found.warm[1_000] / found.warm[1]
    rows.append(Row("w4.growth", "turn 1,000 ÷ turn 1", TIMES, "lower", None, times, Must("ratio", 1.2)))
    return Section(rows)


async def growth_of_three(settings: Settings) -> Section:
    """turn 1 and 200 of one session, with three tool calls each"""
    found = await _grown(settings, THREE_CALLS, (1, 200))
    times, size = found.warm[200] / found.warm[1], found.bytes_per_turn[200] / found.bytes_per_turn[1]
    rows = [_row(f"w5.{n}", f"turn {n:,} of a session, 3 calls each, p50", None, ms) for n, ms in found.warm.items()]
    rows.append(Row("w5.growth", "turn 200 ÷ turn 1, 3 calls each", TIMES, "lower", None, times, Must("ratio", 1.3)))
    rows.append(Row("w5.bytes", "log bytes a turn, 200 turns ÷ 1", TIMES, "lower", None, size, Must("ratio", 1.1)))
    return Section(rows)


async def _grown(settings: Settings, agent: str, lengths: Sequence[int]) -> Growth:
    measure = partial(run_growth, agent=agent, lengths=lengths, sessions=QUICK, turns=settings.repeated)
    found = await _on_fresh_server(settings, measure)
    for how, taken in (("warm", found.warm), ("cold", found.cold)):
        settings.say(f"{how}: " + ", ".join(f"turn {n:,} {ms:.2f} ms" for n, ms in taken.items()))
    return found


async def cancels(settings: Settings) -> Section:
    """a turn cancelled while its model speaks; and one whose orchestrator was killed before"""
    killed = 1 if settings.quick else 3
    found = await _on_fresh_server(settings, partial(run_cancels, alive=10 * settings.repeated, killed=killed))
    settings.say(f"p50 {found.alive_p50:.1f} ms, p99 {found.alive_p99:.1f} ms; killed {found.killed_max:.0f} ms")
    after = (ACK_WAIT_SECONDS + 2) * 1e3
    rows = [
        _row("w6.p50", "a cancel, p50", None, found.alive_p50),
        _row("w6.p99", "a cancel, p99", None, found.alive_p99, Must("ours", 200)),
        _row("w6.killed", "a cancel, orchestrator killed, worst", None, found.killed_max, Must("ours", after)),
    ]
    return Section(rows)


async def streams(settings: Settings) -> Section:
    """200 streams of running turns on one gateway process"""
    runs: list[Streamed] = []
    for _ in range(settings.runs):
        runs.append(await _on_fresh_server(settings, partial(run_streams, seconds=settings.seconds)))
        settings.say(
            f"p50 {runs[-1].p50_ms:.2f} ms, p99 {runs[-1].p99_ms:.2f} ms, {runs[-1].cpu_us_per_frame:.0f} µs a frame, "
            f"{runs[-1].busy_mb:.0f} MB; not late until {runs[-1].most_per_second:,.0f}/s"
        )
    found, what = medians(runs), f"a frame, publish to socket, {STREAMS} streams, {PER_SECOND * STREAMS:,.0f} frames/s"
    rows = [
        _row("w7.p50", f"{what}, p50", None, found.p50_ms),
        _row("w7.p99", f"{what}, p99", None, found.p99_ms, Must("ours", 50)),
        Row("w7.most", "frames, p99 under 50 ms", "1/s", "higher", None, found.most_per_second),
        Row("w7.cpu", "CPU of the gateway for 1,000 frames", "s", "lower", None, found.cpu_us_per_frame / 1e3),
        Row("w7.idle", "memory of the gateway, no stream", "MB", "lower", None, found.idle_mb),
        Row("w7.busy", f"the same, {STREAMS} streams", "MB", "lower", None, found.busy_mb, Must("ours", 200)),
    ]
    return Section(rows)


async def first_frames(settings: Settings) -> Section:
    """the first frame of a turn, over HTTP and over NATS"""
    runs: list[FirstFrames] = []
    for _ in range(settings.runs):
        runs.append(await _on_fresh_server(settings, partial(run_first_frames, pairs=20 * settings.repeated)))
        settings.say(f"over NATS {runs[-1].over_nats_ms:.2f} ms, over HTTP {runs[-1].over_http_ms:.2f} ms")
    found = medians(runs)
    rows = [
        _row("w8.nats", "first frame of a turn, over NATS, p50", None, found.over_nats_ms),
        _row("w8.http", "first frame of a turn, over HTTP, p50", None, found.over_http_ms),
        _row("w8.longer", "first frame of a turn, HTTP − NATS, p50", None, found.longer_ms, Must("ours", 5)),
    ]
    return Section(rows)


async def calls(settings: Settings) -> Section:
    """a tool call, from its request in the log to its result there"""

    floor, ours = await _both(settings, "calls", run_calls_floor, run_calls, in_flight=1)
    many, ours_many = await _both(settings, "calls", run_calls_floor, run_calls, in_flight=IN_FLIGHT)
    what = f"{IN_FLIGHT} in flight, one worker"
    rows = [
        _row("w9.p50", "a tool call, p50, one at a time", floor.p50_ms, ours.p50_ms, Must("ours", 5)),
        _row("w9.p99", "a tool call, p99, one at a time", floor.p99_ms, ours.p99_ms),
        Row("w9.rate", f"tool calls, {what}", "1/s", "higher", many.per_second, ours_many.per_second),
        _row("w9.p50-many", f"a tool call, p50, {what}", many.p50_ms, ours_many.p50_ms),
        _row("w9.p99-many", f"a tool call, p99, {what}", many.p99_ms, ours_many.p99_ms),
        Row(
            "w9.cpu", f"CPU of all processes for 1,000 tool calls, {what}", "s", "lower",
            many.cpu_seconds_per_1000, ours_many.cpu_seconds_per_1000,
        ),
    ]  # fmt: skip
    return Section(rows)


async def drains(settings: Settings) -> Section:
    """calls that were queued while their worker was away"""
    count = QUEUED // 10 if settings.quick else QUEUED

    async def run(side: str, measure: Callable[..., Awaitable[Drained]]) -> Drained:
        found = await _on_fresh_server(settings, partial(measure, calls=count))
        settings.say(f"{side}: {found.calls:,} calls in {found.seconds:.1f} s, {found.calls / found.seconds:,.0f}/s")
        return found

    of_floor, of_ours = await interleave(
        lambda: run("floor", run_drain_floor), lambda: run("ours ", run_drain), settings.runs
    )
    floor, ours = medians(of_floor), medians(of_ours)
    what = f"{count:,} queued calls drained by one worker"
    rows = [
        Row("w10.seconds", what, "s", "lower", floor.seconds, ours.seconds),
        Row("w10.rate", what, "1/s", "higher", floor.calls / floor.seconds, ours.calls / ours.seconds),
    ]
    return Section(rows)


async def folding(settings: Settings) -> Section:
    """decode, apply, check the chain, in one process"""
    found = folded_per_second(settings.repeated)
    settings.say(f"{found:,.0f} events/s")
    return Section([Row("fold.rate", "fold of a session", "events/s", "higher", None, found, Must("ours", 250_000))])


WORKLOADS: dict[str, Callable[[Settings], Awaitable[Section]]] = {
    "w1": turns,
    "w1-secure": secure_turns,
    "w1-http": turns_over_http,
    "w2": restores,
    "w3": appends,
    "w4": growth,
    "w5": growth_of_three,
    "w6": cancels,
    "w7": streams,
    "w8": first_frames,
    "w9": calls,
    "w10": drains,
    "fold": folding,
}


def _row(id: str, what: str, floor: float | None, ours: float, must: Must | None = None) -> Row:
    return Row(id, what, "ms", "lower", floor, ours, must)


async def _both(
    settings: Settings,
    what: str,
    floor: Measurement,
    ours: Measurement,
    *,
    sides: tuple[str, str] = ("floor", "ours "),
    **at_once: int,
) -> tuple[Result, Result]:
    """Return the medians of both sides, run by run in turns."""
    how = ", ".join(f"{name} {number}" for name, number in at_once.items())

    async def run(side: str, measure: Measurement) -> Result:
        result = await _on_fresh_server(settings, partial(measure, seconds=settings.seconds, **at_once))
        settings.say(
            f"{side}, {what}, {how}: p50 {result.p50_ms:.2f} ms, {result.per_second:,.0f}/s, "
            f"{result.cpu_seconds_per_1000:.2f} CPU s for 1,000"
        )
        return result

    of_floor, of_ours = await interleave(lambda: run(sides[0], floor), lambda: run(sides[1], ours), settings.runs)
    return median_of_runs(of_floor), median_of_runs(of_ours)


async def _on_fresh_server(settings: Settings, measure: Callable[[NatsServer], Awaitable[A]]) -> A:
    """Return what `measure` finds on a server that holds nothing yet."""
    with tempfile.TemporaryDirectory(dir=settings.directory) as data:
        async with NatsServer(Path(data)) as server:
            return await measure(server)
