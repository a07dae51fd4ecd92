"""Calls whose outcome is unknown, in the running turn: who is to say what came of them, and what they say.

    open  →  unknown  →  resolution                      →  done    a person says, or nobody does in time
    open  →  unknown  →  checking  →  checked            →  done    another call finds out
    open  →  done                                                   the model is told that nobody knows

What follows is in the request of the call, so that a fold need not know the protocol.
"""

from datetime import datetime

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from stenograph_events import CallId, ToolOutcome
from stenograph_events.types import ResolutionRequested, ToolOutcomeUnknown, ToolRequested, ToolResolved, ToolSucceeded
from stenograph_events.values import EMPTY_OBJECT, NULL
from stenograph_projections.state import CallStatus, PendingCall, Session, Turn, running_turn


def kept_arguments(event: ToolRequested) -> Raw:
    """Return the arguments that a session keeps of a call that runs: only where something may need them later."""
    needed = event.on_unknown is not None or event.attempt < event.attempts
    return event.arguments if needed else EMPTY_OBJECT


def to_be_tried_again(session: Session, turn: Turn, call: CallId, at: datetime) -> Session:
    """Return the session in which the next attempt of the call is to be requested."""
    return replace(session, updated_at=at, turn=_with_status(turn, call, "needed"))


def left_unknown(session: Session, turn: Turn, event: ToolOutcomeUnknown) -> Session:
    """Return the session in which somebody has to say what came of the call."""
    return replace(session, updated_at=event.at, turn=_with_status(turn, event.call, "unknown"))


def resolution_requested(session: Session, event: ResolutionRequested) -> Session:
    """Return the session in which the call waits for a person to say what came of it."""
    turn = running_turn(session, event)
    calls = [
        replace(call, status="resolution", deadline_at=event.deadline_at) if call.call == event.call else call
        for call in turn.calls
    ]
    return replace(session, updated_at=event.at, turn=replace(turn, calls=tuple(calls)))


def check_requested(turn: Turn, checked: CallId, check: PendingCall) -> Turn:
    """Return the turn in which `check` is to find out what came of call `checked`."""
    moved = _with_status(turn, checked, "checking")
    return replace(moved, calls=(*moved.calls, check))


def checked(session: Session, turn: Turn, check: PendingCall, event: ToolOutcome) -> Session:
    """Return the session in which the call that `check` is about can be answered. A check that failed says nothing."""
    said = event.result if isinstance(event, ToolSucceeded) else NULL  # null, too, of one that lies in BLOB
    calls = [_answered(call, said) if call.call == check.checks else call for call in turn.calls if call != check]
    return replace(session, updated_at=event.at, turn=replace(turn, calls=tuple(calls)))


def _answered(call: PendingCall, said: Raw) -> PendingCall:
    """A turn that is cancelled closes a call before its check."""
    return replace(call, status="checked", answer=said) if call.status == "checking" else call


def resolved_value(event: ToolResolved) -> Raw:
    """Return what the output variable of the call takes."""
    if event.outcome == "succeeded":
        return event.result
    return Raw(msgspec.json.encode({"error": resolved_error(event)}))


def resolved_error(event: ToolResolved) -> str:
    """Return why there is no result, for whoever asked for the call."""
    if event.outcome == "failed":
        return event.error or "The tool failed."
    why = f" {event.error}" if event.error else ""
    return f"The tool began and did not answer. Whether it took effect is unknown.{why}"


def awaiting_resolution(session: Session, call: str) -> PendingCall | None:
    """Return the call if a person is asked what came of it, in a turn that is not being cancelled."""
    if session.turn is None or session.turn.cancelling:
        return None
    return next((known for known in unresolved_calls(session.turn) if known.call == call), None)


def unresolved_calls(turn: Turn) -> list[PendingCall]:
    """Return the calls of `turn` of which a person is to say what came of them."""
    return [call for call in turn.calls if call.status == "resolution"]


def _with_status(turn: Turn, call: CallId, status: CallStatus) -> Turn:
    calls = [replace(known, status=status) if known.call == call else known for known in turn.calls]
    return replace(turn, calls=tuple(calls))
