"""Many trials: several grounds side by side, several trials at once on each, and the verdicts on all of them."""

import asyncio
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.faults.trials.ground import Ground
from tests.faults.trials.points import Plan
from tests.faults.trials.report import Summary, summary
from tests.faults.trials.trial import Tried, run
from tests.faults.trials.verdict import Verdict, judge, stuck

AT_ONCE = 16  # on one ground; most of them recover
PER_GROUND = 250  # then the ground is judged and made anew: a log that fails should be short enough to read


async def tried(
    plans: Sequence[Plan],
    directory: Path,
    seed: int,
    grounds: int,
    done: Callable[[int], None],
    so_far: Callable[[Summary], None],
) -> Summary:
    """Run `plans` and return what they show; `done` hears how many are over, `so_far` what those showed."""
    began, deaths, counted = time.monotonic(), Counter[str](), 0
    verdicts: list[Verdict] = []
    waiting = [plans[i : i + PER_GROUND] for i in range(0, len(plans), PER_GROUND)]
    if len(plans) < grounds * PER_GROUND:
        waiting = [part for part in (plans[i::grounds] for i in range(grounds)) if part]

    def over() -> None:
        nonlocal counted
        counted += 1
        done(counted)

    async def take() -> None:
        while waiting:
            part, place = waiting.pop(0), directory / f"ground-{len(waiting)}"
            place.mkdir()
            verdicts.extend(await on_one_ground(part, place, deaths, over))
            shutil.rmtree(place)
            so_far(summary(verdicts, seed, time.monotonic() - began, dict(deaths)))

    await asyncio.gather(*(take() for _ in range(grounds)))
    return summary(verdicts, seed, time.monotonic() - began, dict(deaths))


async def on_one_ground(
    plans: Sequence[Plan], directory: Path, deaths: Counter[str], over: Callable[[], None], recorded: Path | None = None
) -> list[Verdict]:
    """Run `plans` on a ground of their own, and return the verdicts on them once it is quiet."""
    async with Ground(directory, recorded) as ground:
        room = asyncio.Semaphore(AT_ONCE)

        async def one(plan: Plan) -> Tried | Verdict:
            async with room:
                try:
                    return await run(ground, plan)
                except (AssertionError, TimeoutError) as error:
                    return stuck(plan, str(error))
                finally:
                    over()

        all_of_them = await asyncio.gather(*(one(plan) for plan in plans))
        await ground.quiet()
        effects = ground.effects()
        deaths.update(death.who for death in ground.deaths)
        return [
            found if isinstance(found, Verdict) else await judge(ground, found, effects.get(found.session, []))
            for found in all_of_them
        ]
