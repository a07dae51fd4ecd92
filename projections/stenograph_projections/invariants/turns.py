"""Rules about triggers and turns: each trigger is answered once, one turn runs at a time, and each comes to one end."""

from collections.abc import Iterator

from stenograph_events import StoredEvent, UnknownEvent, type_of
from stenograph_events.types import (
    BudgetExceeded,
    BudgetRaised,
    MessageAdded,
    MessagesRolledBack,
    ResolutionRequested,
    SessionCleared,
    SessionCreated,
    SessionExpired,
    SessionRestored,
    ThreadCompacted,
    ThreadStarted,
    ToolAnswered,
    ToolAnswerRejected,
    ToolRequested,
    TriggerQueued,
    TriggerRejected,
    TurnCancelRequested,
    TurnFinished,
    TurnStarted,
)
from stenograph_projections.invariants.log import Case, Log


def one_outcome(log: Log) -> Iterator[Case]:
    """A trigger has one outcome: started, rejected, or queued and then started or cancelled."""
    outcome: dict[str, str] = {}
    allowed: tuple[str | None, ...]
    for event in log.events:
        turn = event.turn or ""
        before = outcome.get(turn)
        match event:
            case TurnStarted():
                allowed, now = (None, "queued"), "started"
            case TriggerQueued():
                allowed, now = (None,), "queued"
            case TriggerRejected():
                allowed, now = (None, "withdrawn"), "rejected"
            case TurnCancelRequested() if before in (None, "queued"):
                outcome[turn] = "cancelled" if before else "withdrawn"
                continue
            case _:
                continue
        yield event.n, None if before in allowed else f"turn {turn} is {now}, though it was {before} before"
        outcome[turn] = now
    if log.complete:
        for turn in [turn for turn, state in outcome.items() if state == "queued"]:
            yield log.last, f"turn {turn} still waits in the queue"


def one_turn_at_a_time(log: Log) -> Iterator[Case]:
    """A turn starts when no other one runs."""
    running: str | None = None
    for event in log.events:
        if isinstance(event, TurnStarted):
            yield event.n, None if running is None else f"turn {event.turn} starts while turn {running} runs"
            running = event.turn
        elif isinstance(event, TurnFinished) and event.turn == running:
            running = None


def queue_order(log: Log) -> Iterator[Case]:
    """Turns that wait start in the order in which they came, and no other turn starts before them."""
    queue: list[str | None] = []
    for event in log.events:
        match event:
            case TriggerQueued():
                queue.append(event.turn)
            case TurnStarted() if queue:
                first = queue[0]
                yield event.n, None if event.turn == first else f"turn {event.turn} starts before turn {first}"
                queue = [turn for turn in queue if turn != event.turn]
            case TurnCancelRequested():
                queue = [turn for turn in queue if turn != event.turn]


def one_end(log: Log) -> Iterator[Case]:
    """A turn that started ends once; in a complete log it has ended."""
    open_turns: set[str | None] = set()
    for event in log.events:
        if isinstance(event, TurnStarted):
            open_turns.add(event.turn)
        elif isinstance(event, TurnFinished):
            yield event.n, None if event.turn in open_turns else f"turn {event.turn} ends, but it was not running"
            open_turns.discard(event.turn)
    if log.complete:
        for turn in open_turns:
            yield log.last, f"turn {turn} has not ended"


_ANYWHERE = (
    SessionCreated
    | SessionExpired
    | SessionRestored
    | SessionCleared
    | MessagesRolledBack
    | TurnStarted
    | TriggerQueued
    | TriggerRejected
    | UnknownEvent
)
_LATE = TurnCancelRequested | ToolAnswerRejected | TurnFinished  # a second end is for `one_end` to name


def within_its_turn(log: Log) -> Iterator[Case]:
    """What belongs to a turn lies between its start and its end; only cancels and rejected answers may come later."""
    state: dict[str | None, str] = {}
    for event in log.events:
        if not isinstance(event, _ANYWHERE | _LATE) and not _of_the_session(event):
            now = state.get(event.turn)
            where = "after the end of" if now == "over" else "outside"
            yield event.n, None if now == "running" else f"{type_of(event)} comes {where} turn {event.turn}"
        elif isinstance(event, TurnStarted):
            state[event.turn] = "running"
        elif isinstance(event, TurnFinished):
            state[event.turn] = "over"


def _of_the_session(event: StoredEvent) -> bool:
    """A session's budget may be raised while no turn runs."""
    return isinstance(event, BudgetRaised) and event.turn is None


_Goes = ToolAnswered | ThreadStarted | ThreadCompacted | BudgetExceeded | ResolutionRequested


def cancelling(log: Log) -> Iterator[Case]:
    """Once a turn is to be cancelled, nothing is requested in it, no answer is added whole, and it is not completed."""
    running: str | None = None
    cancelled: set[str | None] = set()
    for event in log.events:
        match event:
            case TurnStarted():
                running = event.turn
            case TurnCancelRequested():
                cancelled.add(event.turn)
            case TriggerQueued(interrupts=True):
                cancelled.add(running)
            case ToolRequested() if event.turn in cancelled:
                yield event.n, f"call {event.call} is requested while turn {event.turn} is cancelled"
            case _ if isinstance(event, _Goes) and event.turn in cancelled:
                yield event.n, f"{type_of(event)} comes while turn {event.turn} is cancelled"
            case MessageAdded(role="assistant") if event.turn in cancelled:
                whole = event.finish_reason != "cancelled"
                yield event.n, f"an answer is added whole while turn {event.turn} is cancelled" if whole else None
            case TurnFinished():
                if event.turn in cancelled:
                    completed = event.outcome == "completed"
                    yield event.n, f"turn {event.turn} is completed though it was cancelled" if completed else None
                running = None
