"""Decide: from a session as folded to what comes next. Pure: no clock, no network, no randomness.

    decide(session, agent, env) -> Append(events) | Ask(model) | Wait | Idle

`runnable(session)` in the projections is true exactly where this returns Append or Ask, without knowing the agent.
"""

import msgspec
from msgspec import Raw

from stenograph_events.types import ToolCancelled, ToolResolved, TurnStarted
from stenograph_projections.session import ACTED_ON, UNKNOWN, PendingCall, Session, Turn
from stenograph_services.orchestrator.blocks import decide_block
from stenograph_services.orchestrator.calls import outcomes
from stenograph_services.orchestrator.decisions import Append, Decision, Env, Idle, Wait, append, common
from stenograph_services.orchestrator.effects import left_unknown
from stenograph_services.orchestrator.endings import Outcome, failed, finish
from stenograph_services.orchestrator.values import Values
from stenograph_services.protocol.agent import Agent

OUTPUT_MAX_BYTES = 900_000  # of the 1 MB that the log takes in one event


def decide(session: Session, agent: Agent, env: Env) -> Decision:
    """Return what the log, the agent and the world ask for next."""
    turn = session.turn
    if turn is None:
        return _start_queued(session, env) if session.queue else Idle()
    if turn.cancelling:
        return _close(session, env, "cancelled")
    if turn.exceeded is not None:
        return Wait()
    if acted_on := [call for call in turn.calls if call.status in ACTED_ON]:
        return Append(outcomes(session, turn, acted_on, agent, env))
    if any(call.status != "done" for call in turn.calls):
        return Wait()
    index = turn.block + 1 if turn.block_over else turn.block
    handler = agent.handlers[turn.trigger]
    if index >= len(handler):
        return _completed(session, agent, env)
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


def _completed(session: Session, agent: Agent, env: Env) -> Append:
    """A child agent's turn ends with the value of its output variable, null if it has none."""
    if agent.output is None:
        return finish(session, env, "completed")
    output = Raw(msgspec.json.encode(Values(session, agent).get(agent.output)))
    if len(bytes(output)) > OUTPUT_MAX_BYTES:
        return failed(session, env, "too-large", f"{agent.output} has over {OUTPUT_MAX_BYTES} bytes")
    return finish(session, env, "completed", output=output)


def _start_queued(session: Session, env: Env) -> Append:
    """The tools that the trigger offers stay where they are, in its `trigger.queued`: they may be large."""
    queued = session.queue[0]
    envelope = common(session, env, queued.event) | {"turn": queued.turn}
    return append(
        TurnStarted(
            **envelope,
            trigger=queued.trigger,
            input=queued.input,
            delivery=env.delivery - 1,
            sender=queued.sender,
            traceparent=queued.traceparent,
        )
    )


def _close(
    session: Session, env: Env, outcome: Outcome, *, reason: str | None = None, detail: str | None = None
) -> Append:
    """A turn that is stopped answers its open calls, so that the model's history stays whole, and ends."""
    turn = session.turn
    assert turn is not None, "only a running turn can be closed"
    if pending := [call for call in turn.calls if call.status != "done"]:
        return Append(tuple(_closed(session, turn, call, env) for call in pending))
    return finish(session, env, outcome, reason=reason, detail=detail)


def _closed(session: Session, turn: Turn, call: PendingCall, env: Env) -> ToolCancelled | ToolResolved:
    if call.status in UNKNOWN:
        return left_unknown(session, turn, call, env)
    envelope = common(session, env, turn.started, f"cancelled/{call.call}")
    return ToolCancelled(**envelope, call=call.call, child=call.child, tool=call.served_as)
