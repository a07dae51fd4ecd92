"""The life of a session beside its turns: what a restore, a clear and a rollback do to its state."""

from msgspec.structs import replace

from stenograph_events.types import MessagesRolledBack, SessionCleared, SessionRestored
from stenograph_events.values import TextPart
from stenograph_projections.state import NO_TODOS, ROLLBACKS_REMEMBERED, Session, ThreadSize


def restored(session: Session, event: SessionRestored) -> Session:
    """Return the session as it takes triggers again; what a client brought back stands in `main`."""
    after = replace(session, updated_at=event.at, standing="active")
    if not event.messages:
        return after
    parts = [part for message in event.messages for part in message.parts]
    said = sum(len(part.text.encode()) for part in parts if isinstance(part, TextPart))
    return replace(after, sizes={**session.sizes, "main": session.size("main").plus(said)})


def cleared(session: Session, event: SessionCleared) -> Session:
    """Return the session without what was said and set. Its input stays, and what its models have cost."""
    return replace(
        session,
        updated_at=event.at,
        standing="cleared",
        variables={},
        resources={},
        threads={},
        sizes={},
        todos=NO_TODOS,
    )


def rolled_back(session: Session, event: MessagesRolledBack) -> Session:
    """Return the session whose models read less. Variables, and how threads are set up, stay as they are."""
    return replace(
        session,
        updated_at=event.at,
        sizes={thread: ThreadSize(0, size) for thread, size in event.sizes.items()},
        rollbacks=(*session.rollbacks, event.id)[-ROLLBACKS_REMEMBERED:],
    )
