"""Rules about signatures: who asked for a call can be checked by everybody who holds the log and knows a public key."""

from collections.abc import Iterator

from stenograph_events.signatures import for_workers, is_signed, request_statement
from stenograph_events.types import ToolRequested
from stenograph_projections.invariants.log import Case, Log


def signed_requests(log: Log) -> Iterator[Case]:
    """The signature of a request to a worker is of this request; where its keys are known, one of them made it."""
    for event in log.events:
        if isinstance(event, ToolRequested) and for_workers(event) and (event.signed or log.signers is not None):
            yield event.n, _unsigned(event, log.signers)


def _unsigned(request: ToolRequested, signers: frozenset[str] | None) -> str | None:
    if request.signed is None:
        return f"the request of call {request.call} is not signed"
    if signers is not None and request.signed.key not in signers:
        return f"the request of call {request.call} is signed by {request.signed.key}, which is no key of the platform"
    if not is_signed(request_statement(request), request.signed.key, request.signed.signature):
        return f"the signature of the request of call {request.call} is of something else"
    return None
