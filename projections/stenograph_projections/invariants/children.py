"""Rules about child agents: each end of the link between a call and the session that answers it names the other."""

from collections.abc import Iterator

from stenograph_events import SessionId, child_session_id
from stenograph_events.types import (
    SessionCreated,
    ToolCancelled,
    ToolRequested,
    TurnFinished,
    TurnStarted,
)
from stenograph_events.values import Child, Parent
from stenograph_projections.invariants.log import Case, Log


def child_calls(log: Log) -> Iterator[Case]:
    """A request to a child agent names the session that follows from its call, one level below; so does its cancel."""
    parent = _parent(log)
    depth = parent.depth + 1 if parent is not None else 1
    asked: dict[str, SessionId] = {}
    for event in log.events:
        match event:
            case ToolRequested(child=Child() as child):
                asked[event.call] = child.session
                yield event.n, _misnamed(event, child, depth)
            case ToolRequested(compacts=compaction) if compaction is not None:
                yield event.n, f"call {event.call} is to sum up a thread, and no child agent is asked"
            case ToolCancelled() if event.child is not None or event.call in asked:
                known = event.child == asked.get(event.call)
                yield event.n, None if known else f"call {event.call} is answered in session {asked.get(event.call)}"


def _misnamed(event: ToolRequested, child: Child, depth: int) -> str | None:
    if child.session != child_session_id(event.call):
        return f"session {child.session} does not follow from call {event.call}"
    return None if child.depth == depth else f"a child agent of this session runs at depth {depth}, not {child.depth}"


def parent_link(log: Log) -> Iterator[Case]:
    """The session of a child agent starts one turn, whose end answers the call that the session was created for."""
    parent = _parent(log)
    turns = 0
    for event in log.events:
        match event:
            case TurnStarted() if parent is not None:
                turns += 1
                yield (
                    event.n,
                    None if turns == 1 else f"turn {event.turn} starts in the session of a child agent that ran",
                )
            case TurnFinished() if parent is not None or event.parent is not None:
                yield event.n, None if event.parent == parent else "its end names another call than its session does"


def _parent(log: Log) -> Parent | None:
    return next((event.parent for event in log.events if isinstance(event, SessionCreated)), None)
