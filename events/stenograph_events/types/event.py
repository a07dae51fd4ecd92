"""What every event has, and what stands in for one of a type that a later version added."""

from datetime import datetime
from typing import ClassVar, Literal

import msgspec

from stenograph_events.ids import EventId, SessionId, TenantId, TurnId

EventClass = Literal[
    "session",
    "turn",
    "child-end",
    "message",
    "tool-request",
    "client-request",
    "child-request",
    "tool-result",
    "tool-closed",
    "approval",
]


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """What every event has. `n` and `prev` are filled in when it is appended."""

    event_class: ClassVar[EventClass]

    id: EventId
    n: int = 0
    prev: str = ""
    at: datetime
    tenant: TenantId
    session: SessionId
    turn: TurnId | None = None
    cause: EventId | None = None


class UnknownEvent(Event, frozen=True, kw_only=True, tag="stenograph.unknown"):
    """An event of a type that a later version added. It folds to no change and stops a writer from deciding."""

    unknown_type: str = ""
