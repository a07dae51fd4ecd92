"""Decide: from a session as folded to what comes next. Pure: no clock, no network, no randomness.

    decide(session, agent, env) -> Append(events) | Ask(model) | Wait | Idle

`runnable(session)` in the projections is true exactly where this returns Append or Ask, without knowing the agent.
"""

from typing import Literal

from stenograph_events.types import ToolCancelled, TurnFinished, TurnStarted
from stenograph_projections.session import PendingCall, Session, Turn
from stenograph_services.orchestrator.blocks import decide_block, request_or_refuse
from stenograph_services.orchestrator.decisions import Append, Decision, Env, Idle, Wait, append, common
from stenograph_services.protocol.agent import Agent

Outcome = Literal["completed", "failed", "cancelled"]


def decide(session: Session, agent: Agent, env: Env) -> Decision:
    """Return what the log, the agent and the world ask for next."""
    turn = session.turn
    if turn is None:
        return _start_queued(session, env) if session.queue else Idle()
    if turn.cancelling:
        return _close(session, env, "cancelled")
    if needed := [call for call in turn.calls if call.status == "needed"]:
        return Append(tuple(request_or_refuse(session, turn, call, agent, env) for call in needed))
    if any(call.status == "open" for call in turn.calls):
        return Wait()
    if turn.failures and not (turn.may_retry and turn.failures < env.model_attempts):
        return finish(session, env, "failed", reason="model-failed", detail=turn.last_failure)
    index = turn.block + 1 if turn.block_over else turn.block
    handler = agent.handlers[turn.trigger]
    if index >= len(handler):
        return finish(session, env, "completed")
    return decide_block(handler[index], index, session, turn, agent, env)


def give_up(session: Session, env: Env) -> Append:
    """Return what ends a turn that crashed whoever drove it, again and again."""
    detail = f"{env.crash_limit} deliveries ended without any progress; look at the services' logs"
    return _close(session, env, "failed", reason="crash-loop", detail=detail)


def without_agent(session: Session, env: Env) -> Append:
    """Return what ends a turn, or the first queued one, of an agent that is not stored any more."""
    if session.turn is None:
        return _start_queued(session, env)
    detail = f"agent {session.agent} in version {session.agent_version} is not stored"
    return _close(session, env, "failed", reason="unknown-agent", detail=detail)


def finish(
    session: Session, env: Env, outcome: Outcome, *, reason: str | None = None, detail: str | None = None
) -> Append:
    """Return the one terminal event of the running turn."""
    turn = session.turn
    assert turn is not None, "only a running turn can finish"
    envelope = common(session, env, turn.started, "finished")
    return append(TurnFinished(**envelope, outcome=outcome, reason=reason, detail=detail))


def _start_queued(session: Session, env: Env) -> Append:
    queued = session.queue[0]
    envelope = common(session, env, queued.event) | {"turn": queued.turn}
    return append(TurnStarted(**envelope, trigger=queued.trigger, input=queued.input, delivery=env.delivery - 1))


def _close(
    session: Session, env: Env, outcome: Outcome, *, reason: str | None = None, detail: str | None = None
) -> Append:
    """A turn that is stopped answers its open calls, so that the model's history stays whole, and ends."""
    turn = session.turn
    assert turn is not None, "only a running turn can be closed"
    if pending := [call for call in turn.calls if call.status != "done"]:
        return Append(tuple(_cancelled(session, turn, call, env) for call in pending))
    return finish(session, env, outcome, reason=reason, detail=detail)


def _cancelled(session: Session, turn: Turn, call: PendingCall, env: Env) -> ToolCancelled:
    return ToolCancelled(**common(session, env, turn.started, f"cancelled/{call.call}"), call=call.call)
