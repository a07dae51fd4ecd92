"""Reading test cases: from `tests/NAME.yaml` to a `Case`, or to every mistake in it at once.

agents/x/tests/plan.yaml:7 turns[0].model[1].txt: unknown key 'txt'; did you mean 'text'?
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from stenograph_services.cli.rehearsal.documents import CaseDoc, TurnDoc
from stenograph_services.cli.rehearsal.mistakes import read_part
from stenograph_services.protocol.agent import Agent
from stenograph_services.protocol.problems import AgentError, Problem, did_you_mean, shown
from stenograph_services.protocol.problems import Path as Place
from stenograph_services.protocol.source import Source, read_yaml


class CaseError(AgentError):
    """A test case cannot be rehearsed as it is written. `problems` says where and what to write instead."""


class Case:
    """One test case: its document, and where each part of it stands in its file."""

    def __init__(self, name: str, source: Source, doc: CaseDoc) -> None:
        self.name = name
        self.source = source
        self.doc = doc

    def problem(self, place: Place, code: str, message: str) -> Problem:
        """Return a problem at `place` of the document."""
        return self.source.problem(place, code, message)

    def turns(self) -> Iterator[tuple[Place, TurnDoc]]:
        """Return every turn with its place, those that come meanwhile after the one that they interrupt."""
        for i, turn in enumerate(self.doc.turns):
            yield from _with_meanwhile(("turns", i), turn)


def read_case(path: Path) -> Case:
    """Return the case in the file `path`; raise `CaseError` with all that is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CaseError([Problem(file=str(path), code="encoding", message="is not UTF-8")]) from error
    return parse_case(text, str(path))


def parse_case(text: str, file: str) -> Case:
    """Return the case that `text` is; `file` is what errors call it."""
    try:
        source = read_yaml(file, text)
    except AgentError as error:
        raise CaseError(error.problems) from error
    doc, found = read_part(CaseDoc, source)
    if doc is None or found:
        raise CaseError(found)
    return Case(Path(file).stem, source, doc)


def check_case(case: Case, agent: Agent, children: Mapping[str, Agent]) -> list[Problem]:
    """Return what the case says of tools, child agents and triggers that there are not."""
    tools = {name for each in (agent, *children.values()) for name in each.tools}
    tools |= {tool.name for _, turn in case.turns() for tool in turn.tools}
    slugs = {slug for each in (agent, *children.values()) for slug in each.children}
    unknown = [
        *_unknown(case, "tool", "tools", case.doc.tools, tools),
        *_unknown_clients(case, tools),
        *_unknown(case, "child agent", "children", case.doc.children, slugs),
    ]
    if agent.format == "worker":
        return unknown
    missing = [place for place, turn in case.turns() if turn.trigger is None]
    return unknown + [case.problem(place, "missing", "`trigger` is missing") for place in missing]


def _unknown(case: Case, kind: str, section: str, given: Mapping[str, object], known: set[str]) -> Iterator[Problem]:
    for name in given:
        if name not in known:
            message = f"the agent has no {kind} {shown(name)}{did_you_mean(name, sorted(known))}"
            yield case.problem((section, name), "unknown-name", message)


def _unknown_clients(case: Case, tools: set[str]) -> Iterator[Problem]:
    for at, name in enumerate(case.doc.clients):
        if name not in tools:
            message = f"the agent has no tool {shown(name)}{did_you_mean(name, sorted(tools))}"
            yield case.problem(("clients", at), "unknown-name", message)


def _with_meanwhile(place: Place, turn: TurnDoc) -> Iterator[tuple[Place, TurnDoc]]:
    yield place, turn
    for i, other in enumerate(turn.meanwhile):
        yield from _with_meanwhile((*place, "meanwhile", i), other)
