"""Rules about effects: what nobody knows is said so, and found out only as the protocol declares."""

from collections.abc import Iterator

from stenograph_events import ToolOutcome
from stenograph_events.types import (
    ResolutionRequested,
    ToolFailed,
    ToolOutcomeUnknown,
    ToolRequested,
    ToolResolved,
    ToolTimedOut,
)
from stenograph_projections.invariants.log import Case, Log


def tried_again(log: Log) -> Iterator[Case]:
    """A call is tried again only if it may run again, after an attempt that says so, as often as declared."""
    again: set[str] = set()
    for event in log.events:
        match event:
            case ToolFailed(again=True) | ToolTimedOut(again=True):
                again.add(event.call)
            case ToolRequested() if event.attempt > 1:
                yield event.n, _not_to_be_tried(event, event.call in again)
                again.discard(event.call)


def _not_to_be_tried(event: ToolRequested, said: bool) -> str | None:
    if event.retry != "safe":
        return f"call {event.call} must not run twice, and is requested again"
    if event.attempt > event.attempts:
        return f"attempt {event.attempt} of call {event.call} is requested, and {event.attempts} are allowed"
    return None if said else f"call {event.call} is requested again, and no attempt says so"


def only_unsafe_unknown(log: Log) -> Iterator[Case]:
    """The outcome of a call is unknown only where it must not run twice; what follows is what its request says."""
    requests: dict[str, ToolRequested] = {}
    for event in log.events:
        if isinstance(event, ToolRequested):
            requests[event.call] = event
        elif isinstance(event, ToolOutcomeUnknown):
            yield event.n, _not_declared(event, requests.get(event.call))


def _not_declared(event: ToolOutcomeUnknown, request: ToolRequested | None) -> str | None:
    if request is None:
        return None  # `result_after_request` says so
    if request.retry == "safe":
        return f"call {event.call} may run again, so its outcome cannot be unknown"
    if event.then != request.on_unknown:
        return f"on call {event.call} follows {event.then}, and its request says {request.on_unknown}"
    return None


def resolved_as_declared(log: Log) -> Iterator[Case]:
    """What came of a call is said once, of one whose outcome is unknown, by whom its request says, or by nobody."""
    unknown: dict[str, ToolOutcomeUnknown] = {}
    asked: set[str] = set()
    for event in log.events:
        match event:
            case ToolOutcomeUnknown(then=str()):
                again = event.call in unknown
                yield event.n, f"the outcome of call {event.call} is unknown already" if again else None
                unknown[event.call] = event
            case ResolutionRequested():
                open_ = unknown.get(event.call)
                fits = open_ is not None and open_.then == "ask-person" and event.call not in asked
                yield event.n, None if fits else f"nobody is to be asked what came of call {event.call}"
                asked.add(event.call)
            case ToolResolved():
                yield event.n, _misresolved(event, unknown.pop(event.call, None), event.call in asked)


def _misresolved(event: ToolResolved, unknown: ToolOutcomeUnknown | None, was_asked: bool) -> str | None:
    if unknown is None:
        return f"the outcome of call {event.call} is not unknown"
    if event.actor is not None or event.expired:
        return None if was_asked else f"nobody was asked what came of call {event.call}"
    if event.check is not None:
        return None if unknown.then == "reconcile" else f"call {event.call} is not to be checked by another one"
    return None if event.outcome == "unknown" else f"nobody says who knows what came of call {event.call}"


def checks(log: Log) -> Iterator[Case]:
    """A check is a call that may run again, of one whose outcome is unknown; what it found is said after its end."""
    unknown: set[str] = set()
    checking: dict[str, str] = {}
    ended: set[str] = set()
    for event in log.events:
        match event:
            case ToolOutcomeUnknown(then="reconcile"):
                unknown.add(event.call)
            case ToolRequested(checks=str(checked)):
                fits = checked in unknown and event.retry == "safe"
                yield event.n, None if fits else f"call {event.call} is no check of call {checked}"
                checking[event.call] = checked
            case ToolResolved(check=str(check)):
                fits = checking.get(check) == event.call and check in ended
                yield event.n, None if fits else f"{check} is no check of call {event.call} that came to an end"
            case _ if isinstance(event, ToolOutcome) and event.call in checking:
                ended.add(event.call)
