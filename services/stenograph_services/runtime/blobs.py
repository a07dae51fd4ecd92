"""Blobs: values over 256 KiB, content-addressed, in chunks of 512 KiB on `blob.<tenant>.<sha256>.<i>`.

Storing the same bytes twice stores them once. What is read back is checked against its hash.
"""

from hashlib import sha256

from nats.aio.client import Client

from stenograph_events.subjects import blob_subject
from stenograph_events.values import BlobRef
from stenograph_services.runtime.batches import BatchReader
from stenograph_services.runtime.errors import StenographError
from stenograph_services.runtime.jetstream import WRONG_LAST_SEQUENCE, JetStreamError, publish
from stenograph_services.runtime.streams import BLOB

CHUNK_BYTES = 512 * 1024  # half of the server's max_payload; larger messages hurt everybody on the connection


class BlobMissing(StenographError):
    """A blob that something points to is not stored, or not what its hash says."""


class Blobs:
    """Stores and reads blobs."""

    def __init__(self, nc: Client) -> None:
        self._nc = nc
        self._batches = BatchReader(nc)

    async def put(self, tenant: str, data: bytes, media_type: str = "application/json") -> BlobRef:
        """Store `data` and return where it lies. Calling again is safe and stores nothing twice."""
        name = sha256(data).hexdigest()
        for i, start in enumerate(range(0, max(len(data), 1), CHUNK_BYTES)):
            subject = blob_subject(tenant, name, i)
            fence = {"Nats-Expected-Last-Subject-Sequence": "0"}
            try:
                await publish(self._nc, subject, data[start : start + CHUNK_BYTES], fence)
            except JetStreamError as error:
                if error.code not in WRONG_LAST_SEQUENCE:  # otherwise the very same bytes are there
                    raise
        return BlobRef(name, len(data), media_type)

    async def get(self, tenant: str, refs: list[BlobRef]) -> list[bytes]:
        """Return the bytes of each of `refs`, read in one request; raise `BlobMissing` if one cannot be had."""
        subjects = [subject for ref in refs for subject in _chunks(tenant, ref)]
        chunks = await self._batches.read_last(BLOB, subjects) if subjects else {}
        return [self._joined(tenant, ref, chunks) for ref in refs]

    def _joined(self, tenant: str, ref: BlobRef, chunks: dict[str, bytes]) -> bytes:
        data = b"".join(chunks.get(subject, b"") for subject in _chunks(tenant, ref))
        if sha256(data).hexdigest() != ref.sha256:
            raise BlobMissing(f"blob {ref.sha256} of {ref.size} bytes is missing or damaged")
        return data


def _chunks(tenant: str, ref: BlobRef) -> list[str]:
    return [blob_subject(tenant, ref.sha256, i) for i in range(max(1, -(-ref.size // CHUNK_BYTES)))]
