"""Rules about budgets: a turn that would exceed one waits."""

from collections.abc import Iterator

from stenograph_events import type_of
from stenograph_events.types import (
    ApprovalRequested,
    BlockFinished,
    BudgetExceeded,
    BudgetRaised,
    MessageAdded,
    ModelFailed,
    ResolutionRequested,
    ThreadCompacted,
    ThreadStarted,
    ToolAnswered,
    ToolRefused,
    ToolRequested,
    TurnFinished,
)
from stenograph_projections.invariants.log import Case, Log

_Goes = (
    MessageAdded
    | ModelFailed
    | BlockFinished
    | ThreadStarted
    | ThreadCompacted
    | ToolRequested
    | ToolRefused
    | ToolAnswered
    | BudgetExceeded
    | ApprovalRequested
    | ResolutionRequested
)


def waits_for_budget(log: Log) -> Iterator[Case]:
    """A turn that would exceed a budget goes on when one was raised; until then it can only be stopped."""
    waiting: str | None = None
    for event in log.events:
        match event:
            case BudgetRaised():
                waiting = None
            case TurnFinished() if event.turn == waiting:
                yield (
                    event.n,
                    f"turn {event.turn} is completed over its budget" if event.outcome == "completed" else None,
                )
                waiting = None
            case _ if waiting is not None and event.turn == waiting and isinstance(event, _Goes):
                yield event.n, f"{type_of(event)} comes while turn {event.turn} waits for a budget"
        if isinstance(event, BudgetExceeded):
            yield event.n, None
            waiting = event.turn
