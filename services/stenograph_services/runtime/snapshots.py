"""Snapshots in the bucket SNAP, their segments in BLOB. A cache: what cannot be used is read from the log instead.

sealed <nonce, ciphertext and tag>      of a sealed session; its segments are sealed blobs
"""

from typing import NamedTuple

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError

from stenograph_events.subjects import bucket_subject, snapshot_key
from stenograph_events.values import BlobRef
from stenograph_projections.snapshot import Segment, Snapshot, SnapshotFold, decode, decode_segment
from stenograph_projections.transcript import Entry
from stenograph_services.runtime.blobs import SESSION, BlobMissing, Blobs
from stenograph_services.runtime.errors import KeyMissing
from stenograph_services.runtime.jetstream import JetStreamError, publish
from stenograph_services.runtime.sealing import Seals
from stenograph_services.runtime.sealing.data_key import DataKey, WrongSeal

log = structlog.get_logger()

_SEALED = b"sealed "


class Restored(NamedTuple):
    """A snapshot, and the whole transcript up to it if that was asked for."""

    snapshot: Snapshot
    entries: list[Entry]


class Snapshots:
    """Reads and writes the snapshots of sessions. Without `seals` those of sealed sessions cannot be used."""

    def __init__(self, nc: Client, seals: Seals | None = None) -> None:
        self._nc = nc
        self._seals = seals
        self._blobs = Blobs(nc)

    async def read(self, tenant: str, session: str, *, transcript: bool) -> Restored | None:
        """Return the session's last snapshot, or None if there is none that this version can use."""
        try:
            data = await self.plain(tenant, session)
            snapshot = decode(data) if data else None
            if snapshot is None:
                return None
            entries = await self._entries(tenant, session, snapshot) if transcript else []
        except (NatsError, JetStreamError, BlobMissing, KeyMissing, WrongSeal) as error:
            log.warning("snapshot.unusable", session=session, error=str(error))
            return None
        return Restored(snapshot, entries)

    async def write(self, tenant: str, session: str, fold: SnapshotFold) -> bytes:
        """Store the segments that became full, then the snapshot that names them; return its bytes, not sealed.

        Raises `KeyMissing`.
        """
        key = await self._key(tenant, session)
        while fold.full:
            await self._blobs.put(tenant, fold.full[0][1], key=key)
            fold.full.pop(0)
        data = fold.encode()
        stored = data if key is None else _SEALED + key.close(data, _about(tenant, session))
        await publish(self._nc, _subject(tenant, session), stored)
        return data

    async def plain(self, tenant: str, session: str) -> bytes | None:
        """Return the bytes of the session's snapshot, opened; None if there is none.

        Raises `KeyMissing` or `WrongSeal` if it cannot be opened.
        """
        data = await self._stored(tenant, session)
        key = await self._key(tenant, session)
        if data is None or key is None:
            return data
        if data.startswith(_SEALED):
            return key.open(data.removeprefix(_SEALED), _about(tenant, session))
        return None if key.whole else data  # in clear it is none of ours, or from before the session was sealed

    async def _stored(self, tenant: str, session: str) -> bytes | None:
        message = await self._nc.request(f"$JS.API.DIRECT.GET.KV_SNAP.{_subject(tenant, session)}", timeout=5)
        if message.headers and message.headers.get("Status"):
            return None
        return message.data

    async def _key(self, tenant: str, session: str) -> DataKey | None:
        return await self._seals.known(tenant, session) if self._seals else None

    async def _entries(self, tenant: str, session: str, snapshot: Snapshot) -> list[Entry]:
        pieces = await self._segments(tenant, snapshot.segments, await self._key(tenant, session))
        entries: list[Entry] = []
        for segment, data in zip(snapshot.segments, pieces, strict=True):
            entries.extend(decode_segment(segment, data) or ())
        return entries + list(snapshot.tail)

    async def _segments(self, tenant: str, segments: tuple[Segment, ...], key: DataKey | None) -> list[bytes]:
        try:
            return await self._blobs.get(tenant, [_ref(segment, key is not None) for segment in segments], key=key)
        except BlobMissing:
            if key is None or key.whole:
                raise
        return [await self._older_segment(tenant, segment, key) for segment in segments]

    async def _older_segment(self, tenant: str, segment: Segment, key: DataKey) -> bytes:
        """Return a segment of a session that was sealed when some of them were stored already."""
        try:
            return (await self._blobs.get(tenant, [_ref(segment, True)], key=key))[0]
        except BlobMissing:
            return (await self._blobs.get(tenant, [_ref(segment, False)]))[0]


def _subject(tenant: str, session: str) -> str:
    return bucket_subject("SNAP", snapshot_key(tenant, session))


def _about(tenant: str, session: str) -> str:
    return f"snapshot/{tenant}/{session}"


def _ref(segment: Segment, sealed: bool) -> BlobRef:
    return BlobRef(segment.sha256, segment.size, sealed=SESSION if sealed else None)
