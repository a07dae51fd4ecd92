"""Approvals of the running turn's calls: what asking a person, and what that one decides, do to a call.

    needed  →  approval  →  needed, and decided      granted or edited: it is requested; denied: it is refused

What nobody decides in time is answered like any other call: `tool.timed_out`.
"""

from msgspec.structs import replace

from stenograph_events.types import ApprovalDecision, ApprovalDenied, ApprovalEdited, ApprovalRequested
from stenograph_projections.state import Decided, PendingCall, Session, Turn, running_turn


def approval_requested(session: Session, event: ApprovalRequested) -> Session:
    """Return the session in which the call waits for a person. One that a block makes begins with this."""
    turn = running_turn(session, event)
    call = PendingCall(
        event.call, event.tool, "approval", event.arguments, deadline_at=event.deadline_at,
        block=event.block, output=event.output, digest=event.digest,
    )  # fmt: skip
    if event.block is None:
        moved = replace(turn, calls=tuple([call if known.call == event.call else known for known in turn.calls]))
    else:
        others = [known for known in turn.calls if known.call != event.call]
        moved = replace(turn, block=event.block, step=0, block_over=False, calls=(*others, call))
    return replace(session, updated_at=event.at, turn=moved)


def approval_decided(session: Session, event: ApprovalDecision) -> Session:
    """Return the session in which the call goes on as somebody decided."""
    turn = running_turn(session, event)
    calls = tuple([_decided(call, event) if call.call == event.call else call for call in turn.calls])
    return replace(session, updated_at=event.at, turn=replace(turn, calls=calls))


def awaiting(session: Session, call: str) -> PendingCall | None:
    """Return the call if it waits for a person, in a turn that is not being cancelled."""
    if session.turn is None or session.turn.cancelling:
        return None
    return next((known for known in waiting_calls(session.turn) if known.call == call), None)


def waiting_calls(turn: Turn) -> list[PendingCall]:
    """Return the calls of `turn` that wait for a person."""
    return [call for call in turn.calls if call.status == "approval"]


def _decided(call: PendingCall, event: ApprovalDecision) -> PendingCall:
    if call.status != "approval" or call.digest != event.digest:
        return call
    if isinstance(event, ApprovalDenied):
        return replace(call, status="needed", decided=Decided("denied", event.reason))
    arguments = event.arguments if isinstance(event, ApprovalEdited) else call.arguments
    return replace(call, status="needed", decided=Decided("granted"), arguments=arguments)
