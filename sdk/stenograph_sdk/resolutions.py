"""Unknown outcomes: which calls a person is asked about, in words, and what that one says came of them. Pure.

nobody knows whether pay {"amount":250} of call 7e1f… took effect
say what came of it with `stenograph effects resolve 2f0193… 7e1f… succeeded`, or `failed`, or `unknown`
"""

from datetime import datetime
from typing import Any

import msgspec
from msgspec import Raw

from stenograph_events import StoredEvent, checked_id
from stenograph_events.types import ResolutionRequested, ToolResolved
from stenograph_events.values import NULL, Actor, Resolution
from stenograph_events.wire import Resolve
from stenograph_sdk.approvals import actor_name
from stenograph_sdk.encoding import to_json
from stenograph_sdk.errors import NotDecided
from stenograph_sdk.families import parent_of
from stenograph_sdk.questions import questions


class Unresolved(msgspec.Struct, frozen=True):
    """A call that began and never answered: a person is asked what came of it, in `session`.

    Where that is a child agent's, `parent` is the session that waits for its answer.
    """

    session: str
    turn: str
    call: str
    attempt: int
    tool: str
    arguments: Any
    requested_at: datetime
    deadline_at: datetime
    parent: str | None = None


def unresolved(events: list[StoredEvent]) -> list[Unresolved]:
    """Return the calls that a person is asked about at the end of a log, in the order in which they were."""
    parent = parent_of(events)
    return [_unresolved(event, parent) for event in questions(events) if isinstance(event, ResolutionRequested)]


def resolving(
    request: str, call: str, outcome: Resolution, actor: Actor, result: Any, error: str | None, reason: str | None
) -> Resolve:
    """Return what somebody says; raise `ValueError` for what contradicts itself."""
    if outcome not in ("succeeded", "failed", "unknown"):
        raise ValueError(f"the outcome is succeeded, failed or unknown, not {outcome!r}")
    if result is not None and outcome != "succeeded":
        raise ValueError("a result belongs to the outcome succeeded, and to no other")
    if error and outcome == "succeeded":
        raise ValueError("an error belongs to the outcomes failed and unknown")
    given = Raw(to_json(result)) if result is not None else None
    return Resolve(checked_id(request, "request"), checked_id(call, "call"), outcome, actor, given, error, reason)


def recorded(events: list[StoredEvent], wanted: Resolve) -> ToolResolved | None:
    """Return the same word if the log has it already, None if the call of `wanted` waits for one.

    Raises `NotDecided` where nothing could come of it.
    """
    if not any(isinstance(event, ResolutionRequested) and event.call == wanted.call for event in events):
        raise NotDecided(wanted.call, "unknown-call", f"nobody was asked what came of a call {wanted.call}")
    for event in events:
        if isinstance(event, ToolResolved) and event.call == wanted.call:
            if same(event, wanted):
                return event
            raise NotDecided(wanted.call, "not-waiting", f"{resolved(event)} already")
    if not any(one.call == wanted.call for one in unresolved(events)):
        sentence = f"nobody is asked any more what came of call {wanted.call}"
        raise NotDecided(wanted.call, "not-waiting", sentence)
    return None


def same(event: ToolResolved, wanted: Resolve) -> bool:
    """Return whether `event` says what `wanted` does."""
    given = msgspec.json.decode(wanted.result if wanted.result is not None else NULL)
    same_result = msgspec.json.decode(event.result) == given
    return event.actor is not None and event.outcome == wanted.outcome and same_result


def unknown(event: ResolutionRequested) -> str:
    """Return what nobody knows."""
    arguments = bytes(event.arguments).decode()
    return f"nobody knows whether {event.tool} {arguments} of call {event.call} took effect"


def how_to_resolve(event: ResolutionRequested) -> str:
    """Return what to do about it."""
    command = f"stenograph effects resolve {event.session} {event.call} succeeded"
    return f"say what came of it with `{command}`, or `failed`, or `unknown`; or cancel the turn"


def resolved(event: ToolResolved) -> str:
    """Return what was said to have come of a call, and by whom."""
    what = "was left unknown" if event.outcome == "unknown" else event.outcome
    why = f": {event.error or event.reason}" if event.error or event.reason else ""
    return f"call {event.call} {what}, {said_by(event)}{why}"


def said_by(event: ToolResolved) -> str:
    """Return who says it, for a reader."""
    if event.actor is not None:
        return f"says {actor_name(event.actor)}"
    if event.check is not None:
        return f"found call {event.check}"
    return "nobody said in time" if event.expired else "its turn was cancelled"


def _unresolved(event: ResolutionRequested, parent: str | None) -> Unresolved:
    return Unresolved(
        session=event.session,
        turn=event.turn or "",
        call=event.call,
        attempt=event.attempt,
        tool=event.tool,
        arguments=msgspec.json.decode(event.arguments),
        requested_at=event.at,
        deadline_at=event.deadline_at,
        parent=parent,
    )
