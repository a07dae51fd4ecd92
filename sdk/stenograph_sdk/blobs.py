"""Large results: chunks on `upload.<tenant>.<tool>.<session>.<call>.<attempt>.<sha256>.<i>`, and a reference to them in
the answer.
"""

from hashlib import sha256

from nats.js import JetStreamContext

from stenograph_events.boxes import AnswerKey, answer_of
from stenograph_events.subjects import AnswerSubject, upload_subject
from stenograph_events.values import BlobRef
from stenograph_sdk.errors import AlreadyWritten, StoreFull, UploadQuotaUsed
from stenograph_sdk.storing import ONLY_FIRST, store

CHUNK_BYTES = 512 * 1024
FULL_SECONDS = 5.0  # while results of other calls are recorded, there is room again in a moment


async def upload(
    jetstream: JetStreamContext,
    at: AnswerSubject,
    body: bytes,
    timeout: float,
    *,
    quota: int,
    key: AnswerKey | None = None,
) -> BlobRef:
    """Store `body`, the result that is answered at `at`, and return its reference; with `key` it is sealed.

    The address is the content's, so storing it again changes nothing. Raises `UploadQuotaUsed` if all that the workers
    of the tenant have uploaded leaves no room of its `quota`.
    """
    digest = sha256(body).hexdigest()
    name = key.blob_name(digest) if key else digest
    stored = key.close_blob(body, name) if key else body
    if len(stored) > quota:
        raise UploadQuotaUsed(len(body), quota)
    for i, start in enumerate(range(0, len(stored), CHUNK_BYTES)):
        chunk = stored[start : start + CHUNK_BYTES]
        try:
            await store(
                jetstream,
                upload_subject(at, name, i),
                chunk,
                what="a large result",
                timeout=timeout,
                headers=ONLY_FIRST,
                full=FULL_SECONDS,
            )
        except AlreadyWritten:
            continue  # the same bytes, from an earlier try
        except StoreFull as error:
            raise UploadQuotaUsed(len(body), quota) from error
    return BlobRef(digest, len(body), sealed=answer_of(at.call, at.attempt) if key else None)
