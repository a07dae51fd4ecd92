"""Child agents: a call that another agent answers, in a session with a log of its own.

    tool.requested{child: {session, agent, version, depth}}   →   the tool gateway creates that session and triggers it
    its turn.finished{parent, output}                         →   the tool gateway answers the call

The version that a child runs is the one stored when it is asked for, and stands in the request.
"""

from datetime import timedelta
from typing import Any

import msgspec

from stenograph_events import child_session_id
from stenograph_events.types import ToolRequested
from stenograph_events.values import Child, Compaction, Guard, SecretArguments
from stenograph_projections.session import PendingCall, Session, Turn
from stenograph_services.orchestrator.decisions import ChildVersion, Env, common
from stenograph_services.protocol.agent import Agent, ChildAgent, RunChild
from stenograph_services.protocol.schemas import closed, compiled, object_schema, problems
from stenograph_services.protocol.secrets import secret_names, secrets_in


class NoChild(Exception):
    """A child agent cannot be asked; the message says why."""


def child_request(
    session: Session,
    turn: Turn,
    call: PendingCall,
    arguments: dict[str, Any],
    agent: Agent,
    env: Env,
    compacts: Compaction | None = None,
) -> ToolRequested:
    """Return the request of `call` to the child agent that it names; raise `NoChild` if that cannot run."""
    child = agent.children[call.tool]
    version = env.children.get(child.slug)
    if version is None:
        raise NoChild(f"no agent {child.slug!r} of format worker is stored")
    depth = session.parent.depth + 1 if session.parent else 1
    if depth > env.child_depth_max:
        raise NoChild(f"child agents nest {env.child_depth_max} deep at most")
    secrets = _secrets(turn, call, agent)
    _check_secrets(child.slug, version, arguments, secrets)
    if problem := problems(version.parameters, arguments):
        raise NoChild(f"the input is wrong: {problem}")
    return ToolRequested(
        **common(session, env, turn.started, f"requested/{call.call}/1"),
        call=call.call,
        tool=child.slug,
        arguments=call.arguments,
        deadline_at=env.now + timedelta(seconds=child.timeout_seconds),
        block=call.block,
        output=call.output,
        child=Child(
            session=child_session_id(call.call),
            agent=child.slug,
            version=version.version,
            depth=depth,
            tools=_tools(session, child),
            guards=_guards(session, agent, child),
        ),
        compacts=compacts,
        traceparent=turn.traceparent,
        secrets=SecretArguments(tuple(sorted(secrets))) if secrets else None,
    )


def version_of(agent: Agent) -> ChildVersion | None:
    """Return `agent` as one that others may run; None if it is not of that format."""
    if agent.format != "worker":
        return None
    properties = {
        field.name: field.schema | ({"description": field.description} if field.description else {})
        for field in agent.input
    }
    required = [field.name for field in agent.input if field.required]
    parameters = compiled(closed(object_schema(properties, required)))
    return ChildVersion(agent.version, parameters, secret_names(agent.input))


def _secrets(turn: Turn, call: PendingCall, agent: Agent) -> set[str]:
    """Return the arguments of a call that are secrets: those that a block takes from such inputs."""
    block = agent.handlers[turn.trigger][call.block] if call.block is not None and call.compacts is None else None
    if not isinstance(block, RunChild):
        return set()
    names, given = secrets_in(agent, turn.trigger), msgspec.json.decode(call.arguments)
    return {name for name, (kind, source) in block.input if kind == "variable" and source in names and name in given}


def _check_secrets(slug: str, version: ChildVersion, arguments: dict[str, Any], secrets: set[str]) -> None:
    """Raise `NoChild` where a secret would be shown in the child's session, or was shown here."""
    if shown_there := sorted(secrets - version.secrets):
        raise NoChild(f"{shown_there[0]!r} is secret here, and no secret input of {slug!r}: it would be shown there")
    if shown_here := sorted(version.secrets.intersection(arguments) - secrets):
        raise NoChild(f"the input {shown_here[0]!r} of {slug!r} is secret: a block has to fill it from a secret input")


def _tools(session: Session, child: ChildAgent) -> dict[str, str]:
    """A tool that we have from our own parent is served where that one's is."""
    ours = session.parent.tools if session.parent else {}
    return {name: ours.get(served, served) for name, served in child.tools.items()}


def _guards(session: Session, agent: Agent, child: ChildAgent) -> dict[str, tuple[Guard, ...]]:
    """Return when a person has to agree to calls of our tools: the child's protocol may say nothing of it."""
    ours = session.parent.guards if session.parent else {}
    guards: dict[str, tuple[Guard, ...]] = {}
    for name, served in child.tools.items():
        own = agent.tools.get(served)
        declared = (Guard(own.approval, own.approval_timeout_seconds),) if own and own.approval != "never" else ()
        if both := (*declared, *ours.get(served, ())):
            guards[name] = both
    return guards
