"""Large results: chunks on `blob.<tenant>.<sha256>.<i>`, and a reference to them in the answer."""

from hashlib import sha256

from nats.js import JetStreamContext

from stenograph_events import subjects
from stenograph_events.boxes import AnswerKey, answer_of
from stenograph_events.types import ToolRequested
from stenograph_events.values import BlobRef
from stenograph_sdk.errors import AlreadyWritten
from stenograph_sdk.storing import ONLY_FIRST, store

CHUNK_BYTES = 512 * 1024


async def upload(
    jetstream: JetStreamContext, request: ToolRequested, body: bytes, timeout: float, key: AnswerKey | None = None
) -> BlobRef:
    """Store `body`, the result of `request`, and return its reference; with `key` it is sealed.

    The address is the content's, so storing it again changes nothing.
    """
    digest = sha256(body).hexdigest()
    name = key.blob_name(digest) if key else digest
    stored = key.close_blob(body, name) if key else body
    for i, start in enumerate(range(0, len(stored), CHUNK_BYTES)):
        subject = subjects.blob_subject(request.tenant, name, i)
        chunk = stored[start : start + CHUNK_BYTES]
        try:
            await store(jetstream, subject, chunk, what="a large result", timeout=timeout, headers=ONLY_FIRST)
        except AlreadyWritten:
            continue  # the same bytes, from an earlier try
    return BlobRef(digest, len(body), sealed=answer_of(request.call, request.attempt) if key else None)
