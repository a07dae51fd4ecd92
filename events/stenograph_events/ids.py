"""Ids: one rule for all of them, time-ordered for sessions, derived for consequences.

    session   2f0193a5c1d07b6c8e2d4f60718293a4b5      shard token `2f`, then a UUIDv7 in hex
    event     5b3f0c6e-1d0f-5c0e-9d0a-0a3b1c2d3e4f    uuid5(cause, ordinal): whoever derives it derives the same

A fact from outside that no message names (a model's answer) takes a random id instead.
"""

import os
import re
import time
import uuid
from typing import NewType

from stenograph_events.errors import InvalidId

EventId = NewType("EventId", str)
SessionId = NewType("SessionId", str)
TurnId = NewType("TurnId", str)
CallId = NewType("CallId", str)
TenantId = NewType("TenantId", str)

DEFAULT_TENANT = TenantId("default")

SHARDS = tuple(f"{number:02x}" for number in range(64))
"""The shard tokens. A session keeps its token for life, because moving it would reset its fence."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NAMESPACE = uuid.UUID("6f0c9d2e-3f0b-5e57-8c58-1b8d7d2f5a90")


def checked_id(value: str, kind: str = "id") -> str:
    """Return `value` if it may enter a subject; raise `InvalidId` otherwise.

    The server stores literal `*` and `>`, and a dot adds a token, so nothing else may decide this.
    """
    if not _ID.fullmatch(value):
        raise InvalidId(kind, value)
    return value


def new_session_id(shard: str | None = None) -> SessionId:
    """Return a fresh session id: its shard token, then a UUIDv7 (RFC 9562) in hex, so ids sort by creation time."""
    random = int.from_bytes(os.urandom(10))
    milliseconds = time.time_ns() // 1_000_000
    bits = (
        (milliseconds & (1 << 48) - 1) << 80 | 7 << 76 | (random >> 62 & 0xFFF) << 64 | 2 << 62 | random & (1 << 62) - 1
    )
    return SessionId((shard or SHARDS[os.urandom(1)[0] % len(SHARDS)]) + f"{bits:032x}")


def shard_of(session: str) -> str:
    """Return the shard token that `session` was created with: the first two characters of its id."""
    if session[:2] not in _SHARDS:
        raise InvalidId("session", session)
    return session[:2]


_SHARDS = frozenset(SHARDS)


def new_id() -> EventId:
    """Return a random id, for a fact from outside that nothing in the log names."""
    return EventId(str(uuid.uuid4()))


def derived_id(cause: str, ordinal: int | str = 0) -> EventId:
    """Return the id of consequence `ordinal` of `cause`."""
    return EventId(str(uuid.uuid5(_NAMESPACE, f"{cause}/{ordinal}")))


def turn_id(session: str, request: str) -> TurnId:
    """Return the id of the turn that trigger `request` starts, so that its sender can follow and cancel it."""
    return TurnId(derived_id(session, f"turn/{request}"))


def outcome_id(turn: str) -> EventId:
    """Return the id of the event that answers the trigger of `turn`: started, queued or rejected."""
    return derived_id(turn, "outcome")


def cancel_id(turn: str) -> EventId:
    """Return the id of the event that records the cancel of `turn`."""
    return derived_id(turn, "cancel")


def raise_id(session: str, request: str) -> EventId:
    """Return the id of the event that records a raised budget."""
    return derived_id(session, f"raise/{request}")


def decision_id(session: str, request: str) -> EventId:
    """Return the id of the event that records what a person decided on a call."""
    return derived_id(session, f"approve/{request}")


def resolution_id(session: str, request: str) -> EventId:
    """Return the id of the event that records what a person says came of a call."""
    return derived_id(session, f"resolve/{request}")


def expiry_id(session: str, n: int) -> EventId:
    """Return the id of the event that records the expiry of a session that stands at event `n`."""
    return derived_id(session, f"expire/{n}")


def restore_id(session: str, request: str) -> EventId:
    """Return the id of the event that records a restore."""
    return derived_id(session, f"restore/{request}")


def clear_id(session: str, request: str) -> EventId:
    """Return the id of the event that records a clear."""
    return derived_id(session, f"clear/{request}")


def rollback_id(session: str, request: str) -> EventId:
    """Return the id of the event that records a rollback: of a request, or of the turn that starts after it."""
    return derived_id(session, f"rollback/{request}")


def call_id(message: str, ordinal: int) -> CallId:
    """Return the id of the `ordinal`-th call that event `message` asks for; short enough for every provider."""
    return CallId(derived_id(message, f"call/{ordinal}").replace("-", ""))


def check_call_id(call: str, attempt: int) -> CallId:
    """Return the id of the call that is to find out what came of an attempt of `call`."""
    return CallId(derived_id(call, f"check/{attempt}").replace("-", ""))


def child_session_id(call: str) -> SessionId:
    """Return the id of the session in which a child agent answers `call`: whoever derives it derives the same."""
    derived = uuid.uuid5(_NAMESPACE, f"{call}/child")
    return SessionId(SHARDS[derived.int % len(SHARDS)] + derived.hex)


def child_request_id(call: str, attempt: int) -> str:
    """Return the id of the trigger with which a child's turn starts: one for each attempt of the call it answers."""
    return f"{call}-{attempt}"
