"""Snapshots in the bucket SNAP, their segments in BLOB. A cache: what cannot be used is read from the log instead."""

from typing import NamedTuple

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError

from stenograph_events.subjects import bucket_subject, snapshot_key
from stenograph_events.values import BlobRef
from stenograph_projections.snapshot import Segment, Snapshot, SnapshotFold, decode, decode_segment
from stenograph_projections.transcript import Entry
from stenograph_services.runtime.blobs import BlobMissing, Blobs
from stenograph_services.runtime.jetstream import JetStreamError, publish

log = structlog.get_logger()


class Restored(NamedTuple):
    """A snapshot, and the whole transcript up to it if that was asked for."""

    snapshot: Snapshot
    entries: list[Entry]


class Snapshots:
    """Reads and writes the snapshots of sessions."""

    def __init__(self, nc: Client) -> None:
        self._nc = nc
        self._blobs = Blobs(nc)

    async def read(self, tenant: str, session: str, *, transcript: bool) -> Restored | None:
        """Return the session's last snapshot, or None if there is none that this version can use."""
        try:
            data = await self._stored(tenant, session)
            snapshot = decode(data) if data else None
            if snapshot is None:
                return None
            entries = await self._entries(tenant, snapshot) if transcript else []
        except (NatsError, JetStreamError, BlobMissing) as error:
            log.warning("snapshot.unusable", session=session, error=str(error))
            return None
        return Restored(snapshot, entries)

    async def write(self, tenant: str, session: str, fold: SnapshotFold) -> bytes:
        """Store the segments that became full, then the snapshot that names them; return its bytes."""
        while fold.full:
            await self._blobs.put(tenant, fold.full[0][1])
            fold.full.pop(0)
        data = fold.encode()
        await publish(self._nc, _subject(tenant, session), data)
        return data

    async def _stored(self, tenant: str, session: str) -> bytes | None:
        message = await self._nc.request(f"$JS.API.DIRECT.GET.KV_SNAP.{_subject(tenant, session)}", timeout=5)
        if message.headers and message.headers.get("Status"):
            return None
        return message.data

    async def _entries(self, tenant: str, snapshot: Snapshot) -> list[Entry]:
        pieces = await self._blobs.get(tenant, [_ref(segment) for segment in snapshot.segments])
        entries: list[Entry] = []
        for segment, data in zip(snapshot.segments, pieces, strict=True):
            entries.extend(decode_segment(segment, data) or ())
        return entries + list(snapshot.tail)


def _subject(tenant: str, session: str) -> str:
    return bucket_subject("SNAP", snapshot_key(tenant, session))


def _ref(segment: Segment) -> BlobRef:
    return BlobRef(segment.sha256, segment.size)
