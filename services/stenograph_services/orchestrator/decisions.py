"""What `decide` may say, and what it is told of the world beside the log."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from stenograph_events import AnyEvent, derived_id
from stenograph_events.ids import EventId, SessionId, TenantId, TurnId
from stenograph_events.types import Retry
from stenograph_projections.session import Session, Turn


class Append(msgspec.Struct, frozen=True):
    """These events follow. Storing the first of them only is fine: the rest follows again from what was stored."""

    events: tuple[AnyEvent, ...]


class Ask(msgspec.Struct, frozen=True):
    """A model has to answer: `step` responses were given in `block`, and `attempt` is the try that comes now."""

    turn: str
    block: int
    step: int
    attempt: int
    thread: str
    output: str | None = None


class Wait(msgspec.Struct, frozen=True):
    """Calls are open; their results will wake the session."""


class Idle(msgspec.Struct, frozen=True):
    """No turn runs and none is queued."""


Decision = Append | Ask | Wait | Idle


class Env(msgspec.Struct, frozen=True):
    """What decisions depend on beside the log; each such dependence is recorded in the event that it leads to."""

    now: datetime
    delivery: int = 1
    """How many times the event that is being driven was delivered."""
    tools: Mapping[str, Retry] = {}
    """Tools that workers serve, and whether those say that a call may run again."""
    queue_max: int = 16
    model_attempts: int = 3
    crash_limit: int = 5


def common(session: Session, env: Env, cause: str, ordinal: int | str = 0) -> dict[str, Any]:
    """Return the envelope of consequence `ordinal` of event `cause` in the running turn."""
    return {
        "id": derived_id(cause, ordinal),
        "at": env.now,
        "tenant": TenantId(session.tenant),
        "session": SessionId(session.session),
        "turn": TurnId(session.turn.id) if session.turn else None,
        "cause": EventId(cause),
    }


def attempt_now(session: Session, env: Env, turn: Turn) -> int:
    """Return the number of the model attempt that begins now: tries since the last progress, failed or crashed."""
    return max(env.delivery - session.deliveries_before, 1) + turn.failures


def append(*events: AnyEvent) -> Append:
    return Append(events)
