"""Class `session`: that a session exists, and what becomes of it as a whole."""

from msgspec import Raw

from stenograph_events.types.event import Event
from stenograph_events.values import EMPTY_OBJECT, Parent, RestoredMessage


class SessionCreated(Event, frozen=True, kw_only=True, tag="session.created"):
    """A session exists, pinned to one version of its agent. Always event 1. `parent`: it is a child agent's.

    `agent` is the agent's slug, which another agent may have later; `agent_id` is its own for ever.
    """

    event_class = "session"
    agent: str
    agent_version: str
    agent_id: str | None = None
    input: Raw = EMPTY_OBJECT
    parent: Parent | None = None


class SessionExpired(Event, frozen=True, kw_only=True, tag="session.expired"):
    """Nothing happened in the session for `idle_seconds`: it takes no trigger until it is restored. All is kept."""

    event_class = "session"
    idle_seconds: float


class SessionRestored(Event, frozen=True, kw_only=True, tag="session.restored"):
    """An expired or cleared session takes triggers again.

    A client submits the messages that it has: `submitted` counts them, `differing` those that are not what this log
    holds. Where that was cleared, `messages` are what goes on from here: the ones that the client brought back.
    """

    event_class = "session"
    submitted: int = 0
    differing: int = 0
    messages: tuple[RestoredMessage, ...] = ()


class SessionCleared(Event, frozen=True, kw_only=True, tag="session.cleared"):
    """Somebody wants the conversation gone: no view shows its messages, variables and resources any more.

    The log keeps them. The session takes no trigger until it is restored.
    """

    event_class = "session"
