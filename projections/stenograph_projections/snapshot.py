"""The snapshot: every projection of a session at one event, as bytes. A cache, always safe to delete.

    <sha-256 of the rest>
    {"schema":8,"head":[214,12,"<sha-256>"],"session":{…},"usage":{…},"segments":[["<sha-256>",131544,402]],"tail":[…]}

The transcript grows with the log, so it is cut into segments: a full segment is stored once, content-addressed, and
never written again; only the tail travels with the snapshot. Where a segment ends follows from the log alone, so two
projectors write the same bytes.
"""

from hashlib import sha256

import msgspec
from msgspec import Raw

from stenograph_events import EMPTY, Head, StoredEvent, follow
from stenograph_projections import session as sessions
from stenograph_projections import usage as usages
from stenograph_projections.session import Session
from stenograph_projections.transcript import Entry, entry_of
from stenograph_projections.usage import UsageByModel

SCHEMA = 8
"""Raised whenever a projection changes its meaning or its bytes: an older snapshot is then not used."""

SEGMENT_BYTES = 128 * 1024  # a tail is written again with each snapshot; a segment costs a read at each restore


class Segment(msgspec.Struct, frozen=True, array_like=True):
    """A full piece of the transcript: the hash and size of its bytes, and how many entries they hold."""

    sha256: str
    size: int
    entries: int


class _Stored(msgspec.Struct, frozen=True):
    schema: int
    head: Head
    session: Session
    usage: UsageByModel
    segments: tuple[Segment, ...]
    tail: Raw


class Snapshot(msgspec.Struct, frozen=True):
    """What a stored snapshot holds. The entries of `segments` come before those of `tail`."""

    head: Head
    session: Session
    usage: UsageByModel
    segments: tuple[Segment, ...]
    tail: tuple[Entry, ...]


_schema = msgspec.json.Decoder(msgspec.defstruct("_Schema", [("schema", int, 0)]))
_stored = msgspec.json.Decoder(_Stored)
_entries = msgspec.json.Decoder(tuple[Entry, ...])
_encoder = msgspec.json.Encoder()


def decode(data: bytes) -> Snapshot | None:
    """Return the snapshot that `data` holds, or None if it is damaged or of another schema: fold the log instead."""
    digest, _, body = data.partition(b"\n")
    if digest != _digest(body):
        return None
    try:
        if getattr(_schema.decode(body), "schema", 0) != SCHEMA:
            return None
        stored = _stored.decode(body)
        return Snapshot(stored.head, stored.session, stored.usage, stored.segments, _entries.decode(stored.tail))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def decode_segment(segment: Segment, data: bytes) -> tuple[Entry, ...] | None:
    """Return the entries of `segment`, or None if `data` is not what its hash says."""
    if sha256(data).hexdigest() != segment.sha256:
        return None
    return _entries.decode(data)


def _digest(body: bytes) -> bytes:
    return sha256(body).hexdigest().encode()


class SnapshotFold:
    """The projections of one session, folded forward event by event, with each transcript entry encoded once."""

    def __init__(self, start: Snapshot | None = None) -> None:
        self.head: Head = start.head if start else EMPTY
        self.session: Session | None = start.session if start else None
        self.usage: UsageByModel = start.usage if start else {}
        self.segments: list[Segment] = list(start.segments) if start else []
        self.full: list[tuple[Segment, bytes]] = []
        """Segments that became full and were not taken yet: store them before the snapshot that names them."""
        self._tail = [_encoder.encode(entry) for entry in start.tail] if start else []
        self._tail_bytes = sum(map(len, self._tail))

    def apply(self, event: StoredEvent, data: bytes, sequence: int) -> None:
        """Fold in the next event, stored as `data` at `sequence`; raise `BrokenChain` if it does not follow."""
        head = follow(self.head, event, data, sequence)
        self.session = sessions.apply(self.session, event)
        self.usage = usages.apply(self.usage, event)
        self.head = head
        if entry := entry_of(event):
            self._add(entry)

    def encode(self) -> bytes:
        """Return the bytes of the snapshot as it stands. Two folds of the same log give the same bytes."""
        assert self.session is not None, "a log without events has no snapshot"
        tail = Raw(b"[" + b",".join(self._tail) + b"]")
        stored = _Stored(SCHEMA, self.head, self.session, self.usage, tuple(self.segments), tail)
        body = _encoder.encode(stored)
        return _digest(body) + b"\n" + body

    def _add(self, entry: Entry) -> None:
        encoded = _encoder.encode(entry)
        self._tail.append(encoded)
        self._tail_bytes += len(encoded) + 1
        if self._tail_bytes >= SEGMENT_BYTES:
            data = b"[" + b",".join(self._tail) + b"]"
            segment = Segment(sha256(data).hexdigest(), len(data), len(self._tail))
            self.segments.append(segment)
            self.full.append((segment, data))
            self._tail, self._tail_bytes = [], 0
