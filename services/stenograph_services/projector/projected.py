"""One session as the projector knows it: the fold that becomes its snapshot, and what only the index shows."""

from datetime import UTC, datetime
from functools import lru_cache

from stenograph_events import StoredEvent
from stenograph_events.errors import InvalidSubject
from stenograph_events.ids import shard_of
from stenograph_events.sealing import is_sealed
from stenograph_events.subjects import parse_event, snapshot_key
from stenograph_events.types import (
    MessageAdded,
    MessagesRolledBack,
    SessionCleared,
    TurnFinished,
)
from stenograph_events.values import TextPart
from stenograph_projections.session import Session, activity
from stenograph_projections.snapshot import Snapshot, SnapshotFold
from stenograph_services.runtime.index import SessionRow, Status

TITLE_CHARACTERS = 80
_LARGEST = 2**63 - 1  # what the index can hold of a provider's idea of a number of tokens

Key = tuple[str, str]
"""Tenant and session."""


class Projected:
    """A session after some event. `problem` says why it can get no further.

    A sealed session has no title: the index is read by whoever can read a database.
    """

    def __init__(self, key: Key) -> None:
        self.key = key
        self.fold = SnapshotFold()
        self.title: str | None = None
        self.outcome: str | None = None
        self.problem: str | None = None
        self.saved = 0
        """The number of the event that the stored snapshot stands at."""
        self.touched = 0.0
        """When the last event came, on the event loop's clock."""

    def resume(self, snapshot: Snapshot, row: SessionRow) -> None:
        """Start from the stored snapshot, and from the row, which stands there or further."""
        self.fold = SnapshotFold(snapshot)
        self.title, self.outcome = row.title, row.outcome
        self.saved = snapshot.head.n

    def restart(self) -> None:
        """Go back to nothing, to be folded from the first event."""
        self.fold = SnapshotFold()
        self.title = self.outcome = None

    def apply(self, event: StoredEvent, data: bytes, sequence: int) -> None:
        """Fold in the next event; raise `ValueError` (such as `BrokenChain`), unchanged, if it cannot be that."""
        if (event.tenant, event.session) != self.key:
            raise ValueError(f"event {event.n} says that it belongs to session {event.tenant}/{event.session}")
        self.fold.apply(event, data, sequence)
        if isinstance(event, MessageAdded):
            if self.title is None and event.role == "user" and event.visible and not is_sealed(data):
                self.title = _title(event)
        elif isinstance(event, TurnFinished):
            self.outcome = event.outcome
        elif isinstance(event, SessionCleared) or (isinstance(event, MessagesRolledBack) and not event.through):
            self.title = None

    def row(self, stored_at: datetime) -> SessionRow:
        """Return the session's row. `stored_at` stands for its times if not even its first event can be read."""
        session, usages = self.fold.session, self.fold.usage.values()
        return SessionRow(
            tenant=self.key[0],
            session=self.key[1],
            agent=_text(session.agent) if session else "",
            agent_version=_text(session.agent_version) if session else "",
            status="broken" if self.problem or session is None else _status(session),
            turns=session.turns if session else 0,
            events=self.fold.head.n,
            sequence=self.fold.head.sequence,
            created_at=session.created_at if session else stored_at,
            updated_at=session.updated_at if session else stored_at,
            title=self.title,
            input_tokens=min(sum(usage.input_tokens for usage in usages), _LARGEST),
            output_tokens=min(sum(usage.output_tokens for usage in usages), _LARGEST),
            woken_by=_text(session.woken_by) if session and session.woken_by and not self.problem else None,
            outcome=self.outcome,
            problem=_text(self.problem) if self.problem else None,
            parent=_text(session.parent.session) if session and session.parent else None,
        )


@lru_cache(maxsize=16_384)
def key_of(subject: str) -> Key:
    """Return whose log `subject` belongs to; raise `EventError` if it is none that this product wrote."""
    where = parse_event(subject)
    snapshot_key(where.tenant, where.session)  # checks both ids
    if shard_of(where.session) != where.shard:
        raise InvalidSubject(subject, "ev.<shard>.<tenant>.<session>.<class>, the session under its own shard token")
    return where.tenant, where.session


def time_stored(reply: str) -> datetime:
    """Return when the server stored a delivered message, of which `reply` is the reply subject."""
    return datetime.fromtimestamp(int(reply.rsplit(".", 2)[1]) / 1e9, UTC)


def _status(session: Session) -> Status:
    if session.standing != "active":
        return "expired"  # and so says a client of one that was cleared
    doing = activity(session)
    return "running" if doing == "cancelling" else doing


def _title(message: MessageAdded) -> str | None:
    said = " ".join(part.text[: 4 * TITLE_CHARACTERS] for part in message.parts if isinstance(part, TextPart))
    return _text(" ".join(said.split()))[:TITLE_CHARACTERS] or None


def _text(value: str) -> str:
    """PostgreSQL takes any text but one with a NUL in it, which JSON allows."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
