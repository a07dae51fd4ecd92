"""The session: what `decide` needs to say what comes next. Small, frozen, and computed from the log alone.

Everything that grows with the conversation lies in the transcript. What is kept here is bounded: the position of the
running turn, its pending calls, the queue, the variables, and the last 1,000 trigger outcomes.
"""

from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from stenograph_events import BrokenChain, CallId, Event, StoredEvent
from stenograph_events.types import (
    EMPTY_OBJECT,
    BlockFinished,
    MessageAdded,
    ModelFailed,
    Retry,
    SessionCreated,
    TextPart,
    ToolAnswerRejected,
    ToolCancelled,
    ToolFailed,
    ToolOutcomeUnknown,
    ToolRefused,
    ToolRequested,
    ToolSucceeded,
    ToolTimedOut,
    TriggerQueued,
    TriggerRejected,
    TurnCancelRequested,
    TurnFinished,
    TurnStarted,
    UnknownEvent,
)

OUTCOMES_REMEMBERED = 1_000  # a trigger that is sent again after this many others would be taken for a new one
OUTCOMES_PAGE = 50  # a page is never copied again: one tuple of a thousand took a fifth of the time of a fold

CallStatus = Literal["needed", "open", "done"]


class PendingCall(msgspec.Struct, frozen=True, array_like=True):
    """A call of the running step: needed until it is requested or refused, open until it is answered, then done."""

    call: CallId
    tool: str
    status: CallStatus
    arguments: Raw = EMPTY_OBJECT
    malformed: str | None = None
    attempt: int = 0
    retry: Retry = "never"
    deadline_at: datetime | None = None
    block: int | None = None
    output: str | None = None


class Turn(msgspec.Struct, frozen=True, array_like=True):
    """The running turn and its position: the block that it last touched, and the model's responses in it."""

    id: str
    trigger: str
    input: Raw
    started: str
    block: int = 0
    step: int = 0
    block_over: bool = False
    calls: tuple[PendingCall, ...] = ()
    cancelling: bool = False
    failures: int = 0
    """Failed attempts of the model at this step."""
    last_failure: str | None = None
    may_retry: bool = True
    """Whether asking again may help, after the last failure."""


class QueuedTrigger(msgspec.Struct, frozen=True, array_like=True):
    """A trigger that waits for its turn; `event` is the `trigger.queued` that recorded it."""

    turn: str
    trigger: str
    input: Raw
    event: str


class Outcomes(msgspec.Struct, frozen=True, array_like=True):
    """Turn ids of the last 1,000 triggers, or a few more, that were answered: started, queued or rejected."""

    recent: tuple[str, ...] = ()
    pages: tuple[tuple[str, ...], ...] = ()

    def __contains__(self, turn: object) -> bool:
        return turn in self.recent or any(turn in page for page in self.pages)

    def plus(self, turn: str) -> "Outcomes":
        recent = (*self.recent, turn)
        if len(recent) < OUTCOMES_PAGE:
            return Outcomes(recent, self.pages)
        return Outcomes((), (*self.pages, recent)[-OUTCOMES_REMEMBERED // OUTCOMES_PAGE :])


class Session(msgspec.Struct, frozen=True):
    """A session as it stands after some event. Two folds of the same log are equal."""

    tenant: str
    session: str
    agent: str
    agent_version: str
    created_at: datetime
    updated_at: datetime
    input: Raw = EMPTY_OBJECT
    variables: dict[str, Raw] = {}
    resources: dict[str, Raw] = {}
    turn: Turn | None = None
    queue: tuple[QueuedTrigger, ...] = ()
    turns: int = 0
    """Turns that were started."""
    outcomes: Outcomes = Outcomes()
    withdrawn: tuple[str, ...] = ()
    """Turn ids that were cancelled before their trigger was seen."""
    woken_by: str | None = None
    """The event that began the current run, while there is one: its delivery is the lease."""
    deliveries_before: int = 0
    """Deliveries of that event which came before the last progress: the base of the crash count."""
    unknown: str | None = None
    """The first event type that this version did not know. Nothing may be decided on such a session."""


def runnable(session: Session) -> bool:
    """Return whether there is something to append or to ask, so that a run goes on. Equals what `decide` says."""
    turn = session.turn
    if turn is None:
        return bool(session.queue)
    if turn.cancelling:
        return True
    waits = False
    for call in turn.calls:
        if call.status == "needed":
            return True
        if call.status == "open":
            waits = True
    return not waits


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
        input=event.input,
    )


def _applied(session: Session, event: StoredEvent) -> Session:
    at = event.at
    match event:
        case MessageAdded():
            return _message(session, event)
        case ToolRequested():
            return replace(session, updated_at=at, turn=_requested(session, event))
        case ToolSucceeded():
            return _answered(session, event, event.result if event.result_ref is None else _encoded(event.result_ref))
        case TurnStarted():
            return replace(
                session,
                updated_at=at,
                turn=Turn(event.turn or "", event.trigger, event.input, event.id),
                turns=session.turns + 1,
                queue=tuple([queued for queued in session.queue if queued.turn != event.turn]),
                outcomes=_remembered(session, event.turn),
                deliveries_before=event.delivery,
            )
        case TurnFinished():
            return replace(session, updated_at=at, turn=None)
        case ToolFailed() | ToolRefused():
            return _answered(session, event, _encoded({"error": event.error}))
        case ToolTimedOut() | ToolOutcomeUnknown() | ToolCancelled():
            return _answered(session, event, _encoded({"error": str(type(event).__struct_config__.tag)}))
        case BlockFinished():
            return replace(
                session,
                updated_at=at,
                turn=_at(session, event, block=event.block, block_over=True, calls=(), step=0),
                variables=session.variables | event.variables,
                resources=session.resources | event.resources,
            )
        case ModelFailed():
            return replace(session, updated_at=at, turn=_failed(session, event))
        case TriggerQueued():
            queued = QueuedTrigger(event.turn or "", event.trigger, event.input, event.id)
            turn_now = session.turn
            if event.interrupts and turn_now is not None:
                turn_now = replace(turn_now, cancelling=True)
            return replace(
                session,
                updated_at=at,
                queue=(*session.queue, queued),
                turn=turn_now,
                outcomes=_remembered(session, event.turn),
            )
        case TriggerRejected():
            return replace(session, updated_at=at, outcomes=_remembered(session, event.turn))
        case TurnCancelRequested():
            return replace(_cancelled(session, event.turn or ""), updated_at=at)
        case UnknownEvent():
            return session if session.unknown else replace(session, unknown=event.unknown_type)
        case ToolAnswerRejected() | SessionCreated():
            return session


def _at(session: Session, event: Event, **changes: object) -> Turn:
    if session.turn is None:
        raise BrokenChain(event.session, event.n, "it is about a turn while none runs")
    return replace(session.turn, **changes)


def _message(session: Session, event: MessageAdded) -> Session:
    by_model = event.model is not None
    calls = tuple([PendingCall(c.call, c.tool, "needed", c.arguments, c.malformed) for c in event.calls])
    turn = session.turn
    if turn is None:
        raise BrokenChain(event.session, event.n, "it adds a message while no turn runs")
    moved = Turn(
        turn.id,
        turn.trigger,
        turn.input,
        turn.started,
        event.block,
        event.step + 1 if by_model else 0,
        not calls,
        calls,
        turn.cancelling,
    )
    variables = session.variables
    if event.output is not None and not calls:
        text = "".join(part.text for part in event.parts if isinstance(part, TextPart))
        variables = variables | {event.output: _encoded(text)}
    before = session.deliveries_before
    if by_model:  # whoever got this answer made progress: the crash count begins anew at its delivery
        before += max(0, event.attempt - turn.failures - 1)  # an earlier delivery may answer after a later one failed
    return replace(session, updated_at=event.at, turn=moved, variables=variables, deliveries_before=before)


def _failed(session: Session, event: ModelFailed) -> Turn:
    turn = _at(session, event)
    begun = turn.block == event.block and not turn.block_over
    return replace(
        turn,
        block=event.block,
        block_over=False,
        step=turn.step if begun else 0,
        calls=turn.calls if begun else (),
        failures=turn.failures + 1,
        last_failure=f"{event.error}: {event.detail}",
        may_retry=event.retryable,
    )


def _requested(session: Session, event: ToolRequested) -> Turn:
    turn = _at(session, event)
    if event.block is not None:
        call = PendingCall(
            event.call, event.tool, "open", EMPTY_OBJECT, None, event.attempt, event.retry, event.deadline_at,
            event.block, event.output,
        )  # fmt: skip
        others = tuple(other for other in turn.calls if other.call != event.call)
        return replace(turn, block=event.block, step=0, block_over=False, calls=(*others, call))
    return replace(
        turn, calls=tuple([_opened(call, event) if call.call == event.call else call for call in turn.calls])
    )


def _opened(call: PendingCall, event: ToolRequested) -> PendingCall:
    return PendingCall(call.call, call.tool, "open", EMPTY_OBJECT, None, event.attempt, event.retry, event.deadline_at)


_Answer = ToolSucceeded | ToolFailed | ToolTimedOut | ToolOutcomeUnknown | ToolRefused | ToolCancelled


def _answered(session: Session, event: _Answer, value: Raw) -> Session:
    turn = session.turn
    if turn is None:
        raise BrokenChain(event.session, event.n, "it answers a call while no turn runs")
    calls = tuple([_done(call) if call.call == event.call else call for call in turn.calls])
    block, output = _block_of(turn, event)
    if block is None:
        return replace(session, updated_at=event.at, turn=replace(turn, calls=calls))
    variables = session.variables if output is None else session.variables | {output: value}
    over = replace(turn, block=block, step=0, calls=(), block_over=True)
    return replace(session, updated_at=event.at, turn=over, variables=variables)


def _done(call: PendingCall) -> PendingCall:
    return PendingCall(
        call.call, call.tool, "done", EMPTY_OBJECT, None, call.attempt, call.retry, call.deadline_at,
        call.block, call.output,
    )  # fmt: skip


def _block_of(turn: Turn, event: _Answer) -> tuple[int | None, str | None]:
    """Return which block made the call that `event` answers, and its output variable, if a block made it."""
    if isinstance(event, ToolRefused):
        return event.block, event.output
    for call in turn.calls:
        if call.call == event.call:
            return call.block, call.output
    return None, None


def _cancelled(session: Session, turn: str) -> Session:
    if session.turn is not None and session.turn.id == turn:
        return replace(session, turn=replace(session.turn, cancelling=True))
    if any(queued.turn == turn for queued in session.queue):
        return replace(session, queue=tuple(queued for queued in session.queue if queued.turn != turn))
    return replace(session, withdrawn=(*session.withdrawn, turn)[-OUTCOMES_REMEMBERED:])


def _remembered(session: Session, turn: str | None) -> Outcomes:
    """A queued trigger that starts is answered already; it stays where it was."""
    if turn is None or turn in [queued.turn for queued in session.queue]:
        return session.outcomes
    return session.outcomes.plus(turn)


def _encoded(value: object) -> Raw:
    return Raw(msgspec.json.encode(value))
