"""Blobs: values over 256 KiB, content-addressed, in chunks of 512 KiB on `blob.<tenant>.<sha256>.<i>`.

Storing the same bytes twice stores them once. What is read back is checked against its hash. What belongs to a sealed
session is sealed with its data key, and lies under a name that only this key tells.
"""

import asyncio
import base64
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from nats.aio.client import Client

from stenograph_events.boxes import BLOB_OVERHEAD_BYTES, Unboxable
from stenograph_events.subjects import blob_subject
from stenograph_events.values import BlobRef
from stenograph_services.runtime.batches import BatchReader
from stenograph_services.runtime.errors import StenographError
from stenograph_services.runtime.jetstream import (
    ALREADY_STORED,
    NOT_FOUND,
    UNAVAILABLE,
    WRONG_LAST_SEQUENCE,
    JetStreamError,
    api,
    publish,
)
from stenograph_services.runtime.sealing.data_key import OVERHEAD_BYTES, DataKey, WrongSeal
from stenograph_services.runtime.streams import BLOB

SESSION = "session"
_AT_ONCE = 4  # chunks of one blob on their way
CHUNK_BYTES = 512 * 1024  # half of the server's max_payload; larger messages hurt everybody on the connection


class BlobMissing(StenographError):
    """A blob that something points to is not stored, or not what its hash says."""


class Place(NamedTuple):
    """Where a blob lies, and how many bytes of it."""

    name: str
    size: int

    @property
    def chunks(self) -> int:
        return max(1, -(-self.size // CHUNK_BYTES))


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
        place = place_of(ref, key)
        data = _closed(data, ref, place, key)
        await self.keep(tenant, place, [data[i : i + CHUNK_BYTES] for i in range(0, max(len(data), 1), CHUNK_BYTES)])
        return ref

    async def keep(self, tenant: str, place: Place, chunks: Sequence[bytes]) -> None:
        """Store the `chunks` of what belongs at `place`. Calling again is safe and stores nothing twice."""
        room = asyncio.Semaphore(_AT_ONCE)

        async def store(i: int, chunk: bytes) -> None:
            async with room:
                await self._store(blob_subject(tenant, place.name, i), chunk)

        await asyncio.gather(*(store(i, chunk) for i, chunk in enumerate(chunks)))

    async def get(self, tenant: str, refs: list[BlobRef], *, key: DataKey | None = None) -> list[bytes]:
        """Return the bytes of each of `refs`, read in one request; raise `BlobMissing` if one cannot be had.

        `key` is that of the session which they belong to.
        """
        places = [place_of(ref, key) for ref in refs]
        wanted = [subject for place in places for subject in _subjects(tenant, place)]
        chunks = await read_chunks(self._nc, self._batches, BLOB, wanted)
        return [
            opened(b"".join(chunks.get(subject, b"") for subject in _subjects(tenant, place)), ref, place, key)
            for ref, place in zip(refs, places, strict=True)
        ]

    async def _store(self, subject: str, chunk: bytes) -> None:
        try:
            await publish(self._nc, subject, chunk, {"Nats-Expected-Last-Subject-Sequence": "0"})
        except JetStreamError as error:
            if error.code not in WRONG_LAST_SEQUENCE | {ALREADY_STORED}:  # otherwise the very same bytes are there
                raise


async def read_chunks(nc: Client, batches: BatchReader, stream: str, subjects: Sequence[str]) -> dict[str, bytes]:
    """Return what lies at each of `subjects`: as a replica says, and where that knows nothing, the leader.

    What follows on one that nobody has is left out: without it no blob is whole. Nor is there any without the stream.
    """
    try:
        found = await batches.read_last(stream, subjects) if subjects else {}
    except JetStreamError as error:
        if error.code != UNAVAILABLE:
            raise
        found = {}
    for subject in subjects:
        if subject not in found:
            try:
                answer = await api(nc, f"STREAM.MSG.GET.{stream}", {"last_by_subj": subject})
            except JetStreamError as error:
                if error.code not in NOT_FOUND:
                    raise
                break
            found[subject] = base64.b64decode(answer["message"]["data"])
    return found


def place_of(ref: BlobRef, key: DataKey | None) -> Place:
    """Return where `ref` lies; raise `BlobMissing` if nobody can know."""
    if ref.sealed is None:
        return Place(ref.sha256, ref.size)
    if key is None:
        raise BlobMissing(f"blob {ref.sha256} of {ref.size} bytes is sealed, and its session has no data key")
    if ref.sealed == SESSION:
        return Place(key.blob_name(ref.sha256), ref.size + OVERHEAD_BYTES)
    return Place(key.answer_key(ref.sealed).blob_name(ref.sha256), ref.size + BLOB_OVERHEAD_BYTES)


def _subjects(tenant: str, place: Place) -> list[str]:
    return [blob_subject(tenant, place.name, i) for i in range(place.chunks)]


def _closed(data: bytes, ref: BlobRef, place: Place, key: DataKey | None) -> bytes:
    if ref.sealed is None or key is None:
        return data
    if ref.sealed == SESSION:
        return key.close_blob(data, place.name)
    return key.answer_key(ref.sealed).close_blob(data, place.name)


def opened(data: bytes, ref: BlobRef, place: Place, key: DataKey | None) -> bytes:
    """Return the value of what lies at the place of `ref`; raise `BlobMissing` if it is not what that says."""
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
