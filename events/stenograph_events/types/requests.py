"""Classes `tool-request`, `client-request`, `child-request`: a call that somebody outside is to answer."""

from datetime import datetime

from msgspec import Raw

from stenograph_events.ids import CallId
from stenograph_events.types.event import Event
from stenograph_events.values import EMPTY_OBJECT, Child, Compaction, OnUnknown, Retry, SecretArguments, Signature


class ToolRequested(Event, frozen=True, kw_only=True, tag="tool.requested"):
    """A call may run now: its arguments are valid. Answered once for each (call, attempt).

    A call that a block made, not a model, names its `block`, and in `output` the variable that takes the result.
    A `child` agent answers it, not a worker, or a `client`: whoever follows the session, since no worker serves the
    tool. `compacts`: with a summary for the models of a thread. `traceparent` is that of the turn's trigger. `signed`:
    by the platform, so that a worker need not believe whoever hands it on. `on_unknown`: what follows if nobody knows
    whether it took effect; left out, that is the answer. `checks`: it is to find that out of another call. A result is
    to have at most `max_result_bytes`; if that is None, what its worker was told when it registered the tool.
    `attempts`: after one that failed or was late another one follows, up to so many; it is not to begin `not_before`.
    `secrets` are those of its arguments that the protocol declares secret: in `arguments` they stand sealed.
    """

    event_class = "tool-request"
    call: CallId
    tool: str
    arguments: Raw = EMPTY_OBJECT
    attempt: int = 1
    retry: Retry = "never"
    deadline_at: datetime
    block: int | None = None
    output: str | None = None
    child: Child | None = None
    compacts: Compaction | None = None
    client: bool = False
    traceparent: str | None = None
    signed: Signature | None = None
    on_unknown: OnUnknown | None = None
    checks: CallId | None = None
    max_result_bytes: int | None = None
    attempts: int = 1
    not_before: datetime | None = None
    secrets: SecretArguments | None = None
