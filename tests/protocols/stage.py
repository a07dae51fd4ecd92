"""The agents of this folder and their cases, rehearsed once."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from stenograph_services.cli.rehearsal import Log, Verdict, case_files, read_case, rehearse, rehearse_folder
from stenograph_services.cli.rehearsal.companions import companions
from stenograph_services.cli.rehearsal.verdicts import companion_places
from stenograph_services.protocol import Agent, load_folder

HERE = Path(__file__).parent
FOLDERS = sorted(settings.parent for settings in HERE.glob("*/settings.json"))
CASES = [path for folder in FOLDERS for path in case_files(folder)]


class Performance(NamedTuple):
    """What happened in one case, and the agents that took part, by slug."""

    agents: dict[str, Agent]
    log: Log


@cache
def verdicts(folder: Path) -> dict[str, Verdict]:
    """Return the verdict of each case of the agent in `folder`."""
    return {verdict.case: verdict for verdict in rehearse_folder(folder)}


@cache
def performances() -> tuple[Performance, ...]:
    """Return what happened in every case."""
    return tuple(performance for folder in FOLDERS for performance in _of(folder))


def _of(folder: Path) -> Iterator[Performance]:
    agent = load_folder(folder)
    children = companions(agent, companion_places(folder))
    for path in case_files(folder):
        yield Performance({**children, agent.slug: agent}, rehearse(agent, read_case(path), children))
