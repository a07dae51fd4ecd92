"""Effects that nobody knows of: what follows on an unknown outcome, and what a person's word on it becomes. Pure.

ask-person   resolution.requested          a person says what came of it, or nobody does in time
reconcile    tool.requested{checks}        another tool finds out, and then
             tool.resolved{check}          what it found out answers the call; if it cannot, it stays unknown

again        tool.requested                 the next attempt of one that may run again, after a pause

A call that must not run twice is never requested again, whatever follows.
"""

from datetime import timedelta
from typing import Any

import msgspec
from msgspec import Raw

from stenograph_events import CallId, check_call_id, derived_id, resolution_id
from stenograph_events.ids import SessionId, TenantId, TurnId
from stenograph_events.types import ResolutionRequested, ToolRequested, ToolResolved
from stenograph_events.values import NULL, OptionalRaw, Resolution
from stenograph_events.wire import Resolve
from stenograph_projections.effects import awaiting_resolution
from stenograph_projections.session import PendingCall, Session, Turn
from stenograph_services.orchestrator.decisions import Env, common
from stenograph_services.orchestrator.secrets import for_nobody, given_secrets, told
from stenograph_services.orchestrator.timeouts import declared_seconds
from stenograph_services.orchestrator.values import Values
from stenograph_services.protocol.agent import Agent, Tool
from stenograph_services.protocol.schemas import problems
from stenograph_services.protocol.secrets import filled

TEXT_MAX = 2_000  # characters that a person may write: a model reads them
PAUSE_MAX_SECONDS = 300.0  # between two attempts; longer ones are for a person to decide on
NO_ANSWER = "The check did not answer."


class NotResolved(Exception):
    """What somebody says came of a call changes nothing; the message is for whoever sent it."""


class Found(msgspec.Struct, frozen=True):
    """What a check answers with: what it found out of the call that it was asked about."""

    outcome: Resolution
    result: OptionalRaw = None
    error: str | None = None


_found = msgspec.json.Decoder(Found)


def next_attempt(session: Session, turn: Turn, call: PendingCall, agent: Agent, env: Env) -> ToolRequested:
    """Return the request of the next attempt of `call`, which may run again: the same but for its times."""
    tool, attempt = agent.tools[call.tool], call.attempt + 1
    seconds = declared_seconds(turn, call, agent) or env.tool_timeout_seconds
    begin = env.now + timedelta(seconds=pause(call.call, tool, call.attempt))
    return ToolRequested(
        **common(session, env, turn.started, f"requested/{call.call}/{attempt}"),
        call=call.call,
        tool=call.served_as,
        arguments=call.arguments,
        attempt=attempt,
        retry=call.retry,
        deadline_at=begin + timedelta(seconds=seconds),
        block=call.block,
        output=call.output,
        traceparent=turn.traceparent,
        max_result_bytes=tool.max_result_bytes and min(tool.max_result_bytes, env.result_max_bytes),
        attempts=call.attempts,
        not_before=begin,
        secrets=given_secrets(tool, msgspec.json.decode(call.arguments)),
    )


def pause(call: str, tool: Tool, failed: int) -> float:
    """Return the seconds between attempt `failed` and the next one, a quarter more or less: the same for each call.

    A thousand calls that failed together do not come back together.
    """
    doubled = tool.backoff_seconds * 2.0 ** (failed - 1)
    part = int(derived_id(call, f"pause/{failed}")[:8], 16) / 0xFFFFFFFF
    return float(min(doubled, PAUSE_MAX_SECONDS) * (0.75 + part / 2))


def follow_up(
    session: Session, turn: Turn, call: PendingCall, agent: Agent, env: Env
) -> ResolutionRequested | ToolRequested | ToolResolved:
    """Return what follows on `call`, whose outcome is unknown, or that was checked."""
    tool = agent.tools[call.tool]  # what its request said of unknown outcomes, it said as this tool declares
    if call.status == "checked":
        return _checked(session, turn, call, tool, env)
    if tool.reconcile is not None:
        return _check(session, turn, call, tool, agent, env)
    return ResolutionRequested(
        **common(session, env, turn.started, f"resolution/{call.call}/{call.attempt}"),
        call=call.call,
        attempt=call.attempt,
        tool=call.tool,
        arguments=call.arguments,
        deadline_at=env.now + timedelta(seconds=tool.approval_timeout_seconds),
        block=call.block,
        output=call.output,
    )


def left_unknown(session: Session, turn: Turn, call: PendingCall, env: Env) -> ToolResolved:
    """Return what closes a call of a cancelled turn: it may have taken effect, so it is not said to be cancelled."""
    common_fields = common(session, env, turn.started, f"resolved/{call.call}/{call.attempt}")
    return ToolResolved(**common_fields, call=call.call, attempt=call.attempt, outcome="unknown", reason="cancelled")


def said(session: Session, agent: Agent | None, wanted: Resolve, env: Env) -> ToolResolved:
    """Return the event that records what a person says; raise `NotResolved` if nobody waits for it, or it misfits."""
    call = awaiting_resolution(session, wanted.call)
    if call is None:
        raise NotResolved(f"nobody is asked what came of call {wanted.call}, or not any more")
    if problem := misfit(agent.tools.get(call.tool) if agent else None, wanted.outcome, wanted.result, wanted.error):
        raise NotResolved(problem)
    assert session.turn is not None, "a call waits in a turn"
    return ToolResolved(
        id=resolution_id(session.session, wanted.request),
        at=env.now,
        tenant=TenantId(session.tenant),
        session=SessionId(session.session),
        turn=TurnId(session.turn.id),
        call=CallId(wanted.call),
        attempt=call.attempt,
        outcome=wanted.outcome,
        result=wanted.result if wanted.result is not None else NULL,
        error=_text(wanted.error),
        actor=wanted.actor,
        reason=_text(wanted.reason),
    )


def misfit(tool: Tool | None, outcome: Resolution, result: Raw | None, error: str | None) -> str | None:
    """Return why no such outcome can be recorded of a call of `tool`, or None if it can."""
    if result is not None and outcome != "succeeded":
        return "a result belongs to a call that succeeded"
    if error and outcome == "succeeded":
        return "an error belongs to a call that failed, or whose outcome stays unknown"
    if outcome != "succeeded" or tool is None or tool.result is None:
        return None
    problem = problems(tool.result, msgspec.json.decode(result if result is not None else NULL))
    return f"the result is not what the protocol declares: {problem}" if problem else None


def _check(
    session: Session, turn: Turn, call: PendingCall, tool: Tool, agent: Agent, env: Env
) -> ToolRequested | ToolResolved:
    check = agent.tools[tool.reconcile or ""]
    served = session.parent.tools.get(check.name, check.name) if session.parent else check.name
    id = check_call_id(call.call, call.attempt)
    given: dict[str, Any] = {
        "call": call.call, "tool": call.tool, "arguments": told(call, tool), "attempt": call.attempt
    }  # fmt: skip
    declared = check.parameters.json.get("properties", {})
    arguments = {name: value for name, value in given.items() if name in declared}
    arguments = filled(check, arguments, Values(session, agent))
    secrets = given_secrets(check, arguments)
    if secrets is not None and served not in env.keyed:
        return _unasked(session, turn, call, for_nobody(check.name, is_served=served in env.tools), env)
    return ToolRequested(
        **common(session, env, turn.started, f"requested/{id}/1"),
        call=id,
        tool=served,
        arguments=Raw(msgspec.json.encode(arguments)),
        retry="safe",
        max_result_bytes=check.max_result_bytes and min(check.max_result_bytes, env.result_max_bytes),
        deadline_at=env.now + timedelta(seconds=check.timeout_seconds or env.tool_timeout_seconds),
        checks=call.call,
        traceparent=turn.traceparent,
        secrets=secrets,
    )


def _unasked(session: Session, turn: Turn, call: PendingCall, why: str, env: Env) -> ToolResolved:
    """Return what closes a call that nobody can be asked about."""
    common_fields = common(session, env, turn.started, f"resolved/{call.call}/{call.attempt}")
    return ToolResolved(**common_fields, call=call.call, attempt=call.attempt, outcome="unknown", reason=why)


def _checked(session: Session, turn: Turn, call: PendingCall, tool: Tool, env: Env) -> ToolResolved:
    found = _read(call.answer, tool)
    return ToolResolved(
        **common(session, env, turn.started, f"resolved/{call.call}/{call.attempt}"),
        call=call.call,
        attempt=call.attempt,
        outcome=found.outcome,
        result=found.result if found.result is not None else NULL,
        error=_text(found.error),
        check=check_call_id(call.call, call.attempt),
    )


def _read(answer: Raw, tool: Tool) -> Found:
    """Return what a check found out; an answer that says nothing, or what cannot be, leaves the outcome unknown."""
    if bytes(answer) == bytes(NULL):
        return Found("unknown", error=NO_ANSWER)
    try:
        found = _found.decode(answer)
    except msgspec.MsgspecError as error:
        return Found("unknown", error=f"The check answered what says nothing: {error}")
    if problem := misfit(tool, found.outcome, found.result, found.error):
        return Found("unknown", error=f"The check answered what cannot be: {problem}")
    return found


def _text(said: str | None) -> str | None:
    return (said or "").strip()[:TEXT_MAX] or None
