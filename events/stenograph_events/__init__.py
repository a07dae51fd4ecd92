"""The facts of Stenograph and their bytes: event types, codec, subjects, ids, hash chain, frames.

Start at `types` (what may happen), then `chain` (how events hang together) and `subjects` (where they travel).
"""

from stenograph_events.chain import EMPTY, Head, follow, seal
from stenograph_events.codec import EVENT_TYPES, StoredEvent, decode, encode, one_line, type_of
from stenograph_events.errors import BrokenChain, EventError, InvalidId, InvalidSubject, UndecodableEvent
from stenograph_events.ids import (
    DEFAULT_TENANT,
    SHARDS,
    CallId,
    EventId,
    SessionId,
    TenantId,
    TurnId,
    call_id,
    cancel_id,
    checked_id,
    child_session_id,
    derived_id,
    new_id,
    new_session_id,
    outcome_id,
    raise_id,
    shard_of,
    turn_id,
)
from stenograph_events.types import AnyEvent, Event, ToolOutcome, UnknownEvent, class_of

__all__ = [
    "DEFAULT_TENANT",
    "EMPTY",
    "EVENT_TYPES",
    "SHARDS",
    "AnyEvent",
    "BrokenChain",
    "CallId",
    "Event",
    "EventError",
    "EventId",
    "Head",
    "InvalidId",
    "InvalidSubject",
    "SessionId",
    "StoredEvent",
    "TenantId",
    "ToolOutcome",
    "TurnId",
    "UndecodableEvent",
    "UnknownEvent",
    "call_id",
    "cancel_id",
    "checked_id",
    "child_session_id",
    "class_of",
    "decode",
    "derived_id",
    "encode",
    "follow",
    "new_id",
    "new_session_id",
    "one_line",
    "outcome_id",
    "raise_id",
    "seal",
    "shard_of",
    "turn_id",
    "type_of",
]
