"""What an answer or a deadline becomes: one event, or none; and what shows how far a call is: a frame, or none. Pure:
the session as folded, the message, the time.

An outcome is accepted only for a call that is open where the fence stands; what comes later is recorded, no more.
"""

from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from stenograph_events import AnyEvent, derived_id, one_line
from stenograph_events.frames import ToolProgress
from stenograph_events.ids import CallId, SessionId, TenantId, TurnId
from stenograph_events.progress import Progress
from stenograph_events.signatures import answer_digest, answer_statement, is_signed
from stenograph_events.subjects import AnswerSubject, CallSubject
from stenograph_events.types import (
    ToolAnswerRejected,
    ToolFailed,
    ToolOutcomeUnknown,
    ToolRequested,
    ToolResolved,
    ToolSucceeded,
    ToolTimedOut,
)
from stenograph_events.values import Signature
from stenograph_events.wire import ToolAnswer, too_large
from stenograph_projections.session import PendingCall, Session
from stenograph_services.protocol import Agent, Tool, problems

JSON = "application/json"
APPROVAL = 0
"""The attempt that stands for a person's decision: it comes before the call is tried for the first time."""

RESOLUTION = 999_999
"""The attempt that stands for a person's word on an unknown outcome: it comes after all others."""

Claim = Literal["closed", "taken", "none"]
"""Who holds the right to run a `retry: never` call: the gateway closed it, a worker took it, or nobody needs it."""


class OfAnotherTool(ValueError):
    """An answer comes from a worker of another tool than the call is of: it is none."""

    def __init__(self, at: AnswerSubject, tool: str) -> None:
        super().__init__(f"it answers call {at.call} as tool {at.tool!r}, and the call is of {tool!r}")


class NotBelieved(ValueError):
    """Nobody signed an answer, or its signature is of something else: it closes no call."""


class Terms(NamedTuple):
    """On which terms answers are taken: `unsigned`, workers may answer without a signature; and how large at most."""

    unsigned: bool = True
    result_max_bytes: int = 64 * 1024**2


TERMS = Terms()


def answer_of(request: ToolRequested) -> AnswerSubject:
    """Return where `request` is answered."""
    return AnswerSubject(request.tenant, request.tool, request.session, request.call, request.attempt)


def open_call(session: Session, call: str) -> PendingCall | None:
    """Return the call if the session waits for its answer."""
    if session.turn is None:
        return None
    return next((known for known in session.turn.calls if known.call == call and known.status == "open"), None)


def is_workers(call: PendingCall | None) -> bool:
    """Return whether a worker has to answer `call`, not a client or a child agent."""
    return call is not None and not call.client and call.child is None


def pending(session: Session, where: CallSubject) -> PendingCall | None:
    """Return the call if the session waits for its answer, or, as the attempt says, for what a person says of it."""
    calls = session.turn.calls if session.turn else ()
    waits = {APPROVAL: "approval", RESOLUTION: "resolution"}.get(where.attempt, "open")
    return next((known for known in calls if known.call == where.call and known.status == waits), None)


def answered(
    session: Session,
    agent: Agent | None,
    at: AnswerSubject,
    answer: ToolAnswer,
    value: Raw | None,
    now: datetime,
    claim: Claim = "none",
    *,
    terms: Terms = TERMS,
) -> AnyEvent:
    """Return the event that records `answer`: the call's outcome, or that nobody waits for it any more.

    `value` is the result, also if the answer only refers to it; None if it is not where the answer says. What a child
    agent answers with, its own protocol declares. `claim` is for an answer that says that it comes too late: its worker
    cannot know whether another one began before it.

    Raises `OfAnotherTool` and `NotBelieved`.
    """
    where = at.about
    call = _open_call_at(session, at)
    _check_believed(call, at, answer.signed, terms)
    if call is None:
        return _rejected(session, where, answer, now, "late")
    if call.attempt != where.attempt:
        return _rejected(session, where, answer, now, "superseded")
    envelope = _envelope(session, where, now, "result")
    said: dict[str, Any] = {"attempt": where.attempt, "worker": answer.worker}
    if answer.outcome == "expired":
        if claim == "taken":  # by another worker, who had begun
            return ToolOutcomeUnknown(**envelope, attempt=where.attempt, then=call.on_unknown)
        return ToolTimedOut(**envelope, **said, signed=answer.signed, again=_again(call))
    if answer.outcome == "failed":
        again = answer.kind == "error" and _again(call)
        return ToolFailed(**envelope, **said, error=answer.reason, kind=answer.kind, signed=answer.signed, again=again)
    tool = _declared(session, agent, call)
    if problem := _oversize(tool, answer, terms):
        return ToolFailed(**envelope, **said, error=problem, kind="too-large", signed=_beside(answer))
    if problem := _broken_result(tool, value):
        return ToolFailed(**envelope, **said, error=problem, kind="invalid-result", signed=_beside(answer))
    # What it refers to was read and is JSON, whatever its worker says that it is.
    ref = answer.result_ref and replace(answer.result_ref, media_type=JSON)
    return ToolSucceeded(**envelope, **said, result=one_line(answer.result), result_ref=ref, signed=answer.signed)


def overdue(session: Session, where: CallSubject, claim: Claim, now: datetime) -> AnyEvent | None:
    """Return the event of a deadline that passed, or None if the call is answered.

    A call that must not run twice and that a worker began may have taken effect: nobody can say.
    """
    call = pending(session, where)
    if call is None or (call.attempt != where.attempt and where.attempt != RESOLUTION):
        return None
    envelope = _envelope(session, where, now, "overdue")
    if where.attempt == RESOLUTION:
        return ToolResolved(**envelope, attempt=call.attempt, outcome="unknown", expired=True)
    if claim == "taken":
        return ToolOutcomeUnknown(**envelope, attempt=where.attempt, then=call.on_unknown)
    return ToolTimedOut(**envelope, attempt=where.attempt, again=where.attempt != APPROVAL and _again(call))


def _again(call: PendingCall) -> bool:
    """Return whether another attempt follows on this one, which failed or was late."""
    return call.retry == "safe" and call.attempt < call.attempts


def progress(session: Session, n: int, at: AnswerSubject, said: Progress) -> ToolProgress | None:
    """Return the frame that shows what a worker says of a call, after event `n`; None unless the call is open to it."""
    call = open_call(session, at.call)
    if session.turn is None or call is None or call.client or call.child is not None:
        return None
    if (call.served_as, call.attempt) != (at.tool, at.attempt):
        return None
    return ToolProgress(
        turn=session.turn.id,
        after=n,
        attempt=at.attempt,
        k=said.k,
        call=call.call,
        tool=call.tool,
        text=said.text,
        done=said.done,
        total=said.total,
    )


def unreadable(
    session: Session, at: AnswerSubject, reason: str, now: datetime, *, terms: Terms = TERMS
) -> AnyEvent | None:
    """Return the failure of an open call whose worker answered with something that is no answer.

    Raises `OfAnotherTool` and, unless what nobody signed may close a call, `NotBelieved`.
    """
    where = at.about
    call = _open_call_at(session, at)
    if call is None or call.attempt != where.attempt:
        return None
    _check_believed(call, at, None, terms)
    error = f"the worker's answer cannot be read: {reason}"[:4000]
    return ToolFailed(**_envelope(session, where, now, "result"), attempt=where.attempt, error=error)


def recorded_as(where: CallSubject) -> frozenset[str]:
    """Return the ids of the events that an answer to this attempt may have become already."""
    return frozenset({_id(where, "result"), _id(where, "rejected")})


def _open_call_at(session: Session, at: AnswerSubject) -> PendingCall | None:
    """Return the call if the session waits for its answer; raise `OfAnotherTool`, also if it waits no longer."""
    calls = session.turn.calls if session.turn else ()
    asked = next((call for call in calls if call.call == at.call and call.status != "needed"), None)
    if asked is not None and asked.served_as != at.tool:
        raise OfAnotherTool(at, asked.served_as)
    return open_call(session, at.call)


def _check_believed(call: PendingCall | None, at: AnswerSubject, signed: Signature | None, terms: Terms) -> None:
    """Raise `NotBelieved` if a worker's answer to `call` had to be signed. Applications and child agents sign none."""
    if signed is None and not terms.unsigned and is_workers(call):
        raise NotBelieved(f"no worker signed the answer to call {at.call}")


def _declared(session: Session, agent: Agent | None, call: PendingCall) -> Tool | None:
    """Return the tool of `call`; a child agent's block asks for it by the name under which its parent has it served."""
    if agent is None or call.child is not None:
        return None
    served = session.parent.tools.items() if session.parent else ()
    names = [call.tool, *(own for own, name in served if name == call.tool)]
    return next((agent.tools[name] for name in names if name in agent.tools), None)


def _oversize(tool: Tool | None, answer: ToolAnswer, terms: Terms) -> str | None:
    """Return what is wrong if the result has more bytes than its tool, or the operator, allows."""
    size = answer.result_ref.size if answer.result_ref else len(answer.result)
    declared = tool.max_result_bytes if tool else None
    most = min(declared or terms.result_max_bytes, terms.result_max_bytes)
    return too_large(size, most) if size > most else None


def _broken_result(tool: Tool | None, value: Raw | None) -> str | None:
    if value is None:
        return "the result is not in BLOB under the reference"
    try:
        result = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return f"the result is not JSON that can be read: {error}"
    problem = problems(tool.result, result) if tool and tool.result else None
    return f"the result is not what the protocol declares: {problem}" if problem else None


def _rejected(
    session: Session, where: CallSubject, answer: ToolAnswer, now: datetime, reason: Literal["late", "superseded"]
) -> ToolAnswerRejected:
    return ToolAnswerRejected(
        **_envelope(session, where, now, "rejected"),
        attempt=where.attempt,
        reason=reason,
        outcome=answer.outcome,
        worker=answer.worker,
        signed=_beside(answer),
    )


def _envelope(session: Session, where: CallSubject, now: datetime, kind: str) -> dict[str, Any]:
    return {
        "id": _id(where, kind),
        "at": now,
        "tenant": TenantId(session.tenant),
        "session": SessionId(session.session),
        "turn": TurnId(session.turn.id) if session.turn else None,
        "call": CallId(where.call),
    }


def _id(where: CallSubject, kind: str) -> Any:
    return derived_id(f"{where.session}/{where.call}", f"{kind}/{where.attempt}")


def check_signature(at: AnswerSubject, answer: ToolAnswer) -> None:
    """Raise `NotBelieved` if the signature of `answer` is of something else."""
    if answer.signed is None:
        return
    statement = answer_statement(at, answer.outcome, answer.worker, answer_digest(answer))
    if not is_signed(statement, answer.signed.key, answer.signed.signature):
        raise NotBelieved(f"the signature by {answer.signed.key[:80]!r} is of something else")


def _beside(answer: ToolAnswer) -> Signature | None:
    """Return the signature as it stands in an event that does not hold what was signed."""
    if answer.signed is None:
        return None
    return Signature(answer.signed.key, answer.signed.signature, answer_digest(answer))
