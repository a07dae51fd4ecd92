"""The session: what `decide` needs to say what comes next, computed from the log alone.

    session = None
    for event in log:
        session = apply(session, event)

What is kept is in `state`. What an event does to it is here, or, for the running turn, in `steps` and `calls`.
"""

from datetime import timedelta
from typing import Literal, assert_never

from msgspec.structs import replace

from stenograph_events import BrokenChain, StoredEvent
from stenograph_events.types import (
    ApprovalDenied,
    ApprovalEdited,
    ApprovalGranted,
    ApprovalRequested,
    BlockFinished,
    BudgetExceeded,
    BudgetRaised,
    MessageAdded,
    MessagesRolledBack,
    ModelFailed,
    ResolutionRequested,
    SessionCleared,
    SessionCreated,
    SessionExpired,
    SessionRestored,
    ThreadCompacted,
    ThreadStarted,
    ToolAnswered,
    ToolAnswerRejected,
    ToolCancelled,
    ToolFailed,
    ToolOutcomeUnknown,
    ToolRefused,
    ToolRequested,
    ToolResolved,
    ToolSucceeded,
    ToolTimedOut,
    TriggerQueued,
    TriggerRejected,
    TurnCancelRequested,
    TurnFinished,
    TurnStarted,
    UnknownEvent,
)
from stenograph_projections.approvals import approval_decided, approval_requested
from stenograph_projections.calls import answered, requested
from stenograph_projections.effects import resolution_requested
from stenograph_projections.lifecycle import cleared, restored, rolled_back
from stenograph_projections.spending import NOTHING_SPENT, Raised, Spent
from stenograph_projections.state import (
    ACTED_ON,
    OUTCOMES_PAGE,
    OUTCOMES_REMEMBERED,
    RAISES_REMEMBERED,
    UNKNOWN,
    CallStatus,
    Decided,
    Outcomes,
    PendingCall,
    QueuedTrigger,
    Session,
    Standing,
    StartedThread,
    Summary,
    ThreadSize,
    Turn,
    running_turn,
)
from stenograph_projections.steps import (
    block_finished,
    message_added,
    model_failed,
    thread_compacted,
    thread_started,
    tried_anew,
)

__all__ = [
    "ACTED_ON",
    "NOTHING_SPENT",
    "OUTCOMES_PAGE",
    "OUTCOMES_REMEMBERED",
    "RAISES_REMEMBERED",
    "UNKNOWN",
    "Activity",
    "CallStatus",
    "Decided",
    "Outcomes",
    "PendingCall",
    "QueuedTrigger",
    "Raised",
    "Session",
    "Spent",
    "Standing",
    "StartedThread",
    "Summary",
    "ThreadSize",
    "Turn",
    "activity",
    "apply",
    "idle",
    "paused",
    "runnable",
]


Activity = Literal["idle", "queued", "running", "waiting", "cancelling"]


def runnable(session: Session) -> bool:
    """Return whether there is something to append or to ask, so that a run goes on. Equals what `decide` says."""
    turn = session.turn
    if turn is None:
        return bool(session.queue)
    if turn.cancelling:
        return True
    if turn.exceeded is not None:
        return False
    waits = False
    for call in turn.calls:
        if call.status in ACTED_ON:
            return True
        if call.status != "done":
            waits = True
    return not waits


def activity(session: Session) -> Activity:
    """Return what the session is about. It waits for answers, for a person, or for a budget to be raised."""
    if session.turn is None:
        return "queued" if session.queue else "idle"
    if session.turn.cancelling:
        return "cancelling"
    return "running" if runnable(session) else "waiting"


def idle(session: Session) -> bool:
    """Return whether no turn runs and none waits."""
    return session.turn is None and not session.queue


def paused(session: Session) -> bool:
    """Return whether the turn waits for its clients alone: what they call next may as well be something else."""
    turn = session.turn
    if turn is None or turn.cancelling or turn.exceeded is not None:
        return False
    unanswered = [call for call in turn.calls if call.status != "done"]
    return bool(unanswered) and all(call.status == "open" and call.client for call in unanswered)


def apply(session: Session | None, event: StoredEvent) -> Session:
    """Return the session as it stands after `event`. The first event of a log creates it from None."""
    if session is None:
        return _created(event)
    after = _applied(session, event)
    if not runnable(after):
        return after if after.woken_by is None else replace(after, woken_by=None)
    if after.woken_by is None:
        before = after.deliveries_before if isinstance(event, TurnStarted) else 0
        return replace(after, woken_by=event.id, deliveries_before=before)
    return after


def _created(event: StoredEvent) -> Session:
    if not isinstance(event, SessionCreated):
        raise BrokenChain(event.session, event.n, "it comes before session.created")
    return Session(
        tenant=event.tenant,
        session=event.session,
        agent=event.agent,
        agent_version=event.agent_version,
        created_at=event.at,
        updated_at=event.at,
        agent_id=event.agent_id,
        input=event.input,
        parent=event.parent,
    )


def _applied(session: Session, event: StoredEvent) -> Session:  # the events that are most in a log come first
    match event:
        case MessageAdded():
            return message_added(session, event)
        case ToolRequested():
            return requested(session, event)
        case ToolSucceeded():
            return answered(session, event)
        case TurnStarted():
            return _turn_started(session, event)
        case TurnFinished():
            return _turn_finished(session, event)
        case ToolFailed() | ToolRefused() | ToolTimedOut() | ToolOutcomeUnknown() | ToolCancelled() | ToolAnswered():
            return answered(session, event)
        case ToolResolved():
            return answered(session, event)
        case ResolutionRequested():
            return resolution_requested(session, event)
        case ApprovalRequested():
            return approval_requested(session, event)
        case ApprovalGranted() | ApprovalDenied() | ApprovalEdited():
            return approval_decided(session, event)
        case BlockFinished():
            return block_finished(session, event)
        case ModelFailed():
            return model_failed(session, event)
        case ThreadStarted():
            return thread_started(session, event)
        case ThreadCompacted():
            return thread_compacted(session, event)
        case BudgetExceeded():
            turn = replace(running_turn(session, event), exceeded=event.scope, exceeded_at=event.at)
            return replace(session, updated_at=event.at, turn=turn)
        case BudgetRaised():
            return _budget_raised(session, event)
        case TriggerQueued():
            return _trigger_queued(session, event)
        case TriggerRejected():
            return replace(session, updated_at=event.at, outcomes=_remembered(session, event.turn))
        case TurnCancelRequested():
            return replace(_cancelled(session, event.turn or ""), updated_at=event.at)
        case MessagesRolledBack():
            return rolled_back(session, event)
        case SessionExpired():
            return replace(session, updated_at=event.at, standing="expired")
        case SessionRestored():
            return restored(session, event)
        case SessionCleared():
            return cleared(session, event)
        case UnknownEvent():
            return session if session.unknown else replace(session, unknown=event.unknown_type)
        case ToolAnswerRejected() | SessionCreated():
            return session
        case _:
            assert_never(event)


# ---- turns


def _turn_started(session: Session, event: TurnStarted) -> Session:
    queued = next((queued for queued in session.queue if queued.turn == event.turn), None)
    return replace(
        session,
        updated_at=event.at,
        turn=Turn(
            event.turn or "",
            event.trigger,
            event.input,
            event.id,
            started_at=event.at,
            tools=queued.tools if queued else event.tools,
            sender=event.sender,
            traceparent=event.traceparent,
        ),
        turns=session.turns + 1,
        queue=tuple([queued for queued in session.queue if queued.turn != event.turn]),
        outcomes=_remembered(session, event.turn),
        deliveries_before=event.delivery,
    )


def _turn_finished(session: Session, event: TurnFinished) -> Session:
    turn = session.turn
    took = Spent()
    if turn is not None and turn.started_at is not None:
        until = turn.exceeded_at or event.at
        took = Spent(seconds=max(0.0, (until - turn.started_at).total_seconds()))
    return replace(session, updated_at=event.at, turn=None, spent=session.spent.plus(took))


def _cancelled(session: Session, turn: str) -> Session:
    if session.turn is not None and session.turn.id == turn:
        return replace(session, turn=replace(session.turn, cancelling=True))
    if any(queued.turn == turn for queued in session.queue):
        return replace(session, queue=tuple(queued for queued in session.queue if queued.turn != turn))
    return replace(session, withdrawn=(*session.withdrawn, turn)[-OUTCOMES_REMEMBERED:])


def _budget_raised(session: Session, event: BudgetRaised) -> Session:
    """Whoever waits for a budget looks again, whichever was raised: it may exceed another one next."""
    turn = session.turn
    if turn is not None:
        waited = event.at - turn.exceeded_at if turn.exceeded_at else timedelta()
        turn = replace(
            tried_anew(turn),
            raised=turn.raised.plus(event) if event.scope == "turn" else turn.raised,
            exceeded=None,
            exceeded_at=None,
            started_at=turn.started_at + waited if turn.started_at else None,
        )
    raised = session.raised.plus(event) if event.scope == "session" else session.raised
    raises = (*session.raises, event.id)[-RAISES_REMEMBERED:]
    return replace(session, updated_at=event.at, turn=turn, raised=raised, raises=raises)


# ---- triggers


def _trigger_queued(session: Session, event: TriggerQueued) -> Session:
    turn = session.turn
    if event.interrupts and turn is not None:
        turn = replace(turn, cancelling=True)
    waiting = QueuedTrigger(
        event.turn or "", event.trigger, event.input, event.id, event.tools, event.sender, event.traceparent
    )
    return replace(
        session,
        updated_at=event.at,
        queue=(*session.queue, waiting),
        turn=turn,
        outcomes=_remembered(session, event.turn),
    )


def _remembered(session: Session, turn: str | None) -> Outcomes:
    """A queued trigger that starts is answered already; it stays where it was."""
    if turn is None or turn in [queued.turn for queued in session.queue]:
        return session.outcomes
    return session.outcomes.plus(turn)
