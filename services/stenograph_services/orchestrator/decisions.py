"""What `decide` may say, and what it is told of the world beside the log."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec

from stenograph_events import AnyEvent, derived_id
from stenograph_events.ids import EventId, SessionId, TenantId, TurnId
from stenograph_events.values import Retry, Usage
from stenograph_projections.session import Session, Turn
from stenograph_projections.transcript import Message, Reply
from stenograph_services.protocol.agent import ContextManagement, Schema, Tool


class Append(msgspec.Struct, frozen=True):
    """These events follow. Storing the first of them only is fine: the rest follows again from what was stored."""

    events: tuple[AnyEvent, ...]


class ThreadSettings(msgspec.Struct, frozen=True):
    """How a thread asks its model now: a `ThreadSetup` with every reference resolved and the system prompt rendered."""

    model: str
    system: str
    tools: tuple[Tool, ...] = ()
    """All that the model may call: served tools, child agents and our own, in the order in which it is told of them."""
    max_steps: int = 10
    temperature: float | None = None
    thinking: str | None = None
    backup_model: str | None = None
    max_output_tokens: int | None = None
    max_tool_output_tokens: int | None = None
    loop_guard: bool = False
    cache: Literal["auto", "extended", "off"] = "auto"
    speed: Literal["fast", "standard"] | None = None
    context: ContextManagement | None = None


class Ask(msgspec.Struct, frozen=True):
    """A model has to answer: `step` responses were given in `block`, and `attempt` is the try that comes now.

    `model` is the one to ask: that of the settings, or its backup. `max_output_tokens` also keeps within the budget.
    """

    turn: str
    block: int
    step: int
    attempt: int
    thread: str
    settings: ThreadSettings
    model: str
    backup: bool = False
    max_output_tokens: int | None = None
    seconds: float | None = None
    """What the budget leaves for the answer; None: no limit."""
    output: str | None = None
    independent: bool = False
    response_type: str | None = None
    response: Schema | None = None


class Wait(msgspec.Struct, frozen=True):
    """Calls are open, or wait for a person, or a budget is used up; what answers them will wake the session."""


class Idle(msgspec.Struct, frozen=True):
    """No turn runs and none is queued."""


Decision = Append | Ask | Wait | Idle


class ChildVersion(msgspec.Struct, frozen=True):
    """The version of a child agent that a new call would run, and what its input has to be."""

    version: str
    parameters: Schema
    secrets: frozenset[str] = frozenset()
    """The inputs that are secret: a model is not asked for them."""


class HeldBack(msgspec.Struct, frozen=True):
    """Why a tool is not asked: so many calls failed in a row, so none is to be asked before `until`.

    `on_trial`: until then one call tries it. `may_try`: that time is over, and this session may.
    """

    failures: int
    until: datetime
    on_trial: bool = False
    may_try: bool = False


def _nothing(thread: str) -> Sequence[Message | Reply]:
    return ()


def _unpriced(model: str, usage: Usage) -> Decimal | None:
    return None


def _unknown_window(model: str) -> int | None:
    return None


class Env(msgspec.Struct, frozen=True):
    """What decisions depend on beside the log; each such dependence is recorded in the event that it leads to."""

    now: datetime
    delivery: int = 1
    """How many times the event that is being driven was delivered."""
    tools: Mapping[str, Retry] = {}
    """Tools that workers serve, and whether those say that a call may run again."""
    keyed: Collection[str] = ()
    """Tools of these whose workers gave a key, so that secrets can be sealed to them."""
    held_back: Mapping[str, HeldBack] = {}
    """Those of them that are broken."""
    queue_max: int = 16
    model_attempts: int = 3
    crash_limit: int = 5
    children: Mapping[str, ChildVersion] = {}
    """The child agents that are stored, by slug, as they are now."""
    child_depth_max: int = 8
    result_max_bytes: int = 64 * 1024**2
    """How large a result may be, whatever its tool says."""
    tool_timeout_seconds: float = 60.0
    """How long a worker may take for a call whose tool does not say."""
    view: Callable[[str], Sequence[Message | Reply]] = _nothing
    """The messages of a thread as its model reads them, from the same log that the session is folded from."""
    whole: Callable[[str], Sequence[Message | Reply]] = _nothing
    """The messages of a thread, also those that a summary stands for in the model's view."""
    price: Callable[[str, Usage], Decimal | None] = _unpriced
    """What such usage of a model costs in US dollars; None if its price is unknown."""
    window: Callable[[str], int | None] = _unknown_window
    """How many tokens a model reads at most; None if that is unknown."""


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
