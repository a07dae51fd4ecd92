"""Makers of events for tests: every argument has a default, every id and time is the same in every run.

    log(session_created(), turn_started(), user_message("Hi"), assistant_message(calls=["c1"]), tool_requested("c1"))

gives five sealed events and their bytes. An id tells what it is the id of: `t1.started`, `c1.requested.1`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypedDict

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from stenograph_events.canonical import digest_of
from stenograph_events.chain import EMPTY, Head, follow, seal
from stenograph_events.ids import DEFAULT_TENANT, CallId, EventId, SessionId, TurnId, child_session_id
from stenograph_events.types import (
    AnyEvent,
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
)
from stenograph_events.values import (
    EMPTY_OBJECT,
    Actor,
    Call,
    Child,
    Compaction,
    Parent,
    Part,
    RestoredMessage,
    TextPart,
    Usage,
)

SESSION = SessionId("2f0193a5c1d07b7c8e9d4f60718293a4b5")
PARENT_SESSION = SessionId("7b0193a5c1d07b7c8e9d4f60718293a4b5")
START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
MODEL = "scripted/test"
TOOL = "get-user-account"
CHILD = "researcher"


class _Common(TypedDict):
    id: EventId
    at: datetime
    tenant: Any
    session: SessionId
    turn: TurnId | None


def raw(value: object) -> Raw:
    """Return `value` as the JSON that an event carries."""
    return Raw(msgspec.json.encode(value))


def log(*events: AnyEvent, after: Head = EMPTY) -> list[tuple[AnyEvent, bytes]]:
    """Return `events` as they would be stored one after the other: numbered, chained, a second apart, with their bytes.

    A time that a test gave stays.
    """
    head, sealed = after, []
    for event in events:
        n = head.n + 1
        timed = replace(event, at=START + timedelta(seconds=n)) if event.at == START else event
        stored, data = seal(timed, head)
        head = follow(head, stored, data, n)
        sealed.append((stored, data))
    return sealed


# ---- session and turn


def session_created(agent: str = "support-chat", **more: Any) -> SessionCreated:
    return SessionCreated(**_common("created", None, more), agent=agent, agent_version="v1", **more)


def session_expired(number: int = 1, **more: Any) -> SessionExpired:
    """Return the `number`-th expiry of the session."""
    more = _or(more, idle_seconds=86_400.0)
    return SessionExpired(**_common(f"expired.{number}", None, more), **more)


def session_restored(number: int = 1, **more: Any) -> SessionRestored:
    return SessionRestored(**_common(f"restored.{number}", None, more), **more)


def session_cleared(number: int = 1, **more: Any) -> SessionCleared:
    return SessionCleared(**_common(f"cleared.{number}", None, more), **more)


def restored_message(text: str = "Hello", id: str = "kept-1", role: Any = "user") -> RestoredMessage:
    """Return a message that a client had kept."""
    return RestoredMessage(id, role, (TextPart(text),), START)


def turn_started(turn: str = "t1", trigger: str = "user-message", **more: Any) -> TurnStarted:
    return TurnStarted(**_common(f"{turn}.started", turn, more), trigger=trigger, **more)


def trigger_queued(turn: str = "t2", trigger: str = "user-message", **more: Any) -> TriggerQueued:
    return TriggerQueued(**_common(f"{turn}.queued", turn, more), trigger=trigger, **more)


def trigger_rejected(turn: str = "t2", reason: Any = "busy", **more: Any) -> TriggerRejected:
    more = _or(more, trigger="user-message", detail="The session is busy with another turn.")
    return TriggerRejected(**_common(f"{turn}.rejected", turn, more), reason=reason, **more)


def turn_cancel_requested(turn: str = "t1", **more: Any) -> TurnCancelRequested:
    return TurnCancelRequested(**_common(f"{turn}.cancel", turn, more), **more)


def block_finished(block: int = 0, *, turn: str = "t1", **more: Any) -> BlockFinished:
    return BlockFinished(**_common(f"{turn}.block.{block}", turn, more), block=block, **more)


def model_failed(attempt: int = 1, *, turn: str = "t1", block: int = 1, step: int = 0, **more: Any) -> ModelFailed:
    more = _or(more, model=MODEL, error="overloaded", detail="The model is overloaded.", retryable=True)
    common = _common(f"{turn}.model-failed.{block}.{step}.{attempt}", turn, more)
    return ModelFailed(**common, block=block, step=step, attempt=attempt, **more)


def turn_finished(turn: str = "t1", outcome: Any = "completed", **more: Any) -> TurnFinished:
    return TurnFinished(**_common(f"{turn}.finished", turn, more), outcome=outcome, **more)


# ---- threads and budgets


def thread_started(thread: str = "research", *, turn: str = "t1", block: int = 0, **more: Any) -> ThreadStarted:
    more = _or(more, trigger="user-message", system="You look things up.")
    return ThreadStarted(**_common(f"{turn}.thread.{thread}.{block}", turn, more), block=block, thread=thread, **more)


def thread_compacted(
    through: int, call: str = "s1", *, turn: str = "t1", thread: str = "main", block: int = 1, **more: Any
) -> ThreadCompacted:
    """Return that the child agent which answered `call` summed up what `thread` held up to event `through`."""
    more = _or(more, summary="They said hello.", call=CallId(call))
    common = _common(f"{turn}.compacted.{call}", turn, more)
    return ThreadCompacted(**common, block=block, thread=thread, through=through, **more)


def budget_exceeded(scope: Any = "turn", *, turn: str = "t1", block: int = 1, **more: Any) -> BudgetExceeded:
    more = _or(more, unit="tokens", allowed=Decimal(1000), used=Decimal(990), wanted=Decimal(50))
    return BudgetExceeded(**_common(f"{turn}.exceeded.{block}", turn, more), scope=scope, block=block, **more)


def budget_raised(scope: Any = "turn", *, turn: str | None = "t1", **more: Any) -> BudgetRaised:
    return BudgetRaised(**_common(f"{turn}.raised", turn, more), scope=scope, **more)


# ---- messages


def message_added(
    text: str = "Hello", *, turn: str = "t1", role: Any = "user", block: int = 0, step: int = 0, **more: Any
) -> MessageAdded:
    """Return a message that a block adds; `assistant_message` is one that a model wrote."""
    more = _or(more, parts=(TextPart(text),) if text else ())
    common = _common(f"{turn}.message.{block}.{step}", turn, more)
    return MessageAdded(**common, role=role, block=block, step=step, **more)


def user_message(text: str = "Hello", **more: Any) -> MessageAdded:
    return message_added(text, role="user", **more)


def assistant_message(
    text: str = "", *, calls: Sequence[str | Call] = (), parts: Sequence[Part] | None = None, **more: Any
) -> MessageAdded:
    """Return a model's answer in block 1. A call given as its id alone asks for `TOOL`."""
    made = tuple(call if isinstance(call, Call) else tool_call(call) for call in calls)
    text_parts: Sequence[Part] = (TextPart(text),) if text else ()
    finish = "tool-calls" if made else "stop"
    more = _or(more, block=1, model=MODEL, finish_reason=finish, usage=Usage(12, 34))
    return message_added(role="assistant", calls=made, parts=tuple(text_parts if parts is None else parts), **more)


def messages_rolled_back(through: int = 0, *, turn: str | None = None, **more: Any) -> MessagesRolledBack:
    """Return that nothing counts any more which was said after event `through`: for a `turn`, or by itself."""
    return MessagesRolledBack(**_common(f"{turn}.rolled-back.{through}", turn, more), through=through, **more)


def tool_call(call: str = "c1", tool: str = TOOL, **more: Any) -> Call:
    return Call(CallId(call), tool, **more)


# ---- tools


def tool_requested(call: str = "c1", attempt: int = 1, *, turn: str = "t1", **more: Any) -> ToolRequested:
    """Return a request that must be answered within a minute."""
    more = _or(more, tool=TOOL, deadline_at=START + timedelta(minutes=1))
    return ToolRequested(
        **_common(f"{call}.requested.{attempt}", turn, more), call=CallId(call), attempt=attempt, **more
    )


def tool_succeeded(call: str = "c1", attempt: int = 1, *, turn: str = "t1", **more: Any) -> ToolSucceeded:
    more = _or(more, result=raw({"plan": "pro"}))
    return ToolSucceeded(
        **_common(f"{call}.succeeded.{attempt}", turn, more), call=CallId(call), attempt=attempt, **more
    )


def tool_failed(call: str = "c1", attempt: int = 1, *, turn: str = "t1", **more: Any) -> ToolFailed:
    more = _or(more, error="No such user.")
    return ToolFailed(**_common(f"{call}.failed.{attempt}", turn, more), call=CallId(call), attempt=attempt, **more)


def tool_timed_out(call: str = "c1", attempt: int = 1, *, turn: str = "t1", **more: Any) -> ToolTimedOut:
    return ToolTimedOut(
        **_common(f"{call}.timed-out.{attempt}", turn, more), call=CallId(call), attempt=attempt, **more
    )


def tool_outcome_unknown(call: str = "c1", attempt: int = 1, *, turn: str = "t1", **more: Any) -> ToolOutcomeUnknown:
    return ToolOutcomeUnknown(
        **_common(f"{call}.unknown.{attempt}", turn, more), call=CallId(call), attempt=attempt, **more
    )


def tool_refused(call: str = "c1", *, turn: str = "t1", **more: Any) -> ToolRefused:
    more = _or(more, tool=TOOL, error="userId is missing.")
    return ToolRefused(**_common(f"{call}.refused", turn, more), call=CallId(call), **more)


def tool_cancelled(call: str = "c1", *, turn: str = "t1", **more: Any) -> ToolCancelled:
    return ToolCancelled(**_common(f"{call}.cancelled", turn, more), call=CallId(call), **more)


def tool_answered(call: str = "c1", tool: str = "octavus_todo_write", *, turn: str = "t1", **more: Any) -> ToolAnswered:
    """Return the answer of a tool of our own."""
    return ToolAnswered(**_common(f"{call}.answered", turn, more), call=CallId(call), tool=tool, **more)


def tool_answer_rejected(call: str = "c1", attempt: int = 1, *, turn: str = "t1", **more: Any) -> ToolAnswerRejected:
    more = _or(more, reason="late", outcome="succeeded")
    common = _common(f"{call}.rejected.{attempt}", turn, more)
    return ToolAnswerRejected(**common, call=CallId(call), attempt=attempt, **more)


# ---- approvals


PERSON = Actor("http", "3f9a1c2b7d0e", "ann")


def approval_requested(call: str = "c1", *, turn: str = "t1", **more: Any) -> ApprovalRequested:
    """Return that the call, whose arguments have to be in their canonical form, waits for a person for a week."""
    arguments = more.pop("arguments", EMPTY_OBJECT)
    more = _or(more, tool=TOOL, digest=digest_of(arguments), deadline_at=START + timedelta(days=7))
    common = _common(f"{call}.approval", turn, more)
    return ApprovalRequested(**common, call=CallId(call), arguments=arguments, **more)


def approval_granted(call: str = "c1", *, turn: str = "t1", **more: Any) -> ApprovalGranted:
    more = _or(more, digest=digest_of(EMPTY_OBJECT), actor=PERSON)
    return ApprovalGranted(**_common(f"{call}.granted", turn, more), call=CallId(call), **more)


def approval_denied(call: str = "c1", *, turn: str = "t1", **more: Any) -> ApprovalDenied:
    more = _or(more, digest=digest_of(EMPTY_OBJECT), actor=PERSON)
    return ApprovalDenied(**_common(f"{call}.denied", turn, more), call=CallId(call), **more)


def approval_edited(call: str = "c1", *, turn: str = "t1", **more: Any) -> ApprovalEdited:
    arguments = more.pop("arguments", raw({"amount": 5}))
    more = _or(more, digest=digest_of(EMPTY_OBJECT), edited_digest=digest_of(arguments), actor=PERSON)
    return ApprovalEdited(**_common(f"{call}.edited", turn, more), call=CallId(call), arguments=arguments, **more)


# ---- unknown outcomes


def resolution_requested(call: str = "c1", *, turn: str = "t1", **more: Any) -> ResolutionRequested:
    """Return that a person is asked, for a week, what came of the call."""
    more = _or(more, tool=TOOL, deadline_at=START + timedelta(days=7))
    return ResolutionRequested(**_common(f"{call}.resolution", turn, more), call=CallId(call), **more)


def tool_resolved(call: str = "c1", outcome: Any = "succeeded", *, turn: str = "t1", **more: Any) -> ToolResolved:
    """Return that a person says what came of the call, unless `check` or `expired` are given."""
    if not more.keys() & {"check", "expired"}:
        more = _or(more, actor=PERSON)
    return ToolResolved(**_common(f"{call}.resolved", turn, more), call=CallId(call), outcome=outcome, **more)


# ---- child agents


def child_requested(call: str = "c1", **more: Any) -> ToolRequested:
    """Return a request that a child agent of a session without a parent answers."""
    return tool_requested(call, **_or(more, tool=CHILD, child=child(call)))


def summary_requested(through: int, call: str = "s1", *, thread: str = "main", **more: Any) -> ToolRequested:
    """Return the request to a child agent to sum up what `thread` holds up to event `through`."""
    return child_requested(call, **_or(more, tool="summarizer", block=1, compacts=Compaction(thread, through)))


def child(call: str = "c1", **more: Any) -> Child:
    return Child(**_or(more, session=child_session_id(call), agent=CHILD, version="v1"))


def parent(call: str = "c1", **more: Any) -> Parent:
    """Return the call of another session that a child agent's session answers."""
    return Parent(**_or(more, session=PARENT_SESSION, turn=TurnId("p1"), call=CallId(call)))


def _or(more: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    return defaults | more


def _common(name: str, turn: str | None, more: dict[str, Any]) -> _Common:
    """Take what every event has out of `more`; what is left belongs to the one event."""
    return {
        "id": more.pop("id", EventId(name)),
        "at": more.pop("at", START),
        "tenant": more.pop("tenant", DEFAULT_TENANT),
        "session": more.pop("session", SESSION),
        "turn": None if turn is None else TurnId(turn),
    }
