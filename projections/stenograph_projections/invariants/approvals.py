"""Rules about approvals: what a person has to agree to runs only as that person decided, who decides once."""

from collections.abc import Iterator

from stenograph_events import ApprovalDecision, ToolOutcome, digest_of, type_of
from stenograph_events.canonical import canonical
from stenograph_events.types import (
    ApprovalEdited,
    ApprovalGranted,
    ApprovalRequested,
    ToolRequested,
)
from stenograph_projections.invariants.log import Case, Log


def approved_first(log: Log) -> Iterator[Case]:
    """A call that waited for a person is requested only after they let it, with the arguments that they agreed to."""
    waited: set[str] = set()
    agreed: dict[str, str] = {}
    for event in log.events:
        match event:
            case ApprovalRequested():
                waited.add(event.call)
            case ApprovalGranted():
                agreed[event.call] = event.digest
            case ApprovalEdited():
                agreed[event.call] = event.edited_digest
            case ToolRequested() if event.call in waited:
                yield event.n, _disagreement(event, agreed.get(event.call))


def _disagreement(event: ToolRequested, digest: str | None) -> str | None:
    if digest is None:
        return f"call {event.call} is requested before anybody let it run"
    runs = digest_of(canonical(event.arguments))
    return None if runs == digest else f"call {event.call} is requested with arguments that nobody agreed to"


def decided_once(log: Log) -> Iterator[Case]:
    """A decision is about a call that waits for it, names the digest of what it shows, and stands alone."""
    waiting: dict[str, str] = {}
    for event in log.events:
        match event:
            case ApprovalRequested():
                yield event.n, _misnamed(event.call, event.digest, digest_of(event.arguments))
                waiting[event.call] = event.digest
            case _ if isinstance(event, ApprovalDecision):
                if event.call not in waiting:
                    yield event.n, f"{type_of(event)} is about call {event.call}, which waits for nobody"
                else:
                    yield event.n, _misnamed(event.call, event.digest, waiting.pop(event.call))
                if isinstance(event, ApprovalEdited):
                    yield event.n, _misnamed(event.call, event.edited_digest, digest_of(event.arguments))
            case ToolRequested() if event.call in waiting:
                yield event.n, f"call {event.call} is requested while it waits for a person"
            case _ if isinstance(event, ToolOutcome):
                waiting.pop(event.call, None)


def _misnamed(call: str, named: str, digest: str) -> str | None:
    return None if named == digest else f"call {call}: {named} is not the digest of its arguments, {digest}"
