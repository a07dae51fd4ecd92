"""How things are measured: percentiles, medians of interleaved runs, processor time, the server's own counts.

Both sides of a comparison return a `Result`, so that everything after the measuring is the same code for both.
"""

import re
import statistics
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

import httpx
import msgspec
import psutil

A = TypeVar("A")
B = TypeVar("B")
S = TypeVar("S", bound=msgspec.Struct)


class Load(msgspec.Struct, frozen=True):
    """What a loading process saw: how many it did, in how long, and how long one took."""

    done: int
    seconds: float
    p50_ms: float
    p99_ms: float


class Result(msgspec.Struct, frozen=True):
    """One run, or the median of several. `operations` are the server's own counts for one turn (or append)."""

    p50_ms: float
    p99_ms: float
    per_second: float
    cpu_seconds_per_1000: float
    operations: dict[str, float] = {}


def load_of(latencies: Sequence[float], seconds: float) -> Load:
    """Return the load that took `latencies`, in seconds each, within `seconds`."""
    return Load(len(latencies), seconds, percentile(latencies, 50) * 1e3, percentile(latencies, 99) * 1e3)


def result_of(load: Load, cpu_seconds: float, operations: Counter[str]) -> Result:
    return Result(
        p50_ms=load.p50_ms,
        p99_ms=load.p99_ms,
        per_second=load.done / load.seconds,
        cpu_seconds_per_1000=cpu_seconds * 1000 / load.done,
        operations={name: round(count / load.done, 2) for name, count in sorted(operations.items())},
    )


def percentile(values: Iterable[float], percent: float) -> float:
    """Return the smallest of `values` that `percent` of them do not exceed (nearest rank)."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values, so no percentile: nothing was done in the time given")
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(int(rank), 1) - 1]


def median_of_runs(runs: Sequence[Result]) -> Result:
    """Return the median of each figure over `runs`."""
    names = {name for run in runs for name in run.operations}
    return Result(
        p50_ms=statistics.median(run.p50_ms for run in runs),
        p99_ms=statistics.median(run.p99_ms for run in runs),
        per_second=statistics.median(run.per_second for run in runs),
        cpu_seconds_per_1000=statistics.median(run.cpu_seconds_per_1000 for run in runs),
        operations={name: statistics.median(run.operations.get(name, 0.0) for run in runs) for name in sorted(names)},
    )


def medians(runs: Sequence[S]) -> S:
    """Return the median of each field over `runs`, which hold numbers alone."""
    columns = zip(*(msgspec.structs.astuple(run) for run in runs), strict=True)
    return type(runs[0])(*map(statistics.median, columns))


async def interleave(
    a: Callable[[], Awaitable[A]], b: Callable[[], Awaitable[B]], runs: int
) -> tuple[list[A], list[B]]:
    """Return the results of `runs` runs of each, a b, b a, a b, …: what the machine does meanwhile hits both alike."""
    of_a: list[A] = []
    of_b: list[B] = []
    for run in range(runs):
        if run % 2:
            of_b.append(await b())
            of_a.append(await a())
        else:
            of_a.append(await a())
            of_b.append(await b())
    return of_a, of_b


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the processor seconds that these processes and all their children have used until now.

    Raises `psutil.NoSuchProcess` if one has ended: its time is lost, and the measurement with it.
    """
    total = 0.0
    for pid in pids:
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            times = each.cpu_times()
            total += times.user + times.system
        own = process.cpu_times()
        total += getattr(own, "children_user", 0.0) + getattr(own, "children_system", 0.0)  # those already reaped
    return total


async def count_operations(monitor_url: str) -> Counter[str]:
    """Return what the server counted since it started: messages stored, delivered, received, sent.

    Streams and consumers that differ only in a number at the end (EV_0, EV_1, …) count as one.
    """
    async with httpx.AsyncClient(trust_env=False, base_url=monitor_url) as http:
        jetstream = (await http.get("/jsz?streams=true&consumers=true")).raise_for_status().json()
        server = (await http.get("/varz")).raise_for_status().json()
    counted: Counter[str] = Counter()
    for account in jetstream.get("account_details", ()):
        for stream in account.get("stream_detail", ()):
            family = re.sub(r"_\d+$", "", stream["name"])
            counted[f"stored in {family}"] += stream["state"]["last_seq"]
            for consumer in stream.get("consumer_detail") or ():
                counted[f"delivered from {family}"] += consumer["delivered"]["consumer_seq"]
    # Not `api.total`: the server leaves fetches and look-ups out of it. They are among the messages from clients.
    counted["messages from clients"] = server["in_client_msgs"]
    counted["messages to clients"] = server["out_client_msgs"]
    return counted
