"""Blobs: values over 256 KiB, content-addressed, in chunks of 512 KiB on `blob.<tenant>.<sha256>.<i>`.

Storing the same bytes twice stores them once. What is read back is checked against its hash. What belongs to a sealed
session is sealed with its data key, and lies under a name that only this key tells.
"""

from hashlib import sha256
from typing import NamedTuple

from nats.aio.client import Client

from stenograph_events.subjects import blob_subject
from stenograph_events.values import BlobRef
from stenograph_services.runtime.batches import BatchReader
from stenograph_services.runtime.errors import StenographError
from stenograph_services.runtime.jetstream import WRONG_LAST_SEQUENCE, JetStreamError, publish
from stenograph_services.runtime.sealing.data_key import OVERHEAD_BYTES, DataKey, WrongSeal
from stenograph_services.runtime.streams import BLOB

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
        self, tenant: str, data: bytes, media_type: str = "application/json", *, key: DataKey | None = None
    ) -> BlobRef:
        """Store `data`, sealed with `key` if there is one, and return where it lies.

        Calling again is safe and stores nothing twice.
        """
        digest = sha256(data).hexdigest()
        if key is None:
            await self._store(tenant, digest, data)
        else:
            name = key.blob_name(digest)
            await self._store(tenant, name, key.close_blob(data, name))
        return BlobRef(digest, len(data), media_type, sealed=key is not None)

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
                if error.code not in WRONG_LAST_SEQUENCE:  # otherwise the very same bytes are there
                    raise


def _place(ref: BlobRef, key: DataKey | None) -> _Place:
    if not ref.sealed:
        return _Place(ref.sha256, ref.size)
    if key is None:
        raise BlobMissing(f"blob {ref.sha256} of {ref.size} bytes is sealed, and its session has no data key")
    return _Place(key.blob_name(ref.sha256), ref.size + OVERHEAD_BYTES)


def _chunks(tenant: str, place: _Place) -> list[str]:
    return [blob_subject(tenant, place.name, i) for i in range(max(1, -(-place.size // CHUNK_BYTES)))]


def _opened(data: bytes, ref: BlobRef, place: _Place, key: DataKey | None) -> bytes:
    missing = f"blob {ref.sha256} of {ref.size} bytes is missing or damaged"
    if ref.sealed and key is not None:
        try:
            data = key.open_blob(data, place.name)
        except WrongSeal as error:
            raise BlobMissing(missing) from error
    if sha256(data).hexdigest() != ref.sha256:
        raise BlobMissing(missing)
    return data
