"""Everything that can be said of agents from their files alone: protocol, prompts, scripts and test cases.

[Checked(folder=agents/order-desk, bundle=…, agent=Agent(…), problems=(Problem(…, severity="warning"),)), …]
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from stenograph_services.cli.agent_folder import agents_in
from stenograph_services.cli.output import Failure
from stenograph_services.cli.rehearsal.case import CaseError, check_case, read_case
from stenograph_services.cli.rehearsal.companions import companions
from stenograph_services.cli.rehearsal.mistakes import read_part
from stenograph_services.cli.rehearsal.verdicts import case_files, companion_places
from stenograph_services.orchestrator.models.script import Script, ScriptError, parse_script
from stenograph_services.protocol import Agent, AgentError, Bundle, Problem, read_folder
from stenograph_services.protocol.compile import check_bundle
from stenograph_services.protocol.source import read_yaml


class Checked(NamedTuple):
    """One folder: its files, the agent if they are one, and what is wrong with them, errors and warnings."""

    folder: Path
    bundle: Bundle | None
    agent: Agent | None
    problems: tuple[Problem, ...]

    @property
    def good(self) -> bool:
        """Whether there is no error; warnings there may be."""
        return self.agent is not None and not self.errors

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity == "error"]

    @property
    def warnings(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity == "warning"]


def folders_of(given: Iterable[Path]) -> list[Path]:
    """Return the agents' folders in those that were `given`; raise `Failure` for one that holds none."""
    found: list[Path] = []
    for folder in given:
        there = agents_in(folder)
        if not there:
            why = "no agent in it: protocol.yaml and settings.json belong into this folder, or into folders in it"
            raise Failure(f"{folder}: {why if folder.is_dir() else 'there is no such folder'}")
        found += [each for each in there if each not in found]
    return found


def checked(folder: Path, *, cases: bool = True) -> Checked:
    """Return all that can be said of the agent in `folder`; without its test `cases`, of what runs only."""
    try:
        bundle = read_folder(folder)
    except AgentError as error:
        return Checked(folder, None, None, error.problems)
    agent, problems = check_bundle(bundle, folder=str(folder))
    more = [*_in_scripts(folder, bundle), *(_in_cases(folder, agent) if cases else ())]
    return Checked(folder, bundle, agent, (*problems, *more))


def _in_scripts(folder: Path, bundle: Bundle) -> Iterator[Problem]:
    for name, text in bundle.scripts.items():
        file = str(folder / "scripts" / f"{name}.yaml")
        try:
            parse_script(text, file)
        except ScriptError as error:
            yield from _every_mistake(text, file) or [Problem(file=file, code="invalid", message=str(error))]


def _every_mistake(text: str, file: str) -> list[Problem]:
    """Return all that is wrong with a script; its own parser stops at the first mistake."""
    try:
        return read_part(Script, read_yaml(file, text))[1]
    except AgentError as error:
        return list(error.problems)


def _in_cases(folder: Path, agent: Agent | None) -> Iterator[Problem]:
    """A child agent that cannot be loaded is told of where its own folder is checked."""
    try:
        children = companions(agent, companion_places(folder)) if agent else {}
    except AgentError:
        agent = None
    for path in case_files(folder):
        try:
            case = read_case(path)
        except CaseError as error:
            yield from error.problems
            continue
        if agent is not None:
            yield from check_case(case, agent, children)
