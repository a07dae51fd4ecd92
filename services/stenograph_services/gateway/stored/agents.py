"""Agents as clients read them.

GET  /api/agents             {"agents":[{"slug":"support-chat","id":"0193…","name":"Support Chat",…}]}
GET  /api/agents/{agent}     {"id":"0193…","settings":{"slug":"support-chat",…},"protocol":"…","prompts":[…]}
POST /api/agents             {"agentId":"0193…","message":"agent 'support-chat' is created"}
POST /api/agents/validate    {"valid":false,"errors":[{"message":"…","severity":"error","path":"protocol.yaml:14 …"}],…}
"""

from collections.abc import Iterable, Mapping

from stenograph_services.gateway.http.shapes import Shape, iso
from stenograph_services.protocol import Bundle, Problem
from stenograph_services.protocol.references import read_references
from stenograph_services.runtime.agents import AgentEntry


class AgentItem(Shape, frozen=True, kw_only=True, omit_defaults=False):
    """An agent in the list. A description that is missing is null here, and only here."""

    slug: str
    id: str
    name: str
    description: str | None
    format: str
    created_at: str
    updated_at: str
    project_id: str


class AgentList(Shape, frozen=True, kw_only=True):
    agents: list[AgentItem]


class AgentSettings(Shape, frozen=True, kw_only=True):
    slug: str
    name: str
    format: str
    description: str | None = None


class AgentPrompt(Shape, frozen=True, kw_only=True):
    name: str
    content: str


class AgentReference(Shape, frozen=True, kw_only=True):
    name: str
    description: str
    content: str


class AgentDetail(Shape, frozen=True, kw_only=True):
    id: str
    settings: AgentSettings
    protocol: str
    prompts: list[AgentPrompt]
    references: list[AgentReference]


class AgentChanged(Shape, frozen=True, kw_only=True):
    """What came of creating, changing or archiving an agent, in a sentence for a person."""

    agent_id: str
    message: str


class Finding(Shape, frozen=True, kw_only=True):
    """A mistake or a warning. `path` is its place for a person; what follows is the same for a program."""

    message: str
    severity: str
    path: str
    code: str
    file: str
    line: int = 0
    column: int = 0


class Verdict(Shape, frozen=True, kw_only=True):
    """Whether an agent could be stored, and all that there is to say about it."""

    valid: bool
    errors: list[Finding]
    warnings: list[Finding]


def agent_item(entry: AgentEntry, tenant: str) -> AgentItem:
    return AgentItem(
        slug=entry.slug,
        id=entry.id,
        name=entry.name,
        description=entry.description,
        format=entry.format,
        created_at=iso(entry.created_at),
        updated_at=iso(entry.updated_at),
        project_id=tenant,
    )


def agent_detail(entry: AgentEntry, bundle: Bundle) -> AgentDetail:
    return AgentDetail(
        id=entry.id,
        settings=AgentSettings(
            slug=entry.slug, name=entry.name, format=entry.format, description=entry.description or None
        ),
        protocol=bundle.protocol,
        prompts=[AgentPrompt(name=name, content=content) for name, content in sorted(bundle.prompts.items())],
        references=_references(bundle.references),
    )


def verdict(problems: Iterable[Problem]) -> Verdict:
    """Return what a client is told of `problems`; without an error among them the agent is valid."""
    findings = [_finding(problem) for problem in problems]
    errors = [finding for finding in findings if finding.severity == "error"]
    return Verdict(valid=not errors, errors=errors, warnings=[one for one in findings if one.severity == "warning"])


def _references(texts: Mapping[str, str]) -> list[AgentReference]:
    read, _ = read_references(texts, lambda name: name)
    return [
        AgentReference(name=name, description=reference.description, content=reference.text)
        for name, reference in sorted(read.items())
    ]


def _finding(problem: Problem) -> Finding:
    return Finding(
        message=problem.message,
        severity=problem.severity,
        path=problem.place,
        code=problem.code,
        file=problem.file,
        line=problem.line,
        column=problem.column,
    )
