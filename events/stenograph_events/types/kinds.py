"""All events together: what the log may hold, what answers a call, and the class that one is stored under."""

from stenograph_events.types.approvals import (
    ApprovalDenied,
    ApprovalEdited,
    ApprovalGranted,
    ApprovalRequested,
    ResolutionRequested,
)
from stenograph_events.types.event import Event, EventClass
from stenograph_events.types.messages import MessageAdded, MessagesRolledBack
from stenograph_events.types.outcomes import (
    ToolAnswered,
    ToolAnswerRejected,
    ToolCancelled,
    ToolFailed,
    ToolOutcomeUnknown,
    ToolRefused,
    ToolResolved,
    ToolSucceeded,
    ToolTimedOut,
)
from stenograph_events.types.requests import ToolRequested
from stenograph_events.types.sessions import SessionCleared, SessionCreated, SessionExpired, SessionRestored
from stenograph_events.types.turns import (
    BlockFinished,
    BudgetExceeded,
    BudgetRaised,
    ModelFailed,
    ThreadCompacted,
    ThreadStarted,
    TriggerQueued,
    TriggerRejected,
    TurnCancelRequested,
    TurnFinished,
    TurnStarted,
)

AnyEvent = (
    SessionCreated
    | SessionExpired
    | SessionRestored
    | SessionCleared
    | TurnStarted
    | TriggerQueued
    | TriggerRejected
    | TurnCancelRequested
    | BlockFinished
    | ThreadStarted
    | ThreadCompacted
    | BudgetExceeded
    | BudgetRaised
    | ModelFailed
    | TurnFinished
    | MessageAdded
    | MessagesRolledBack
    | ToolRequested
    | ToolSucceeded
    | ToolFailed
    | ToolTimedOut
    | ToolOutcomeUnknown
    | ToolRefused
    | ToolCancelled
    | ToolAnswered
    | ToolAnswerRejected
    | ToolResolved
    | ApprovalRequested
    | ApprovalGranted
    | ApprovalDenied
    | ApprovalEdited
    | ResolutionRequested
)
"""Every event that this version can write. A decoded event is one of these or an `UnknownEvent`."""

ToolOutcome = (
    ToolSucceeded
    | ToolFailed
    | ToolTimedOut
    | ToolOutcomeUnknown
    | ToolRefused
    | ToolCancelled
    | ToolAnswered
    | ToolResolved
)
"""What answers a call, once; or an attempt of it, on which something follows: see `answers_call`."""

ApprovalDecision = ApprovalGranted | ApprovalDenied | ApprovalEdited
"""What a person may decide of a call that waits for them."""


def answers_call(event: Event) -> bool:
    """Return whether `event` is the answer to its call: nothing more is done about that one."""
    if isinstance(event, ToolOutcomeUnknown):
        return event.then is None
    if isinstance(event, ToolFailed | ToolTimedOut):
        return not event.again
    return isinstance(event, ToolOutcome)


def class_of(event: Event) -> EventClass:
    """Return the class that `event` is stored under: a request's says who answers it, an end's whom it wakes."""
    if isinstance(event, ToolRequested):
        return "child-request" if event.child is not None else "client-request" if event.client else "tool-request"
    if isinstance(event, TurnFinished) and event.parent is not None:
        return "child-end"
    if isinstance(event, ToolResolved) and event.expired:
        return "tool-result"
    return event.event_class
