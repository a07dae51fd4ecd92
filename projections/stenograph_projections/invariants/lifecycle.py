"""Rules about the life of a session: when it expires, is cleared, is restored, and when messages are rolled back."""

from collections.abc import Iterator

from stenograph_events import ToolOutcome, answers_call
from stenograph_events.types import (
    MessageAdded,
    MessagesRolledBack,
    SessionCleared,
    SessionExpired,
    SessionRestored,
    ToolRequested,
    TriggerQueued,
    TurnCancelRequested,
    TurnFinished,
    TurnStarted,
)
from stenograph_projections.invariants.log import Case, Log


def expiry(log: Log) -> Iterator[Case]:
    """A session that expired or was cleared takes no trigger until it is restored, and only such a one is restored."""
    standing = "active"
    for event in log.events:
        match event:
            case SessionExpired():
                yield event.n, None if standing == "active" else f"the session expires and is {standing} already"
                standing = "expired"
            case SessionCleared():
                yield event.n, None if standing != "cleared" else "the session is cleared again"
                standing = "cleared"
            case SessionRestored():
                yield event.n, _restored(event, standing)
                standing = "active"
            case TurnStarted() | TriggerQueued() if standing != "active":
                yield event.n, f"turn {event.turn} is accepted while the session is {standing}"


def _restored(event: SessionRestored, standing: str) -> str | None:
    if standing == "active":
        return "the session is restored, and was active"
    return "messages are brought back that were not cleared" if event.messages and standing != "cleared" else None


def at_rest(log: Log) -> Iterator[Case]:
    """A session expires, is cleared and is rolled back only while no turn runs and none waits."""
    busy: set[str | None] = set()
    running: str | None = None
    for event in log.events:
        match event:
            case TurnStarted():
                busy.add(event.turn)
                running = event.turn
            case TriggerQueued():
                busy.add(event.turn)
            case TurnFinished():
                busy.discard(event.turn)
            case TurnCancelRequested() if event.turn != running:  # it leaves the queue
                busy.discard(event.turn)
            case SessionExpired() | SessionCleared() | MessagesRolledBack():
                yield event.n, f"turn {min(map(str, busy))} is not over yet" if busy else None


def rolled_back(log: Log) -> Iterator[Case]:
    """Messages are rolled back in a session that takes triggers, to an event that was there and left no call open."""
    active = True
    for event in log.events:
        match event:
            case SessionExpired() | SessionCleared():
                active = False
            case SessionRestored():
                active = True
            case MessagesRolledBack():
                yield event.n, _misplaced(log, event) if active else "the session takes no trigger"


def _misplaced(log: Log, event: MessagesRolledBack) -> str | None:
    if not 0 <= event.through < event.n:
        return f"event {event.through} was not there"
    asked: set[str] = set()
    for one in log.events:
        if one.n > event.through:
            break
        if isinstance(one, MessageAdded):
            asked.update(call.call for call in one.calls)
        elif isinstance(one, ToolRequested):
            asked.add(one.call)
        elif isinstance(one, ToolOutcome) and answers_call(one):
            asked.discard(one.call)
    return f"call {min(asked)} was not answered at event {event.through}" if asked else None
