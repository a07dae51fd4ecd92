"""Approvals: which calls wait for a person, and what that person's decision becomes. Pure.

decide       approval.requested, with the arguments in their canonical form and their digest
a decision   approval.granted, .denied or .edited; or nothing, with a sentence that says why
"""

from datetime import timedelta
from typing import Any

import msgspec
from msgspec import Raw

from stenograph_events import ApprovalDecision, CallId, canonical, decision_id, digest_of
from stenograph_events.ids import SessionId, TenantId, TurnId
from stenograph_events.types import ApprovalDenied, ApprovalEdited, ApprovalGranted, ApprovalRequested
from stenograph_events.values import Guard
from stenograph_events.wire import Approve
from stenograph_projections.approvals import awaiting
from stenograph_projections.session import PendingCall, Session, Turn
from stenograph_services.orchestrator.decisions import Env, common
from stenograph_services.protocol.agent import Agent, Tool
from stenograph_services.protocol.approvals import needs_person
from stenograph_services.protocol.schemas import problems
from stenograph_services.protocol.secrets import changed_secret, for_all

REASON_MAX = 2_000  # characters: a model reads it


class NotDecided(Exception):
    """A decision that changes nothing; the message is for whoever sent it."""


def approval_of(session: Session, turn: Turn, call: PendingCall, tool: Tool, env: Env) -> ApprovalRequested | None:
    """Return the question to a person that has to come before `call` runs, None if none has to.

    In the session of a child agent one has to also where the protocol above it says so.
    """
    arguments = canonical(call.arguments)
    told = _told(tool, arguments)
    own = Guard(tool.approval, tool.approval_timeout_seconds)
    guards = (own, *(session.parent.guards.get(tool.name, ()) if session.parent else ()))
    seconds = [guard.seconds for guard in guards if needs_person(guard.approval, told)]
    if call.decided is not None or not seconds:
        return None
    return ApprovalRequested(
        **common(session, env, turn.started, f"approval/{call.call}"),
        call=call.call,
        tool=call.tool,
        arguments=arguments,
        digest=digest_of(arguments),
        deadline_at=env.now + timedelta(seconds=min(seconds)),
        block=call.block,
        output=call.output,
    )


def decision(session: Session, agent: Agent | None, wanted: Approve, env: Env) -> ApprovalDecision:
    """Return the event that records what a person decided; raise `NotDecided` if it is about nothing that waits."""
    call = awaiting(session, wanted.call)
    if call is None:
        raise NotDecided(f"call {wanted.call} does not wait for an approval, or not any more")
    if wanted.digest != call.digest:
        raise NotDecided(f"the digest is not that of call {wanted.call}, which is {call.digest}: look at it again")
    common_fields = _envelope(session, wanted, env)
    match wanted.decision:
        case "grant":
            return ApprovalGranted(**common_fields)
        case "deny":
            return ApprovalDenied(**common_fields)
        case "edit":
            arguments = edited(agent, call, wanted.arguments)
            return ApprovalEdited(**common_fields, arguments=arguments, edited_digest=digest_of(arguments))


def edited(agent: Agent | None, call: PendingCall, arguments: Raw | None) -> Raw:
    """Return the arguments that a person gives `call`, in their canonical form; raise `NotDecided` if they misfit."""
    if arguments is None:
        raise NotDecided("an edit has to say with which arguments the call shall run")
    try:
        form = canonical(arguments)
    except ValueError as error:
        raise NotDecided(f"the arguments are not a JSON object: {error}") from error
    tool = agent.tools.get(call.tool) if agent else None
    if tool is None:
        raise NotDecided(f"tool {call.tool} is not declared any more, so nothing says which arguments fit")
    if tool.secrets:
        form = _with_its_secrets(tool, call, form)
    if problem := problems(tool.parameters, msgspec.json.decode(form)):
        raise NotDecided(f"the arguments are wrong: {problem}")
    return form


def _told(tool: Tool, arguments: Raw) -> Raw:
    """Return the arguments as an expression is given them: a secret is for nobody to compare with."""
    if not tool.secrets:
        return arguments
    return canonical(Raw(msgspec.json.encode(for_all(tool, msgspec.json.decode(arguments)))))


def _with_its_secrets(tool: Tool, call: PendingCall, form: Raw) -> Raw:
    """Return a person's arguments with the secrets that `call` has; raise `NotDecided` if they would be others."""
    given, ours = msgspec.json.decode(form), msgspec.json.decode(call.arguments)
    if name := changed_secret(tool, ours, given):
        raise NotDecided(f"{name!r} is secret: leave it out, and the call keeps the one that it has")
    kept = {name: ours[name] for name in tool.secrets if name in ours}
    return canonical(Raw(msgspec.json.encode({**for_all(tool, given), **kept})))


def _envelope(session: Session, wanted: Approve, env: Env) -> dict[str, Any]:
    assert session.turn is not None, "a call waits in a turn"
    return {
        "id": decision_id(session.session, wanted.request),
        "at": env.now,
        "tenant": TenantId(session.tenant),
        "session": SessionId(session.session),
        "turn": TurnId(session.turn.id),
        "call": CallId(wanted.call),
        "digest": wanted.digest,
        "actor": wanted.actor,
        "reason": (wanted.reason or "").strip()[:REASON_MAX] or None,
    }
