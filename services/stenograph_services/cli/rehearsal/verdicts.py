"""The test cases of an agent's folder: each is rehearsed, checked, and compared with the log beside it.

agents/support-chat/tests/plan.yaml      the case
agents/support-chat/tests/plan.log       what is expected; `--update` writes it
agents/support-chat/tests/children/…     child agents, where they do not lie beside agents/support-chat
"""

import difflib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from stenograph_events import ApprovalDecision
from stenograph_events.types import (
    ApprovalRequested,
    BudgetExceeded,
    BudgetRaised,
    ResolutionRequested,
    ToolResolved,
    TurnFinished,
)
from stenograph_projections.invariants import Broken, Report, check
from stenograph_services.cli.rehearsal.case import CaseError, check_case, read_case
from stenograph_services.cli.rehearsal.companions import companions
from stenograph_services.cli.rehearsal.performing import rehearse
from stenograph_services.cli.rehearsal.scenes import Log
from stenograph_services.cli.rehearsal.telling import told
from stenograph_services.protocol.agent import Agent
from stenograph_services.protocol.compile import load_folder
from stenograph_services.protocol.problems import AgentError, Problem

TESTS = "tests"

Status = Literal["passed", "differs", "new", "written", "invalid", "broken"]
"""`new`: nothing is expected yet. `invalid`: the log breaks a rule of all logs. `broken`: the case is no good."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a rehearsal of one case showed. `diff` is from what was expected to `log`, what happened."""

    agent: str
    case: str
    file: str
    status: Status
    about: str = ""
    events: int = 0
    diff: str = ""
    problems: tuple[Problem, ...] = ()
    rules: tuple[Broken, ...] = ()
    log: str = ""

    @property
    def ok(self) -> bool:
        """Whether the case is as it should be."""
        return self.status in ("passed", "written")


def case_files(folder: Path, names: Collection[str] = ()) -> list[Path]:
    """Return the files of the cases in an agent's folder, by name; only those in `names`, if there are any."""
    return [path for path in sorted((folder / TESTS).glob("*.yaml")) if not names or path.stem in names]


def companion_places(folder: Path) -> list[Path]:
    """Return where the child agents of the agent in `folder` may lie, the nearest place first."""
    return [folder / TESTS / "children", folder.resolve().parent]


def rehearse_folder(folder: Path | str, names: Collection[str] = (), *, update: bool = False) -> list[Verdict]:
    """Return a verdict for each case of the agent in `folder`, by name; only for those in `names`, if there are any.

    `update` writes what happened as what is expected. Raises `AgentError` if the agent itself, or a child agent whose
    folder lies there, cannot be loaded.
    """
    return list(verdicts(Path(folder), names, update=update))


def verdicts(folder: Path, names: Collection[str] = (), *, update: bool = False) -> Iterator[Verdict]:
    """Yield the verdicts of `rehearse_folder` as they are reached."""
    agent = load_folder(folder)
    children = companions(agent, companion_places(folder))
    for path in case_files(folder, names):
        yield _verdict(agent, children, path, update)


def _verdict(agent: Agent, children: Mapping[str, Agent], path: Path, update: bool) -> Verdict:
    verdict = Verdict(agent=agent.slug, case=path.stem, file=str(path), status="broken")
    try:
        case = read_case(path)
        if found := check_case(case, agent, children):
            raise CaseError(found)
        log = rehearse(agent, case, children)
    except AgentError as error:
        return msgspec.structs.replace(verdict, problems=error.problems)
    verdict = msgspec.structs.replace(verdict, about=case.doc.about, events=len(log), log=told(log))
    if rules := tuple(checked(log).broken):
        return msgspec.structs.replace(verdict, status="invalid", rules=rules)
    return _compared(verdict, path.with_suffix(".log"), update)


def checked(log: Log) -> Report:
    """Return what the invariants find in the logs of all sessions. A turn may go on only where a budget holds it."""
    of_sessions: dict[str, list[tuple[int, str | None, bytes]]] = {}
    for recorded in log:
        stored = (recorded.sequence, None, recorded.data)
        of_sessions.setdefault(recorded.event.session, []).append(stored)
    complete = not _waits(log)
    return sum((check(stored, complete=complete) for stored in of_sessions.values()), Report())


def _compared(verdict: Verdict, expected: Path, update: bool) -> Verdict:
    before = expected.read_text(encoding="utf-8") if expected.is_file() else None
    if before == verdict.log:
        return msgspec.structs.replace(verdict, status="passed")
    if update:
        expected.write_text(verdict.log, encoding="utf-8")
    lines = difflib.unified_diff(
        (before or "").splitlines(keepends=True), verdict.log.splitlines(keepends=True), str(expected), "this rehearsal"
    )
    status: Status = "written" if update else "new" if before is None else "differs"
    return msgspec.structs.replace(verdict, status=status, diff="".join(lines))


def _waits(log: Log) -> bool:
    """Return whether a budget that was exceeded is neither raised nor done with, or a person is asked about a call."""
    waiting: set[str] = set()
    for recorded in log:
        if isinstance(recorded.event, BudgetExceeded | ApprovalRequested | ResolutionRequested):
            waiting.add(recorded.event.session)
        elif isinstance(recorded.event, BudgetRaised | ApprovalDecision | ToolResolved | TurnFinished):
            waiting.discard(recorded.event.session)
    return bool(waiting)
