"""The events: every fact that a session's log may hold, one class each.

    {"type":"tool.requested","id":"5b3f…","n":5,"prev":"<sha-256 of event 4's bytes>",
     "at":"2026-11-22T10:00:00.120000Z","tenant":"default","session":"2f0193…","turn":"91d2…","cause":"0a7c…",
     "call":"7e1f…","tool":"get-user-account","arguments":{"userId":"user-123"},"retry":"safe","deadline_at":"…"}

Fields are only ever added, with a default; none is renamed, retyped or removed. A change of meaning is a new type.
A field that holds its default is left out of the bytes.
"""

from datetime import datetime
from decimal import Decimal
from typing import ClassVar, Literal

import msgspec
from msgspec import Raw

from stenograph_events.ids import CallId, EventId, SessionId, TenantId, TurnId
from stenograph_events.values import (
    EMPTY_OBJECT,
    NULL,
    Actor,
    BlobRef,
    Call,
    Child,
    Compaction,
    OfferedTool,
    OnUnknown,
    OptionalRaw,
    Parent,
    Part,
    Resolution,
    RestoredMessage,
    Retry,
    Role,
    SecretArguments,
    Sender,
    Signature,
    Usage,
)

EventClass = Literal[
    "session",
    "turn",
    "child-end",
    "message",
    "tool-request",
    "client-request",
    "child-request",
    "tool-result",
    "tool-closed",
    "approval",
]


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """What every event has. `n` and `prev` are filled in when it is appended."""

    event_class: ClassVar[EventClass]

    id: EventId
    n: int = 0
    prev: str = ""
    at: datetime
    tenant: TenantId
    session: SessionId
    turn: TurnId | None = None
    cause: EventId | None = None


# ---- class session


class SessionCreated(Event, frozen=True, kw_only=True, tag="session.created"):
    """A session exists, pinned to one version of its agent. Always event 1. `parent`: it is a child agent's.

    `agent` is the agent's slug, which another agent may have later; `agent_id` is its own for ever.
    """

    event_class = "session"
    agent: str
    agent_version: str
    agent_id: str | None = None
    input: Raw = EMPTY_OBJECT
    parent: Parent | None = None


class SessionExpired(Event, frozen=True, kw_only=True, tag="session.expired"):
    """Nothing happened in the session for `idle_seconds`: it takes no trigger until it is restored. All is kept."""

    event_class = "session"
    idle_seconds: float


class SessionRestored(Event, frozen=True, kw_only=True, tag="session.restored"):
    """An expired or cleared session takes triggers again.

    A client submits the messages that it has: `submitted` counts them, `differing` those that are not what this log
    holds. Where that was cleared, `messages` are what goes on from here: the ones that the client brought back.
    """

    event_class = "session"
    submitted: int = 0
    differing: int = 0
    messages: tuple[RestoredMessage, ...] = ()


class SessionCleared(Event, frozen=True, kw_only=True, tag="session.cleared"):
    """Somebody wants the conversation gone: no view shows its messages, variables and resources any more.

    The log keeps them. The session takes no trigger until it is restored.
    """

    event_class = "session"


# ---- class turn


class TurnStarted(Event, frozen=True, kw_only=True, tag="turn.started"):
    """A trigger was accepted. `delivery` is the number of deliveries before it, the base of the crash count.

    `tools` are what the model may call beside those of the protocol. Of a trigger that was queued they stand there.
    `traceparent` is the trace, by W3C Trace Context, that the trigger came in.
    """

    event_class = "turn"
    trigger: str
    input: Raw = EMPTY_OBJECT
    delivery: int = 0
    tools: tuple[OfferedTool, ...] = ()
    sender: Sender | None = None
    traceparent: str | None = None


class TriggerQueued(Event, frozen=True, kw_only=True, tag="trigger.queued"):
    """A trigger waits for the running turn. With `interrupts` it also makes that turn cancelling."""

    event_class = "turn"
    trigger: str
    input: Raw = EMPTY_OBJECT
    interrupts: bool = False
    tools: tuple[OfferedTool, ...] = ()
    sender: Sender | None = None
    traceparent: str | None = None


class TriggerRejected(Event, frozen=True, kw_only=True, tag="trigger.rejected"):
    """A trigger will never start a turn. `reason` is a stable code, `detail` a sentence."""

    event_class = "turn"
    trigger: str
    reason: Literal[
        "busy",
        "queue-full",
        "invalid-input",
        "unknown-trigger",
        "unknown-agent",
        "cancelled",
        "crash-loop",
        "ran-once",
        "expired",
        "unknown-message",
    ]
    detail: str


class TurnCancelRequested(Event, frozen=True, kw_only=True, tag="turn.cancel_requested"):
    """Somebody wants the turn to end, whether it runs, waits in the queue or has not been seen yet."""

    event_class = "turn"


class BlockFinished(Event, frozen=True, kw_only=True, tag="block.finished"):
    """A block ended that no other event ends. Holds the variables and resources that it set.

    It is of the handler `trigger`; of one that sets nothing, and in logs of before, that stays unsaid.
    """

    event_class = "turn"
    block: int
    trigger: str | None = None
    variables: dict[str, Raw] = {}
    resources: dict[str, Raw] = {}
    reason: Literal["done", "max-steps"] = "done"


class ThreadStarted(Event, frozen=True, kw_only=True, tag="thread.started"):
    """A thread begins anew with a model of its own: the block `start-thread` of the handler `trigger` is over.

    `system` is the prompt as rendered now, `settings` what the protocol left to variables, as they stood.
    """

    event_class = "turn"
    block: int
    thread: str
    trigger: str
    system: str = ""
    settings: dict[str, Raw] = {}


class ThreadCompacted(Event, frozen=True, kw_only=True, tag="thread.compacted"):
    """From now on models read `summary` in place of what `thread` held up to event `through`. Nothing is lost."""

    event_class = "turn"
    block: int
    thread: str
    through: int
    summary: str
    call: CallId


class BudgetExceeded(Event, frozen=True, kw_only=True, tag="budget.exceeded"):
    """The turn waits: a model's answer would take it, or its session, over a budget. Raised, it goes on.

    `cost` is in US dollars. `wanted` is what the answer needs at least, on top of `used`; None: its price is unknown.
    """

    event_class = "turn"
    block: int
    scope: Literal["turn", "session"]
    unit: Literal["tokens", "cost", "steps", "seconds"]
    allowed: Decimal
    used: Decimal
    wanted: Decimal | None = None


class BudgetRaised(Event, frozen=True, kw_only=True, tag="budget.raised"):
    """Somebody allows the turn, or its session, more than the protocol does: so much on top."""

    event_class = "turn"
    scope: Literal["turn", "session"]
    tokens: int = 0
    cost: Decimal = Decimal(0)
    steps: int = 0
    seconds: float = 0.0


class ModelFailed(Event, frozen=True, kw_only=True, tag="model.failed"):
    """One attempt to get a model's response failed; nothing of it is in any message.

    `streamed`: somebody may have seen a piece of it. `backup`: it was the backup model's.
    """

    event_class = "turn"
    block: int
    step: int
    attempt: int
    model: str
    error: str
    detail: str
    retryable: bool = False
    usage: Usage | None = None
    cost_usd: Decimal | None = None
    provider: str | None = None
    status: int | None = None
    streamed: bool = False
    backup: bool = False
    latency_ms: int | None = None


class TurnFinished(Event, frozen=True, kw_only=True, tag="turn.finished"):
    """The turn is over. Exactly one for each `turn.started`.

    A child agent's has the value of its `output`, and answers the call of its `parent`.
    """

    event_class = "turn"
    outcome: Literal["completed", "failed", "cancelled"]
    reason: str | None = None
    detail: str | None = None
    output: OptionalRaw = None
    parent: Parent | None = None


# ---- class message


class MessageAdded(Event, frozen=True, kw_only=True, tag="message.added"):
    """A message stands in a thread. An assistant's is one model response: parts, calls and what it cost.

    `output` names the variable that takes the text of a block's last message: its JSON value where the model had to
    answer with a `response_type`. `rejected` says why an answer is no such value; the model is asked again.
    `ui` is what people see instead of the parts. `context` is the hash of what the model was shown. `sender`: who
    says it, if the trigger told.
    """

    event_class = "message"
    role: Role
    block: int
    thread: str = "main"
    parts: tuple[Part, ...] = ()
    calls: tuple[Call, ...] = ()
    visible: bool = True
    step: int = 0
    attempt: int = 1
    model: str | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    output: str | None = None
    ui: OptionalRaw = None
    independent: bool = False
    response_type: str | None = None
    rejected: str | None = None
    cost_usd: Decimal | None = None
    provider: str | None = None
    agent_version: str | None = None
    backup: bool = False
    latency_ms: int | None = None
    first_token_ms: int | None = None
    context: str | None = None
    sender: Sender | None = None


class MessagesRolledBack(Event, frozen=True, kw_only=True, tag="messages.rolled_back"):
    """What was said after event `through` is no part of the conversation any more; 0: nothing stays. Variables do.

    With `turn` it comes right before that turn starts. `kept`: how many of the messages stay that event `through`, a
    `session.restored`, brought back. `sizes`: how many bytes a model still reads of each thread.
    """

    event_class = "message"
    through: int
    kept: int | None = None
    sizes: dict[str, int] = {}


# ---- class tool-request


class ToolRequested(Event, frozen=True, kw_only=True, tag="tool.requested"):
    """A call may run now: its arguments are valid. Answered once for each (call, attempt).

    A call that a block made, not a model, names its `block`, and in `output` the variable that takes the result.
    A `child` agent answers it, not a worker, or a `client`: whoever follows the session, since no worker serves the
    tool. `compacts`: with a summary for the models of a thread. `traceparent` is that of the turn's trigger. `signed`:
    by the platform, so that a worker need not believe whoever hands it on. `on_unknown`: what follows if nobody knows
    whether it took effect; left out, that is the answer. `checks`: it is to find that out of another call. A result is
    to have at most `max_result_bytes`; if that is None, what its worker was told when it registered the tool.
    `attempts`: after one that failed or was late another one follows, up to so many; it is not to begin `not_before`.
    `secrets` are those of its arguments that the protocol declares secret: in `arguments` they stand sealed.
    """

    event_class = "tool-request"
    call: CallId
    tool: str
    arguments: Raw = EMPTY_OBJECT
    attempt: int = 1
    retry: Retry = "never"
    deadline_at: datetime
    block: int | None = None
    output: str | None = None
    child: Child | None = None
    compacts: Compaction | None = None
    client: bool = False
    traceparent: str | None = None
    signed: Signature | None = None
    on_unknown: OnUnknown | None = None
    checks: CallId | None = None
    max_result_bytes: int | None = None
    attempts: int = 1
    not_before: datetime | None = None
    secrets: SecretArguments | None = None


# ---- class tool-result: each wakes an orchestrator


class ToolSucceeded(Event, frozen=True, kw_only=True, tag="tool.succeeded"):
    """A worker answered. The value is in `result`, or in BLOB under `result_ref`; `signed` by the worker, if it can."""

    event_class = "tool-result"
    call: CallId
    attempt: int = 1
    result: Raw = NULL
    result_ref: BlobRef | None = None
    worker: str | None = None
    signed: Signature | None = None


class ToolFailed(Event, frozen=True, kw_only=True, tag="tool.failed"):
    """A worker said that the call failed, or its result is no such one as is taken.

    `invalid-result`: it breaks the declared type. `too-large`: it has more bytes than `error` allows.
    `again`: another attempt follows, so that this does not answer the call.
    """

    event_class = "tool-result"
    call: CallId
    attempt: int = 1
    error: str
    kind: Literal["error", "invalid-result", "too-large"] = "error"
    worker: str | None = None
    signed: Signature | None = None
    again: bool = False


class ToolTimedOut(Event, frozen=True, kw_only=True, tag="tool.timed_out"):
    """The deadline passed without an answer, and the call did not run or may run again.

    Attempt 0: nobody decided on its approval in time, so it was never requested. A `worker` may have said that it got
    the call too late.
    """

    event_class = "tool-result"
    call: CallId
    attempt: int = 1
    worker: str | None = None
    signed: Signature | None = None
    again: bool = False


class ToolOutcomeUnknown(Event, frozen=True, kw_only=True, tag="tool.outcome_unknown"):
    """The deadline passed, a worker had begun, and the tool must not run twice: nobody knows whether it took effect.

    Without `then` that answers the call; otherwise a person, or a declared check, says what came of it.
    """

    event_class = "tool-result"
    call: CallId
    attempt: int = 1
    then: OnUnknown | None = None


# ---- class tool-closed: about a call, waking nobody


class ToolRefused(Event, frozen=True, kw_only=True, tag="tool.refused"):
    """A call was answered without being requested: no such tool, or arguments that break its parameters.

    `block` and `output` are those that the request would have had. `not_before`: the tool is broken, so that it is not
    asked again before then; that also ends a call of which earlier attempts were requested.
    """

    event_class = "tool-closed"
    call: CallId
    tool: str
    error: str
    arguments_text: str | None = None
    block: int | None = None
    output: str | None = None
    not_before: datetime | None = None


class ToolCancelled(Event, frozen=True, kw_only=True, tag="tool.cancelled"):
    """The turn was cancelled before the call was answered; so is the turn of the `child` that was to answer it."""

    event_class = "tool-closed"
    call: CallId
    child: SessionId | None = None
    tool: str | None = None


class ToolAnswered(Event, frozen=True, kw_only=True, tag="tool.answered"):
    """A tool of our own answered a model's call: a reference that it read, or its list of things to do.

    `todos` is that list as it stands from now on.
    """

    event_class = "tool-closed"
    call: CallId
    tool: str
    result: Raw = NULL
    todos: OptionalRaw = None


class ToolAnswerRejected(Event, frozen=True, kw_only=True, tag="tool.answer_rejected"):
    """An answer came that the log no longer waits for. Recorded, changes nothing."""

    event_class = "tool-closed"
    call: CallId
    attempt: int = 1
    reason: Literal["late", "superseded", "unknown-call"]
    outcome: str
    worker: str | None = None
    signed: Signature | None = None


class ToolResolved(Event, frozen=True, kw_only=True, tag="tool.resolved"):
    """What came of a call whose outcome was unknown, which answers it: as `actor` says, or as call `check` found out.

    With `outcome` unknown it stays so: they do not know, or nobody was asked in the end (`reason`). `expired`: nobody
    said it in time; that wakes an orchestrator.
    """

    event_class = "tool-closed"
    call: CallId
    attempt: int = 1
    outcome: Resolution
    result: Raw = NULL
    error: str | None = None
    actor: Actor | None = None
    check: CallId | None = None
    reason: str | None = None
    expired: bool = False


# ---- class approval


class ApprovalRequested(Event, frozen=True, kw_only=True, tag="approval.requested"):
    """A call waits for a person: with these `arguments` it runs once somebody grants it, and until then not at all.

    `arguments` are in their canonical form, and `digest` is the SHA-256 of those bytes: a decision names it.
    Undecided at `deadline_at` the call ends with `tool.timed_out` of attempt 0. `block` and `output` as in a request.
    """

    event_class = "approval"
    call: CallId
    tool: str
    arguments: Raw = EMPTY_OBJECT
    digest: str
    deadline_at: datetime
    block: int | None = None
    output: str | None = None


class ApprovalGranted(Event, frozen=True, kw_only=True, tag="approval.granted"):
    """Somebody lets the call run with the arguments that `digest` is of."""

    event_class = "approval"
    call: CallId
    digest: str
    actor: Actor
    reason: str | None = None


class ApprovalDenied(Event, frozen=True, kw_only=True, tag="approval.denied"):
    """Somebody does not let the call run; `tool.refused` follows, and tells the model the `reason`."""

    event_class = "approval"
    call: CallId
    digest: str
    actor: Actor
    reason: str | None = None


class ApprovalEdited(Event, frozen=True, kw_only=True, tag="approval.edited"):
    """Somebody lets the call run with other `arguments`, which fit its parameters, than those `digest` is of.

    They are in their canonical form; `edited_digest` is theirs.
    """

    event_class = "approval"
    call: CallId
    digest: str
    arguments: Raw
    edited_digest: str
    actor: Actor
    reason: str | None = None


class ResolutionRequested(Event, frozen=True, kw_only=True, tag="resolution.requested"):
    """A person is asked what came of a call: `attempt` of it began, and nobody knows whether it took effect.

    Unanswered at `deadline_at` it stays unknown. `arguments`: those that it ran with. `block` and `output` as in a
    request.
    """

    event_class = "approval"
    call: CallId
    attempt: int = 1
    tool: str
    arguments: Raw = EMPTY_OBJECT
    deadline_at: datetime
    block: int | None = None
    output: str | None = None


class UnknownEvent(Event, frozen=True, kw_only=True, tag="stenograph.unknown"):
    """An event of a type that a later version added. It folds to no change and stops a writer from deciding."""

    unknown_type: str = ""


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
