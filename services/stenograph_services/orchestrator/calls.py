"""Calls: from what a model or a block asks for to the one event that follows.

a served tool        tool.requested                    a worker answers
one nobody serves    tool.requested{client}            whoever follows the session answers
one of the trigger   tool.requested{client}            likewise: it is known only at run time
a child agent        tool.requested{child}             its own session answers
a tool of our own    tool.answered                     here and now
one to be approved   approval.requested                a person decides, then as above
one left unknown, or tried again     see `effects`
one of a broken tool tool.refused                      nobody waits for it; see `broken`
anything else        tool.refused                      nothing is requested with arguments that are wrong
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import Raw

from stenograph_events.types import (
    ApprovalRequested,
    ResolutionRequested,
    ToolAnswered,
    ToolRefused,
    ToolRequested,
    ToolResolved,
)
from stenograph_projections.session import PendingCall, Session, Turn
from stenograph_services.orchestrator.approvals import approval_of
from stenograph_services.orchestrator.broken import after, held_back, why_not
from stenograph_services.orchestrator.children import NoChild, child_request
from stenograph_services.orchestrator.decisions import Env, common
from stenograph_services.orchestrator.effects import follow_up, next_attempt
from stenograph_services.orchestrator.secrets import NoSecret, for_nobody, given_secrets, with_secrets
from stenograph_services.orchestrator.threads import callable_names, offered_tools, own_tools, setup_of
from stenograph_services.orchestrator.timeouts import declared_seconds
from stenograph_services.protocol.agent import Agent, Tool
from stenograph_services.protocol.builtin_tools import TODO_TOOL, answer_builtin
from stenograph_services.protocol.offered import misfit
from stenograph_services.protocol.problems import did_you_mean, shown
from stenograph_services.protocol.schemas import problems

CLIENT_SECONDS = 24 * 3600.0  # a person may be asked; the next trigger ends the wait sooner

Requested = ToolRequested | ToolAnswered | ToolRefused | ApprovalRequested | ResolutionRequested | ToolResolved


class Refused(Exception):
    """A call that must not run, or not before some time; the message is for whoever asked for it."""

    def __init__(self, why: str, not_before: datetime | None = None) -> None:
        super().__init__(why)
        self.not_before = not_before


def outcomes(
    session: Session, turn: Turn, calls: Sequence[PendingCall], agent: Agent, env: Env
) -> tuple[Requested, ...]:
    """Return what follows from `calls`, up to the first answer of our own: the next one may depend on it."""
    found: list[Requested] = []
    for call in calls:
        found.append(outcome_of(session, turn, call, agent, env))
        match found[-1]:
            case ToolAnswered():
                break
            case ToolRequested() as request:
                env = after(request, env)
    return tuple(found)


def outcome_of(session: Session, turn: Turn, call: PendingCall, agent: Agent, env: Env) -> Requested:
    """Return what follows from `call`, which is needed, or unknown."""
    if call.status != "needed":
        return follow_up(session, turn, call, agent, env)
    try:
        if call.attempt > 0:
            _check_works(call, agent.tools[call.tool], call.served_as, env)
            return _again(session, turn, call, agent, env)
        _check_asked(session, turn, call, agent)
        _check_allowed(call)
        if call.tool in agent.children:
            return child_request(session, turn, call, _arguments(call), agent, env)
        if call.tool in agent.tools:
            called = with_secrets(session, call, agent.tools[call.tool], agent)
            return _served(session, turn, called, agent, env)
        for tool in offered_tools(session, agent, turn.thread):
            if tool.name == call.tool:
                return _offered(session, turn, call, tool, env)
        return _answered(session, turn, call, agent, env)
    except (Refused, NoChild, NoSecret) as refusal:
        return ToolRefused(
            **common(session, env, turn.started, f"refused/{call.call}"),
            call=call.call,
            tool=call.tool,
            error=str(refusal),
            arguments_text=call.malformed,
            block=call.block,
            output=call.output,
            not_before=refusal.not_before if isinstance(refusal, Refused) else None,
        )


def _check_asked(session: Session, turn: Turn, call: PendingCall, agent: Agent) -> None:
    """Raise `Refused` if a model asks for what its thread does not offer. What a block asks for was validated."""
    if call.block is not None:
        return
    offered = (tool.name for tool in offered_tools(session, agent, turn.thread))
    names = (*callable_names(setup_of(session, agent, turn.thread), agent), *offered)
    if call.tool in names:
        return
    if call.tool.startswith("octavus_") or "__" in call.tool:
        raise Refused(f"{shown(call.tool)} is not run here; answer without it")
    raise Refused(f"no tool {shown(call.tool)}{did_you_mean(call.tool, names)}")


def _check_allowed(call: PendingCall) -> None:
    """Raise `Refused` if a person denied the call."""
    if call.decided is not None and call.decided.outcome == "denied":
        why = f": {call.decided.reason}" if call.decided.reason else ""
        raise Refused(f"a person did not allow this call{why}")


def _check_works(call: PendingCall, tool: Tool, served: str, env: Env) -> None:
    """Raise `Refused` if its workers have failed too often."""
    if held := held_back(call, tool, served, env):
        raise Refused(why_not(call.tool, held, env), max(held.until, env.now))


def _served(
    session: Session, turn: Turn, call: PendingCall, agent: Agent, env: Env
) -> ToolRequested | ApprovalRequested:
    """The protocol says whether it may run again; where it is silent the workers do; where both are, it may not."""
    tool, arguments = agent.tools[call.tool], _arguments(call)
    secrets = given_secrets(tool, arguments)
    if problem := problems(tool.parameters, arguments):
        raise Refused(f"the arguments are wrong: {problem}")
    served = session.parent.tools.get(tool.name, tool.name) if session.parent else tool.name
    if secrets is not None and served not in env.keyed:
        raise Refused(for_nobody(tool.name, is_served=served in env.tools))
    _check_works(call, tool, served, env)
    if question := approval_of(session, turn, call, tool, env):
        return question
    client = served not in env.tools and session.parent is None  # nobody follows the session of a child agent
    seconds = declared_seconds(turn, call, agent) or (CLIENT_SECONDS if client else env.tool_timeout_seconds)
    return ToolRequested(
        **common(session, env, turn.started, f"requested/{call.call}/1"),
        call=call.call,
        tool=served,
        arguments=call.arguments,
        retry=tool.retry or env.tools.get(served, "never"),
        deadline_at=env.now + timedelta(seconds=seconds),
        block=call.block,
        output=call.output,
        client=client,
        max_result_bytes=tool.max_result_bytes and min(tool.max_result_bytes, env.result_max_bytes),
        traceparent=turn.traceparent,
        on_unknown=None if client else tool.on_unknown,  # no claim says whether a client began
        attempts=1 if client else tool.attempts,
        secrets=secrets,
    )


def _again(session: Session, turn: Turn, call: PendingCall, agent: Agent, env: Env) -> ToolRequested:
    request = next_attempt(session, turn, call, agent, env)
    if request.secrets is not None and request.tool not in env.keyed:
        raise Refused(for_nobody(call.tool, is_served=request.tool in env.tools))
    return request


def _offered(session: Session, turn: Turn, call: PendingCall, tool: Tool, env: Env) -> ToolRequested:
    """Whoever sent the trigger answers, also where a worker serves a tool of that name."""
    _arguments(call)
    offers = next(one for one in turn.tools if one.name == tool.name)
    if problem := misfit(offers, tool, call.arguments):
        raise Refused(f"the arguments are wrong: {problem}")
    return ToolRequested(
        **common(session, env, turn.started, f"requested/{call.call}/1"),
        call=call.call,
        tool=tool.name,
        arguments=call.arguments,
        deadline_at=env.now + timedelta(seconds=CLIENT_SECONDS),
        client=True,
        traceparent=turn.traceparent,
    )


def _answered(session: Session, turn: Turn, call: PendingCall, agent: Agent, env: Env) -> ToolAnswered:
    arguments = _arguments(call)
    setup = setup_of(session, agent, turn.thread)
    tool = next(tool for tool in own_tools(setup, agent) if tool.name == call.tool)
    if problem := problems(tool.parameters, arguments):
        raise Refused(f"the arguments are wrong: {problem}")
    try:
        result = answer_builtin(agent, call.tool, arguments, msgspec.json.decode(session.todos), setup.references)
    except ValueError as error:
        raise Refused(str(error)) from error
    return ToolAnswered(
        **common(session, env, turn.started, f"answered/{call.call}"),
        call=call.call,
        tool=call.tool,
        result=Raw(msgspec.json.encode(result)),
        todos=Raw(msgspec.json.encode(result["todos"])) if call.tool == TODO_TOOL else None,
    )


def _arguments(call: PendingCall) -> dict[str, Any]:
    if call.malformed is not None:
        raise Refused("the arguments are not a JSON object")
    arguments: dict[str, Any] = msgspec.json.decode(call.arguments)
    return arguments
