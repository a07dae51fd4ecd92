"""Blobs: values over 256 KiB, content-addressed, in chunks of 512 KiB on `blob.<tenant>.<sha256>.<i>`.

Storing the same bytes twice stores them once. What is read back is checked against its hash. What belongs to a sealed
session is sealed with its data key, and lies under a name that only this key tells.
"""

from hashlib import sha256
from typing import NamedTuple

from nats.aio.client import Client

from stenograph_events.boxes import BLOB_OVERHEAD_BYTES, Unboxable
from stenograph_events.subjects import blob_subject
from stenograph_events.values import BlobRef
from stenograph_services.runtime.batches import BatchReader
from stenograph_services.runtime.errors import StenographError
from stenograph_services.runtime.jetstream import ALREADY_STORED, WRONG_LAST_SEQUENCE, JetStreamError, publish
from stenograph_services.runtime.sealing.data_key import OVERHEAD_BYTES, DataKey, WrongSeal
from stenograph_services.runtime.streams import BLOB

SESSION = "session"
CHUNK_BYTES = 512 * 1024  # half of the server's max_payload; larger messages hurt everybody on the connection


class BlobMissing(StenographError):
    """A blob that something points to is not stored, or not what its hash says."""


class _Place(NamedTuple):
    """Where a blob lies, and how many bytes of it."""

    name: str
    size: int


class Blobs:
    """Stores and reads blobs."""

    def __init__(self, nc: Client) -> None:
        self._nc = nc
        self._batches = BatchReader(nc)

    async def put(
        self,
        tenant: str,
        data: bytes,
        media_type: str = "application/json",
        *,
        key: DataKey | None = None,
        sealed_as: str = SESSION,
    ) -> BlobRef:
        """Store `data`, sealed `sealed_as` what `BlobRef` says if its session has a `key`, and return where it lies.

        Calling again is safe and stores nothing twice.
        """
        ref = BlobRef(sha256(data).hexdigest(), len(data), media_type, sealed=None if key is None else sealed_as)
        place = _place(ref, key)
        await self._store(tenant, place.name, _closed(data, ref, place, key))
        return ref

    async def get(self, tenant: str, refs: list[BlobRef], *, key: DataKey | None = None) -> list[bytes]:
        """Return the bytes of each of `refs`, read in one request; raise `BlobMissing` if one cannot be had.

        `key` is that of the session which they belong to.
        """
        places = [_place(ref, key) for ref in refs]
        subjects = [subject for place in places for subject in _chunks(tenant, place)]
        chunks = await self._batches.read_last(BLOB, subjects) if subjects else {}
        return [
            _opened(b"".join(chunks.get(subject, b"") for subject in _chunks(tenant, place)), ref, place, key)
            for ref, place in zip(refs, places, strict=True)
        ]

    async def _store(self, tenant: str, name: str, data: bytes) -> None:
        for i, start in enumerate(range(0, max(len(data), 1), CHUNK_BYTES)):
            subject = blob_subject(tenant, name, i)
            fence = {"Nats-Expected-Last-Subject-Sequence": "0"}
            try:
                await publish(self._nc, subject, data[start : start + CHUNK_BYTES], fence)
            except JetStreamError as error:
                if error.code not in WRONG_LAST_SEQUENCE | {ALREADY_STORED}:  # otherwise the very same bytes are there
                    raise


def _place(ref: BlobRef, key: DataKey | None) -> _Place:
    if ref.sealed is None:
        return _Place(ref.sha256, ref.size)
    if key is None:
        raise BlobMissing(f"blob {ref.sha256} of {ref.size} bytes is sealed, and its session has no data key")
    if ref.sealed == SESSION:
        return _Place(key.blob_name(ref.sha256), ref.size + OVERHEAD_BYTES)
    return _Place(key.answer_key(ref.sealed).blob_name(ref.sha256), ref.size + BLOB_OVERHEAD_BYTES)


def _chunks(tenant: str, place: _Place) -> list[str]:
    return [blob_subject(tenant, place.name, i) for i in range(max(1, -(-place.size // CHUNK_BYTES)))]


def _closed(data: bytes, ref: BlobRef, place: _Place, key: DataKey | None) -> bytes:
    if ref.sealed is None or key is None:
        return data
    if ref.sealed == SESSION:
        return key.close_blob(data, place.name)
    return key.answer_key(ref.sealed).close_blob(data, place.name)


def _opened(data: bytes, ref: BlobRef, place: _Place, key: DataKey | None) -> bytes:
    missing = f"blob {ref.sha256} of {ref.size} bytes is missing or damaged"
    if ref.sealed is not None and key is not None:
        try:
            answered = ref.sealed != SESSION
            data = key.answer_key(ref.sealed).open_blob(data) if answered else key.open_blob(data, place.name)
        except (WrongSeal, Unboxable) as error:
            raise BlobMissing(missing) from error
    if sha256(data).hexdigest() != ref.sha256:
        raise BlobMissing(missing)
    return data
