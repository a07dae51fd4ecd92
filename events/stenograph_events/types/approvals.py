"""Class `approval`: a call that waits for a person, and what they say of it."""

from datetime import datetime

from msgspec import Raw

from stenograph_events.ids import CallId
from stenograph_events.types.event import Event
from stenograph_events.values import EMPTY_OBJECT, Actor


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
