"""Sessions of child agents, as logs name them: whose answer a session is, and which ones it waits for. Pure."""

from collections.abc import Iterable, Sequence

from stenograph_events import SessionId, StoredEvent, ToolOutcome
from stenograph_events.types import SessionCreated, ToolRequested, TurnFinished


def parent_of(events: Sequence[StoredEvent]) -> SessionId | None:
    """Return the session that a child agent's answers, as its log says; None for any other session."""
    first = events[0] if events else None
    return first.parent.session if isinstance(first, SessionCreated) and first.parent else None


def running_children(events: Iterable[StoredEvent]) -> list[SessionId]:
    """Return the sessions of the child agents that a session waits for at the end of its log."""
    running: dict[str, SessionId] = {}
    for event in events:
        if isinstance(event, ToolRequested) and event.child is not None:
            running[event.call] = event.child.session
        elif isinstance(event, ToolOutcome):
            running.pop(event.call, None)
        elif isinstance(event, TurnFinished):
            running.clear()
    return list(running.values())
