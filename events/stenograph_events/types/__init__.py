"""The events: every fact that a session's log may hold, one class each.

    {"type":"tool.requested","id":"5b3f…","n":5,"prev":"<sha-256 of event 4's bytes>",
     "at":"2026-11-22T10:00:00.120000Z","tenant":"default","session":"2f0193…","turn":"91d2…","cause":"0a7c…",
     "call":"7e1f…","tool":"get-user-account","arguments":{"userId":"user-123"},"retry":"safe","deadline_at":"…"}

Fields are only ever added, with a default; none is renamed, retyped or removed. A change of meaning is a new type.
A field that holds its default is left out of the bytes.
"""

from stenograph_events.types.approvals import (
    ApprovalDenied,
    ApprovalEdited,
    ApprovalGranted,
    ApprovalRequested,
    ResolutionRequested,
)
from stenograph_events.types.event import Event, EventClass, UnknownEvent
from stenograph_events.types.kinds import AnyEvent, ApprovalDecision, ToolOutcome, answers_call, class_of
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

__all__ = [
    "AnyEvent",
    "ApprovalDecision",
    "ApprovalDenied",
    "ApprovalEdited",
    "ApprovalGranted",
    "ApprovalRequested",
    "BlockFinished",
    "BudgetExceeded",
    "BudgetRaised",
    "Event",
    "EventClass",
    "MessageAdded",
    "MessagesRolledBack",
    "ModelFailed",
    "ResolutionRequested",
    "SessionCleared",
    "SessionCreated",
    "SessionExpired",
    "SessionRestored",
    "ThreadCompacted",
    "ThreadStarted",
    "ToolAnswerRejected",
    "ToolAnswered",
    "ToolCancelled",
    "ToolFailed",
    "ToolOutcome",
    "ToolOutcomeUnknown",
    "ToolRefused",
    "ToolRequested",
    "ToolResolved",
    "ToolSucceeded",
    "ToolTimedOut",
    "TriggerQueued",
    "TriggerRejected",
    "TurnCancelRequested",
    "TurnFinished",
    "TurnStarted",
    "UnknownEvent",
    "answers_call",
    "class_of",
]
