"""The hash chain: each event counts on from the one before it and names the SHA-256 of its bytes.

Loss, reordering, tampering and a truncated disk show at the next fold, whatever the store says.
"""

from hashlib import sha256
from typing import TypeVar

import msgspec

from stenograph_events.codec import StoredEvent, encode
from stenograph_events.errors import BrokenChain
from stenograph_events.sealing import Header
from stenograph_events.types import Event

E = TypeVar("E", bound=Event)


class Head(msgspec.Struct, frozen=True, array_like=True):
    """Where a log stands: the last event's stream sequence (the fence), its number, and the hash of its bytes."""

    sequence: int = 0
    n: int = 0
    hash: str = ""


EMPTY = Head()


def seal(event: E, head: Head) -> tuple[E, bytes]:
    """Return `event` as the next one after `head`, and its bytes."""
    sealed = msgspec.structs.replace(event, n=head.n + 1, prev=head.hash)
    return sealed, encode(sealed)


def digest(data: bytes) -> str:
    """Return the hash by which the next event names `data`."""
    return sha256(data).hexdigest()


def follow(head: Head, event: StoredEvent, data: bytes, sequence: int) -> Head:
    """Return the head after `event`, stored as `data` at `sequence`; raise `BrokenChain` if it does not follow."""
    return follow_hash(head, event, digest(data), sequence)


def follow_hash(head: Head, event: Event | Header, hashed: str, sequence: int) -> Head:
    """Return the head after `event`, whose stored bytes have this hash; raise `BrokenChain` if it does not follow."""
    if event.n != head.n + 1:
        raise BrokenChain(event.session, head.n + 1, f"the stored event has the number {event.n}")
    if event.prev != head.hash:
        raise BrokenChain(event.session, event.n, f"event {head.n} is not the one that it was written after")
    return Head(sequence, event.n, hashed)
