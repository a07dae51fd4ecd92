"""Crash trials: somebody dies exactly there, in a real conversation, and what must hold is held to the tool's ledger.

    $ python -m tests.faults.trials                                     3,000 trials, as `make soak` runs them
    $ python -m tests.faults.trials --trials 60 --only worker/claim     those of some points
    $ python -m tests.faults.trials --again 7000012 worker/claim/sent   one trial again
    $ python -m tests.faults.trials --list                              the kill points

The report goes to reports/trials.md and .json. It fails if a trial shows what must not be, or a point is never hit.
"""

import argparse
import asyncio
import logging
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from tests.faults.trials.points import POINTS, Plan, plan, plans
from tests.faults.trials.report import Summary, in_words, store
from tests.faults.trials.running import tried

MEMORY = Path("/dev/shm")
REPORTS = Path(__file__).parents[3] / "reports"
SAY_EVERY = 100


def main() -> int:
    wanted = _arguments()
    logging.getLogger("stenograph_sdk").setLevel(logging.CRITICAL)  # of the connections that are broken on purpose
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    if wanted.list:
        print("\n".join(POINTS))
        return 0
    if wanted.again:
        seed, name = int(wanted.again[0]), wanted.again[1]
        chosen = [plan(seed, POINTS[name])]
    else:
        chosen = plans(wanted.trials, wanted.seed, wanted.only)
    found = asyncio.run(_run(chosen, wanted))
    print(in_words(found))
    for one in found.wrong:
        print(f"{one.point} (--again {one.seed} {one.point}): {'; '.join(one.details)}", file=sys.stderr)
    for name in found.never_hit:
        print(f"{name} was never hit", file=sys.stderr)
    if not wanted.again:
        store(found, wanted.report)
        print(f"written to {wanted.report}")
    return 1 if found.wrong or found.never_hit else 0


async def _run(chosen: list[Plan], wanted: argparse.Namespace) -> Summary:
    with tempfile.TemporaryDirectory(prefix="trials-", dir=wanted.directory) as directory:
        console, keep = Console(stderr=True), _forget if wanted.again else partial(store, folder=wanted.report)
        if not console.is_terminal:
            return await tried(chosen, Path(directory), wanted.seed, wanted.grounds, _plainly(len(chosen)), keep)
        columns = (TextColumn("trials"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("trials", total=len(chosen))
            return await tried(
                chosen,
                Path(directory),
                wanted.seed,
                wanted.grounds,
                lambda done: progress.update(task, completed=done),
                keep,
            )


def _forget(_: Summary) -> None:
    """One trial again is no report."""


def _plainly(total: int) -> Callable[[int], None]:
    def say(done: int) -> None:
        if done % SAY_EVERY == 0 or done == total:
            print(f"{done:,} of {total:,} trials", file=sys.stderr, flush=True)

    return say


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.trials", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=3_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", default="", metavar="TEXT", help="points whose name contains TEXT")
    parser.add_argument("--again", nargs=2, metavar=("SEED", "POINT"), help="run one trial again")
    parser.add_argument("--grounds", type=int, default=3, help="systems that run side by side")
    parser.add_argument("--list", action="store_true", help="show the kill points")
    parser.add_argument("--report", type=Path, default=REPORTS, metavar="FOLDER")
    parser.add_argument("--directory", default=str(MEMORY) if MEMORY.is_dir() else None, help="where servers store")
    wanted = parser.parse_args()
    if not any(wanted.only in name for name in POINTS):
        parser.error(f"--only: no kill point has {wanted.only!r} in its name; --list shows them")
    if wanted.again and (not wanted.again[0].isdecimal() or wanted.again[1] not in POINTS):
        parser.error("--again wants a seed, which is a number, and a kill point; --list shows those")
    return wanted


if __name__ == "__main__":
    sys.exit(main())
