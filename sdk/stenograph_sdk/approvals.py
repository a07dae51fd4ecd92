"""Approvals: what it means that a call waits for a person, in words, and the wish to decide on it. Pure.

refund {"amount":250} of call 7e1f… has to be approved
decide with `stenograph approvals grant 2f0193… 7e1f…`, or `deny`, or `edit`; or cancel the turn
"""

from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import Raw

from stenograph_events import ApprovalDecision, StoredEvent, canonical, checked_id, digest_of, type_of
from stenograph_events.secrets import SHOWN, is_token, shown
from stenograph_events.types import ApprovalEdited, ApprovalRequested
from stenograph_events.values import Actor
from stenograph_events.wire import Approve
from stenograph_sdk.encoding import to_json
from stenograph_sdk.errors import NotDecided
from stenograph_sdk.families import parent_of
from stenograph_sdk.questions import questions

Decision = Literal["grant", "deny", "edit"]


class Approval(msgspec.Struct, frozen=True):
    """A call that waits for a person. A decision on it has to name the `digest`, which is of these `arguments`.

    It is decided on in `session`. Where that is a child agent's, `parent` is the session that waits for its answer.
    """

    session: str
    turn: str
    call: str
    tool: str
    arguments: Any
    digest: str
    requested_at: datetime
    deadline_at: datetime
    parent: str | None = None


def waiting(events: list[StoredEvent]) -> list[Approval]:
    """Return what waits for a person at the end of a log, in the order in which it was asked for."""
    parent = parent_of(events)
    return [approval_of(event, parent) for event in questions(events) if isinstance(event, ApprovalRequested)]


def approval_of(event: ApprovalRequested, parent: str | None = None) -> Approval:
    """Return the call that `event` makes wait, in a session that answers a call of session `parent`."""
    return Approval(
        session=event.session,
        turn=event.turn or "",
        call=event.call,
        tool=event.tool,
        arguments=msgspec.json.decode(event.arguments),
        digest=event.digest,
        requested_at=event.at,
        deadline_at=event.deadline_at,
        parent=parent,
    )


def deciding(
    request: str, call: str, decision: Decision, digest: str, actor: Actor, arguments: Any, reason: str | None
) -> Approve:
    """Return the wish to decide so; raise `ValueError` for one that says too much or too little."""
    if (decision == "edit") != isinstance(arguments, dict):
        raise ValueError("arguments, as an object, belong to the decision edit, and to no other")
    given = Raw(to_json(arguments)) if decision == "edit" else None
    return Approve(checked_id(request, "request"), checked_id(call, "call"), decision, digest, actor, given, reason)


def found(events: list[StoredEvent], wanted: Approve) -> ApprovalDecision | None:
    """Return the same decision if the log has it already, None if the call of `wanted` waits for one.

    Raises `NotDecided` where nothing could come of it.
    """
    asked = next((e for e in reversed(events) if isinstance(e, ApprovalRequested) and e.call == wanted.call), None)
    if asked is None:
        raise NotDecided(wanted.call, "unknown-call", f"no call {wanted.call} was to be approved in this session")
    if wanted.digest != asked.digest:
        sentence = f"the digest is not that of call {wanted.call}, which is {asked.digest}: look at it again"
        raise NotDecided(wanted.call, "digest", sentence)
    for event in events:
        if isinstance(event, ApprovalDecision) and event.call == wanted.call:
            if same(event, wanted):
                return event
            raise NotDecided(wanted.call, "not-waiting", f"{decided(event)} already")
    if not any(approval.call == wanted.call for approval in waiting(events)):
        sentence = f"call {wanted.call} does not wait any more: its time was up, or its turn was cancelled"
        raise NotDecided(wanted.call, "not-waiting", sentence)
    return None


def same(event: ApprovalDecision, wanted: Approve) -> bool:
    """Return whether `event` decides what `wanted` does."""
    if type_of(event) != {"grant": "approval.granted", "deny": "approval.denied"}.get(wanted.decision, type_of(event)):
        return False
    if not isinstance(event, ApprovalEdited):
        return wanted.decision != "edit"
    if wanted.arguments is None:
        return False
    given = canonical(wanted.arguments)
    return event.edited_digest == digest_of(given) or _but_secrets(event.arguments) == _but_secrets(given)


def _but_secrets(arguments: Raw) -> dict[str, Any]:
    """Return arguments without those that are secret: a call keeps those, whether an edit names them or not."""
    given: dict[str, Any] = msgspec.json.decode(arguments)
    return {name: value for name, value in given.items() if value != SHOWN and not is_token(value)}


def unapproved(event: ApprovalRequested) -> str:
    """Return what waits for a person."""
    return f"{event.tool} {shown(bytes(event.arguments).decode())} of call {event.call} has to be approved"


def how_to_decide(event: ApprovalRequested) -> str:
    """Return what to do about it."""
    command = f"stenograph approvals grant {event.session} {event.call}"
    return f"decide with `{command}`, or `deny`, or `edit`; or cancel the turn"


def actor_name(actor: Actor) -> str:
    """Return who decided, for a reader: `ann`, `key 3f9a1c2b7d0e`, `somebody over nats`."""
    return actor.name or (f"key {actor.credential}" if actor.credential else f"somebody over {actor.via}")


def decided(event: ApprovalDecision) -> str:
    """Return what was decided, and by whom."""
    verb = type_of(event).removeprefix("approval.")
    given = f" to {shown(bytes(event.arguments).decode())}" if isinstance(event, ApprovalEdited) else ""
    why = f": {event.reason}" if event.reason else ""
    return f"call {event.call} {verb}{given} by {actor_name(event.actor)}{why}"
