"""The ledger: what was asked of tools, who let it run, and what is known to have come of it.

    for event in events:
        ledger.take(event)
    ledger.effects    [Effect("7e1f…", tool="pay", state="unknown", attempts=[Attempt(1, …)], …)]

It reads requests, their answers, approvals and resolutions, and nothing else, so a log may be given without the rest.
A call that was never requested, refused or denied, had no effect and is not in it; nor is one of a child agent.
"""

from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Raw

from stenograph_events import StoredEvent
from stenograph_events.types import (
    ApprovalEdited,
    ApprovalGranted,
    ResolutionRequested,
    ToolAnswerRejected,
    ToolCancelled,
    ToolFailed,
    ToolOutcomeUnknown,
    ToolRequested,
    ToolResolved,
    ToolSucceeded,
    ToolTimedOut,
)
from stenograph_events.values import EMPTY_OBJECT, Actor, Retry

EffectState = Literal["open", "asked", "checking", "succeeded", "failed", "timed-out", "unknown", "cancelled"]
"""`asked`: a person is asked what came of it; `checking`: another call finds out. Cancelled: it may have run."""


class Attempt(msgspec.Struct):
    """One request of a call. `late`: what a worker answered when nobody waited any more."""

    attempt: int
    requested_at: datetime
    deadline_at: datetime
    outcome: str | None = None
    ended_at: datetime | None = None
    worker: str | None = None
    late: str | None = None


class Effect(msgspec.Struct):
    """A call of a tool. `approved_by` let it run; `resolved_by`, or the call `check`, said what came of it.

    `ended_at`: when it was answered, None while it is not. `checks`: it finds out what came of another call.
    """

    session: str
    turn: str
    call: str
    tool: str
    retry: Retry
    served_by: Literal["worker", "client"]
    state: EffectState
    attempts: list[Attempt]
    arguments: Raw = EMPTY_OBJECT
    ended_at: datetime | None = None
    error: str | None = None
    approved_by: Actor | None = None
    resolved_by: Actor | None = None
    check: str | None = None
    checks: str | None = None

    @property
    def last(self) -> Attempt:
        return self.attempts[-1]


class Ledger:
    """Gathers the effects of any number of sessions, whose events come in the order of their logs."""

    def __init__(self) -> None:
        self._effects: dict[tuple[str, str], Effect] = {}
        self._approved: dict[tuple[str, str], Actor] = {}

    @property
    def effects(self) -> list[Effect]:
        """What was asked for, the oldest first."""
        return sorted(self._effects.values(), key=lambda effect: effect.attempts[0].requested_at)

    def take(self, event: StoredEvent) -> None:
        """Move on by one event."""
        key = (event.session, str(getattr(event, "call", "")))
        if isinstance(event, ApprovalGranted | ApprovalEdited):
            self._approved[key] = event.actor
        elif isinstance(event, ToolRequested):
            self._requested(key, event)
        elif (effect := self._effects.get(key)) is not None:
            _answered(effect, event)

    def _requested(self, key: tuple[str, str], event: ToolRequested) -> None:
        if event.child is not None:
            return
        if event.checks is not None and (checked := self._effects.get((event.session, event.checks))):
            checked.state = "checking"
        effect = self._effects.setdefault(
            key,
            Effect(
                session=event.session,
                turn=event.turn or "",
                call=event.call,
                tool=event.tool,
                retry=event.retry,
                served_by="client" if event.client else "worker",
                state="open",
                attempts=[],
                arguments=event.arguments,
                approved_by=self._approved.pop(key, None),
                checks=event.checks,
            ),
        )
        effect.state, effect.ended_at, effect.error = "open", None, None
        effect.attempts.append(Attempt(event.attempt, event.at, event.deadline_at))


def _answered(effect: Effect, event: StoredEvent) -> None:
    match event:
        case ToolSucceeded():
            _ended(effect, event.at, "succeeded", worker=event.worker)
        case ToolFailed():
            _ended(effect, event.at, "failed", worker=event.worker)
            effect.error = event.error
        case ToolTimedOut():
            _ended(effect, event.at, "timed-out")
        case ToolOutcomeUnknown():
            _ended(effect, event.at, "unknown")
        case ToolCancelled():
            _ended(effect, event.at, "cancelled")
        case ResolutionRequested():
            effect.state, effect.ended_at = "asked", None
        case ToolResolved():
            effect.state, effect.ended_at = event.outcome, event.at
            effect.error, effect.resolved_by, effect.check = event.error, event.actor, event.check
        case ToolAnswerRejected():
            for attempt in effect.attempts:
                if attempt.attempt == event.attempt:
                    attempt.late, attempt.worker = event.outcome, attempt.worker or event.worker


def _ended(effect: Effect, at: datetime, outcome: EffectState, worker: str | None = None) -> None:
    effect.state, effect.ended_at = outcome, at
    effect.last.outcome, effect.last.ended_at, effect.last.worker = outcome, at, worker
