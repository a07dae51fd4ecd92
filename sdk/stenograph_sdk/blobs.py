"""Large results: chunks on `blob.<tenant>.<sha256>.<i>`, and a reference to them in the answer."""

from hashlib import sha256

from nats.js import JetStreamContext

from stenograph_events import subjects
from stenograph_events.values import BlobRef
from stenograph_sdk.errors import AlreadyWritten
from stenograph_sdk.storing import ONLY_FIRST, store

CHUNK_BYTES = 512 * 1024


async def upload(jetstream: JetStreamContext, tenant: str, body: bytes, timeout: float) -> BlobRef:
    """Store `body` and return its reference. The address is the content's, so storing it again changes nothing."""
    digest = sha256(body).hexdigest()
    for i, start in enumerate(range(0, len(body), CHUNK_BYTES)):
        subject = subjects.blob_subject(tenant, digest, i)
        chunk = body[start : start + CHUNK_BYTES]
        try:
            await store(jetstream, subject, chunk, what="a large result", timeout=timeout, headers=ONLY_FIRST)
        except AlreadyWritten:
            continue  # the same bytes, from an earlier try
    return BlobRef(digest, len(body))
