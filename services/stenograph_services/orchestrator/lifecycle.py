"""What an expiry, a restore, a clear and a rollback become: one event, or none where the log has it already. Pure.

A session that runs is left alone by all of them: whoever asks waits for it, or cancels its turn first.
"""

from collections.abc import Sequence
from typing import Any

from stenograph_events import AnyEvent, clear_id, expiry_id, restore_id, rollback_id
from stenograph_events.ids import EventId, SessionId, TenantId, TurnId
from stenograph_events.types import (
    MessagesRolledBack,
    SessionCleared,
    SessionExpired,
    SessionRestored,
    TriggerQueued,
    TurnStarted,
)
from stenograph_events.wire import Clear, Expire, Restore, Rollback
from stenograph_projections.rollback import Place, left_of, place_of
from stenograph_projections.session import Session, idle
from stenograph_projections.transcript import Entry
from stenograph_services.orchestrator.decisions import Env
from stenograph_services.orchestrator.triggers import Wanted, rejected

Asked = Expire | Restore | Clear | Rollback


def recorded(session: Session, n: int, entries: Sequence[Entry], asked: Asked, env: Env) -> AnyEvent | None:
    """Return the one event that `asked` becomes in a session that stands at event `n`, if any."""
    match asked:
        case Expire():
            return expire(session, n, asked, env)
        case Restore():
            return restore(session, asked, env)
        case Clear():
            return clear(session, asked, env)
        case Rollback():
            return roll_back(session, entries, asked, env)


def expire(session: Session, n: int, wanted: Expire, env: Env) -> SessionExpired | None:
    """Return the expiry of a session that stands at event `n`, or None if it moved on, or is not idle for so long."""
    silent = (env.now - session.updated_at).total_seconds()
    if session.standing != "active" or not idle(session) or n != wanted.n or silent < wanted.idle_seconds:
        return None
    id = expiry_id(session.session, n)
    return SessionExpired(**_envelope(session, env, id), idle_seconds=wanted.idle_seconds)


def restore(session: Session, wanted: Restore, env: Env) -> SessionRestored | None:
    """Return what lets the session go on, or None if it does. Only a cleared one takes what the client brought back."""
    if session.standing == "active":
        return None
    return SessionRestored(
        **_envelope(session, env, restore_id(session.session, wanted.request)),
        submitted=wanted.submitted,
        differing=wanted.differing,
        messages=wanted.messages if session.standing == "cleared" else (),
    )


def clear(session: Session, wanted: Clear, env: Env) -> SessionCleared | None:
    """Return what takes the conversation from every view, or None if it is gone, or if a turn runs or waits."""
    if session.standing == "cleared" or not idle(session):
        return None
    return SessionCleared(**_envelope(session, env, clear_id(session.session, wanted.request)))


def roll_back(session: Session, entries: Sequence[Entry], wanted: Rollback, env: Env) -> MessagesRolledBack | None:
    """Return the rollback; None if it is in the log, the session takes none now, or it holds no message `after`."""
    id = rollback_id(session.session, wanted.request)
    if id in session.rollbacks or session.standing != "active" or not idle(session):
        return None
    place = place_of(entries, wanted.after)
    return None if place is None else _rolled_back(session, entries, place, id, None, env)


def with_rollback(
    session: Session, entries: Sequence[Entry], trigger: Wanted, outcome: AnyEvent, env: Env
) -> tuple[AnyEvent, ...]:
    """Return what answers `trigger`, whose outcome is `outcome`: what it rolls back goes before the start of its turn.

    A trigger with a rollback does not wait for a turn that runs: what that says belongs to what is to go.
    """
    id = rollback_id(session.session, trigger.turn)
    if trigger.rollback is None or id in session.rollbacks:
        return (outcome,)
    match outcome:
        case TriggerQueued():
            detail = "messages are rolled back only while no turn runs and none waits"
            return (rejected(session, trigger, env, "busy", detail),)
        case TurnStarted():
            place = place_of(entries, trigger.rollback.after)
            if place is None:
                detail = f"the session holds no message {trigger.rollback.after!r} to go back to"
                return (rejected(session, trigger, env, "unknown-message", detail),)
            return (_rolled_back(session, entries, place, id, TurnId(trigger.turn), env), outcome)
    return (outcome,)


def _rolled_back(
    session: Session, entries: Sequence[Entry], place: Place, id: EventId, turn: TurnId | None, env: Env
) -> MessagesRolledBack:
    return MessagesRolledBack(
        **_envelope(session, env, id, turn),
        through=place.through,
        kept=place.kept,
        sizes=left_of(entries, place),
    )


def _envelope(session: Session, env: Env, id: EventId, turn: TurnId | None = None) -> dict[str, Any]:
    return {
        "id": id,
        "at": env.now,
        "tenant": TenantId(session.tenant),
        "session": SessionId(session.session),
        "turn": turn,
    }
