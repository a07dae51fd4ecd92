"""Rules about signatures: who asked for a call and who answered it can be checked by everybody who holds the log."""

from collections import Counter
from collections.abc import Iterator, Mapping
from hashlib import sha256

from stenograph_events import StoredEvent
from stenograph_events.signatures import answer_statement, for_workers, is_signed, request_statement
from stenograph_events.subjects import AnswerSubject
from stenograph_events.types import (
    ToolAnswerRejected,
    ToolFailed,
    ToolRequested,
    ToolSucceeded,
    ToolTimedOut,
)
from stenograph_projections.invariants.log import Case, Issued, Log

_Answer = ToolSucceeded | ToolFailed | ToolTimedOut | ToolAnswerRejected


def signed_requests(log: Log) -> Iterator[Case]:
    """The signature of a request to a worker is of this request; where its keys are known, one of them made it."""
    for event in log.events:
        if isinstance(event, ToolRequested) and for_workers(event) and (event.signed or log.signers is not None):
            yield event.n, _unsigned(event, log.signers)


def signed_answers(log: Log) -> Iterator[Case]:
    """The signature of an answer is of this answer; where workers' keys are known, it is of one with that tool."""
    requests: dict[str, ToolRequested] = {}
    for event in log.events:
        if isinstance(event, ToolRequested):
            requests[event.call] = event
        elif isinstance(event, _Answer) and (request := requests.get(event.call)):
            if event.signed is not None:
                yield event.n, _misattributed(event, request, log.issued)
            elif log.issued is not None and request.signed is not None and _is_a_workers(event):
                yield event.n, f"the answer to call {event.call} is not signed"


def answers_by_key(log: Log) -> dict[str, int]:
    """Return how many answers each worker's public key signed."""
    return Counter(event.signed.key for event in log.events if isinstance(event, _Answer) and event.signed)


def _unsigned(request: ToolRequested, signers: frozenset[str] | None) -> str | None:
    if request.signed is None:
        return f"the request of call {request.call} is not signed"
    if signers is not None and request.signed.key not in signers:
        return f"the request of call {request.call} is signed by {request.signed.key}, which is no key of the platform"
    if not is_signed(request_statement(request), request.signed.key, request.signed.signature):
        return f"the signature of the request of call {request.call} is of something else"
    return None


def _misattributed(event: _Answer, request: ToolRequested, issued: Mapping[str, Issued] | None) -> str | None:
    assert event.signed is not None, "an answer without a signature is nobody's"
    key = event.signed.key
    at = AnswerSubject(event.tenant, request.tool, event.session, event.call, event.attempt)
    outcome, digest = _said(event)
    if digest is None or not is_signed(
        answer_statement(at, outcome, event.worker, digest), key, event.signed.signature
    ):
        return f"the signature of the answer to call {event.call} is of something else"
    if issued is not None:
        known = issued.get(key)
        if known is None or known.tenant != event.tenant or request.tool not in known.tools:
            return f"call {event.call} is answered by {key}, which was never given out for tool {request.tool}"
    return None


def _said(event: _Answer) -> tuple[str, str | None]:
    """Return the outcome that the worker signed, and the digest of what it said: the event's own, if it holds that."""
    assert event.signed is not None, "an answer without a signature is nobody's"
    match event:
        case ToolSucceeded():
            held = event.result_ref.sha256 if event.result_ref else sha256(event.result).hexdigest()
            return "succeeded", held
        case ToolFailed() if event.signed.digest is not None:  # its result was refused
            return "succeeded", event.signed.digest
        case ToolFailed():
            return "failed", sha256(event.error.encode()).hexdigest()
        case ToolTimedOut():
            return "expired", ""
        case ToolAnswerRejected():
            return event.outcome, event.signed.digest


def _is_a_workers(event: StoredEvent) -> bool:
    """Return whether a worker said this, and not the tool gateway in place of one."""
    return isinstance(event, ToolSucceeded) or (isinstance(event, ToolFailed) and event.worker is not None)
