"""Rules about bytes and positions: what the store and the writers must have kept, whatever the events mean."""

from collections.abc import Iterator

from stenograph_events import BrokenChain, EventError, Head, StoredEvent, UnknownEvent, type_of
from stenograph_events.chain import EMPTY, follow_hash
from stenograph_events.sealing import Header
from stenograph_events.subjects import event_subject, session_filter
from stenograph_events.types import (
    ApprovalRequested,
    BlockFinished,
    BudgetExceeded,
    MessageAdded,
    ResolutionRequested,
    ThreadCompacted,
    ThreadStarted,
    ToolAnswered,
    ToolCancelled,
    ToolRefused,
    ToolRequested,
    TurnFinished,
)
from stenograph_projections import session as sessions
from stenograph_projections.invariants.log import Case, Log, Record
from stenograph_projections.session import Session


def decodable(log: Log) -> Iterator[Case]:
    """Every stored body is an event that can be read."""
    for record in log.records:
        yield record.n, record.error


def chain(log: Log) -> Iterator[Case]:
    """Every event counts on from the one before it and names the hash of that one's bytes."""
    head = EMPTY
    for record in log.records:
        head, problem = _followed(head, record)
        yield record.n, problem


def known_head(log: Log) -> Iterator[Case]:
    """The event that somebody outside the log remembers as its last one still stands where it stood."""
    if log.known is None:
        return
    head = EMPTY
    for record in log.records:
        head, _ = _followed(head, record)
        if log.known.n == head.n:
            yield record.n, None if log.known.hash == head.hash else "this is not the event that once stood here"
    if log.known.n > head.n:
        yield head.n, f"the log once had {log.known.n} events"


def _followed(head: Head, record: Record) -> tuple[Head, str | None]:
    """Return the head at `record`, also where it does not follow: what comes after it is judged by itself."""
    sequence, hashed = record.stored.sequence, record.stored.hashed
    problem = None
    if (found := record.event or record.header) is not None:
        try:
            return follow_hash(head, found, hashed, sequence), None
        except BrokenChain as error:
            problem = error.reason
    return Head(sequence, record.n, hashed), problem


def rising_sequence(log: Log) -> Iterator[Case]:
    """Stream sequences rise from event to event."""
    last = 0
    for record in log.records:
        sequence = record.stored.sequence
        yield record.n, None if sequence > last else f"sequence {sequence} comes after {last}"
        last = sequence


def unique_id(log: Log) -> Iterator[Case]:
    """No two events have the same id."""
    seen: dict[str, int] = {}
    for event in log.headers:
        yield event.n, f"id {event.id} is also the id of event {seen[event.id]}" if event.id in seen else None
        seen.setdefault(event.id, event.n)


def created_first(log: Log) -> Iterator[Case]:
    """`session.created` is the first event, and comes once."""
    for position, event in enumerate(log.headers):
        if position == 0:
            yield event.n, None if _creates(event) else "the log does not begin with session.created"
        elif _creates(event):
            yield event.n, "the session is created again"


def _creates(event: StoredEvent | Header) -> bool:
    return (event.type if isinstance(event, Header) else type_of(event)) == "session.created"


def one_session(log: Log) -> Iterator[Case]:
    """All events are of one tenant and one session."""
    for event in log.headers:
        first = log.headers[0]
        same = (event.tenant, event.session) == (first.tenant, first.session)
        yield event.n, None if same else f"it belongs to tenant {event.tenant}, session {event.session}"


def subject(log: Log) -> Iterator[Case]:
    """An event lies under the subject that its tenant, session, class and tool spell."""
    for record in log.records:
        if record.stored.subject is not None and record.event is not None:
            yield record.n, _misplaced(record.stored.subject, record.event)


def _misplaced(found: str, event: StoredEvent) -> str | None:
    try:
        if isinstance(event, UnknownEvent):  # its class is not known here
            head = session_filter(event.tenant, event.session)[:-1]
            return None if found.startswith(head) else f"it lies under {found}, not under {head}>"
        expected = event_subject(event)
    except EventError as error:
        return str(error)
    return None if found == expected else f"it lies under {found}, not under {expected}"


_Consequence = (
    MessageAdded
    | BlockFinished
    | ThreadStarted
    | ThreadCompacted
    | BudgetExceeded
    | TurnFinished
    | ToolRequested
    | ToolRefused
    | ToolCancelled
    | ToolAnswered
    | ApprovalRequested
    | ResolutionRequested
)


def cause(log: Log) -> Iterator[Case]:
    """A consequence names an earlier event as its cause; a fact may name something outside, but no later event."""
    ids = {event.id for event in log.events}
    earlier: set[str] = set()
    for event in log.events:
        if event.cause is not None:
            inside = isinstance(event, _Consequence) or event.cause in ids
            known = event.cause in earlier or not inside
            yield event.n, None if known else f"its cause {event.cause} is no earlier event"
        earlier.add(event.id)


def foldable(log: Log) -> Iterator[Case]:
    """A session can be folded from the events."""
    session: Session | None = None
    for event in log.events:
        try:
            session = sessions.apply(session, event)
        except ValueError as error:
            yield event.n, str(error)
            return
        yield event.n, None
