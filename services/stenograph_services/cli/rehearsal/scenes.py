"""Sessions in memory: their logs, and what follows from these by the real folds."""

from typing import NamedTuple

from stenograph_events import EMPTY, Head, StoredEvent, follow
from stenograph_events.types import ToolRequested, TurnFinished
from stenograph_projections import session as sessions
from stenograph_projections.session import PendingCall, Session
from stenograph_projections.threads import Threads
from stenograph_projections.transcript import Entry, entry_of
from stenograph_services.orchestrator.models.request import ModelRequest
from stenograph_services.protocol.agent import Agent


class Recorded(NamedTuple):
    """An event as it lies in the log. `sequence` counts over all sessions of a rehearsal, from 1."""

    sequence: int
    event: StoredEvent
    data: bytes
    asked: ModelRequest | None = None
    """The question that the event answers, where a model was asked on this stage."""


Log = list[Recorded]
"""The events of a session and of its child agents' sessions, in the order in which they happened."""


class Scene:
    """One session: where its log stands, and what follows from it."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.head: Head = EMPTY
        self.folded: Session | None = None
        self.entries: list[Entry] = []
        self.threads = Threads(self.entries)
        self.requests: dict[str, ToolRequested] = {}
        """The last request of each call."""
        self.end: TurnFinished | None = None
        """The end of the turn that answers a parent's call."""

    @property
    def state(self) -> Session:
        """The session as folded; only a scene that holds no event yet has none."""
        assert self.folded is not None, "a scene begins with session.created"
        return self.folded

    @property
    def id(self) -> str:
        return self.state.session

    @property
    def open_calls(self) -> list[PendingCall]:
        """The calls that the session waits for, in the order in which they were asked for."""
        turn = self.state.turn
        return [call for call in turn.calls if call.status == "open"] if turn else []

    def fold(self, recorded: Recorded) -> None:
        """Move on by one event; raise `BrokenChain` if it does not follow."""
        event = recorded.event
        self.head = follow(self.head, event, recorded.data, recorded.sequence)
        self.folded = sessions.apply(self.folded, event)
        if entry := entry_of(event):
            self.entries.append(entry)
        if isinstance(event, ToolRequested):
            self.requests[event.call] = event
        elif isinstance(event, TurnFinished) and event.parent is not None:
            self.end = event
