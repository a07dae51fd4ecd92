"""What a trigger or a cancel becomes: one event, or none when the log has its answer already. Pure, like `decide`."""

from decimal import Decimal
from typing import Any, Literal

import msgspec
from msgspec import Raw

from stenograph_events import AnyEvent, cancel_id, outcome_id, raise_id
from stenograph_events.ids import SessionId, TenantId, TurnId
from stenograph_events.types import (
    BudgetRaised,
    TriggerQueued,
    TriggerRejected,
    TurnCancelRequested,
    TurnStarted,
)
from stenograph_events.values import OfferedTool, Sender
from stenograph_events.wire import RaiseBudget, RollbackTo
from stenograph_projections.session import Session, paused
from stenograph_services.orchestrator.decisions import Env
from stenograph_services.protocol.agent import Agent
from stenograph_services.protocol.offered import InvalidTools, offered_again, undeclared
from stenograph_services.protocol.problems import did_you_mean
from stenograph_services.protocol.schemas import check_fields
from stenograph_services.protocol.secrets import in_clear

Reason = Literal[
    "busy",
    "queue-full",
    "invalid-input",
    "unknown-trigger",
    "unknown-agent",
    "cancelled",
    "crash-loop",
    "ran-once",
    "expired",
    "unknown-message",
]


UNSEALED = "came unsealed: send the trigger over HTTP, or with a client's credential, and the gateway seals it"


class Wanted(msgspec.Struct, frozen=True):
    """A trigger as it came: the turn that it would start, its name, its input, and what is to go before it starts.

    `tools` are what it offers beside those of the protocol; `sender` says whose it is.
    """

    turn: str
    name: str
    input: Raw
    rollback: RollbackTo | None = None
    tools: tuple[OfferedTool, ...] = ()
    sender: Sender | None = None
    traceparent: str | None = None


def outcome(session: Session, agent: Agent | None, trigger: Wanted, env: Env) -> AnyEvent | None:
    """Return the one event that answers `trigger`, or None if the log has answered it. `agent` None: not stored."""
    if trigger.turn in session.outcomes:
        return None
    if trigger.turn in session.withdrawn:
        return rejected(session, trigger, env, "cancelled", "cancelled before it was seen")
    if session.standing != "active":
        how = "expired" if session.standing == "expired" else "was cleared"
        return rejected(session, trigger, env, "expired", f"the session {how}; restore it, then trigger it again")
    if agent is None:
        detail = f"agent {session.agent} in version {session.agent_version} is not stored"
        return rejected(session, trigger, env, "unknown-agent", detail)
    if env.delivery > env.crash_limit:
        return rejected(session, trigger, env, "crash-loop", f"{env.delivery - 1} deliveries ended before any outcome")
    if agent.format == "worker" and session.turns:
        return rejected(session, trigger, env, "ran-once", "a worker runs once in its session; create another one")
    declared = agent.triggers.get(trigger.name)
    if declared is None:
        detail = f"no trigger {trigger.name!r}{did_you_mean(trigger.name, agent.triggers)}"
        return rejected(session, trigger, env, "unknown-trigger", detail)
    values, wrong = check_fields(declared.input, _decoded(trigger.input))
    if wrong:
        return rejected(session, trigger, env, "invalid-input", "; ".join(wrong)[:1000])
    if clear := in_clear(declared.input, values):
        return rejected(session, trigger, env, "invalid-input", f"{clear[0]} is secret, and {UNSEALED}")
    try:
        tools = undeclared(offered_again(trigger.tools, "tools"), agent)
    except InvalidTools as error:
        return rejected(session, trigger, env, "invalid-input", str(error)[:1000])
    checked = msgspec.structs.replace(trigger, input=Raw(msgspec.json.encode(values)), tools=tools)
    return _by_policy(session, agent, checked, env)


def rejected(session: Session, trigger: Wanted, env: Env, reason: Reason, detail: str) -> TriggerRejected:
    """Return the event that says why `trigger` never starts a turn."""
    return TriggerRejected(**_envelope(session, trigger, env), trigger=trigger.name, reason=reason, detail=detail)


def cancel(session: Session, turn: str, env: Env) -> TurnCancelRequested | None:
    """Return the event that cancels `turn`, or None when it is over, rejected, or being cancelled already."""
    running = session.turn is not None and session.turn.id == turn
    if running and session.turn is not None and session.turn.cancelling:
        return None
    queued = any(waiting.turn == turn for waiting in session.queue)
    if turn in session.withdrawn or (turn in session.outcomes and not running and not queued):
        return None
    return TurnCancelRequested(
        id=cancel_id(turn),
        at=env.now,
        tenant=TenantId(session.tenant),
        session=SessionId(session.session),
        turn=TurnId(turn),
    )


def raise_budget(session: Session, more: RaiseBudget, env: Env) -> BudgetRaised | None:
    """Return the event that allows more, or None if it is recorded already, or means a turn and none runs."""
    id = raise_id(session.session, more.request)
    if id in session.raises or (more.scope == "turn" and session.turn is None):
        return None
    return BudgetRaised(
        id=id,
        at=env.now,
        tenant=TenantId(session.tenant),
        session=SessionId(session.session),
        turn=TurnId(session.turn.id) if session.turn else None,
        scope=more.scope,
        tokens=max(0, more.tokens),
        cost=max(Decimal(0), more.cost),
        steps=max(0, more.steps),
        seconds=max(0.0, more.seconds),
    )


def _by_policy(session: Session, agent: Agent, trigger: Wanted, env: Env) -> AnyEvent:
    asked = _envelope(session, trigger, env) | {
        "trigger": trigger.name,
        "input": trigger.input,
        "tools": trigger.tools,
        "sender": trigger.sender,
        "traceparent": trigger.traceparent,
    }
    if session.turn is None and not session.queue:
        return TurnStarted(**asked, delivery=env.delivery - 1)
    if paused(session) and not session.queue:
        return TriggerQueued(**asked, interrupts=True)
    if agent.when_busy == "reject":
        busy_with = session.turn.id if session.turn else session.queue[0].turn
        return rejected(session, trigger, env, "busy", f"turn {busy_with} is running")
    if len(session.queue) >= env.queue_max:
        return rejected(session, trigger, env, "queue-full", f"{env.queue_max} triggers wait already")
    return TriggerQueued(**asked, interrupts=agent.when_busy == "interrupt")


def _envelope(session: Session, trigger: Wanted, env: Env) -> dict[str, Any]:
    return {
        "id": outcome_id(trigger.turn),
        "at": env.now,
        "tenant": TenantId(session.tenant),
        "session": SessionId(session.session),
        "turn": TurnId(trigger.turn),
    }


def _decoded(value: Raw) -> Any:
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        return None  # which no declared input accepts
