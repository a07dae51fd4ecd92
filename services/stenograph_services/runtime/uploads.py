"""Uploads: large results as workers store them, in a stream of their tenant's own, until the log refers to them.

    UPLOADS_acme    upload.acme.get-account.<session>.<call>.<attempt>.<sha256>.0

The size of the stream is the tenant's quota: the server refuses what goes beyond it, and no other tenant notices. What
a recorded result refers to is copied to BLOB first and let go here; what none ever refers to goes with its age.
"""

from typing import Any, NamedTuple

from nats.aio.client import Client

from stenograph_events import checked_id
from stenograph_events.subjects import AnswerSubject, upload_subject, uploads_filter
from stenograph_events.values import BlobRef
from stenograph_services.runtime.batches import BatchReader
from stenograph_services.runtime.blobs import BlobMissing, Blobs, Place, opened, place_of, read_chunks
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.jetstream import NOT_FOUND, JetStreamError, api
from stenograph_services.runtime.sealing.data_key import DataKey
from stenograph_services.runtime.streams import QUOTA, UPLOADS, declare_stream, uploads_stream


class Quota(NamedTuple):
    """How many bytes the workers of a tenant may have uploaded at once, who said so, and how many there are."""

    room: int
    own: bool
    used: int


class Uploaded(NamedTuple):
    """A large result: its value, where it belongs in BLOB, and its chunks, none if they are there already."""

    value: bytes
    place: Place
    chunks: list[bytes]


class Uploads:
    """Reads what workers uploaded, keeps it, and lets it go."""

    def __init__(self, nc: Client) -> None:
        self._nc = nc
        self._blobs = Blobs(nc)
        self._batches = BatchReader(nc)

    async def read(self, at: AnswerSubject, ref: BlobRef, *, key: DataKey | None) -> Uploaded:
        """Return what the answer at `at` refers to; raise `BlobMissing` if it is nowhere, or not what `ref` says.

        It is in BLOB alone if its answer was delivered before, or if no worker but a service stored it.
        """
        place = place_of(ref, key)
        subjects = [upload_subject(at, place.name, i) for i in range(place.chunks)]
        found = await read_chunks(self._nc, self._batches, _name(at.tenant), subjects)
        chunks = [found.get(subject, b"") for subject in subjects]
        try:
            return Uploaded(opened(b"".join(chunks), ref, place, key), place, chunks)
        except BlobMissing:
            [value] = await self._blobs.get(at.tenant, [ref], key=key)
            return Uploaded(value, place, [])

    async def keep(self, tenant: str, uploaded: Uploaded) -> None:
        """Store in BLOB what is about to be referred to. Calling again is safe and stores nothing twice."""
        await self._blobs.keep(tenant, uploaded.place, uploaded.chunks)

    async def let_go(self, at: AnswerSubject) -> None:
        """Give the tenant back the room of all that was uploaded for one attempt of a call."""
        try:
            await api(self._nc, f"STREAM.PURGE.{_name(at.tenant)}", {"filter": uploads_filter(at)})
        except JetStreamError as error:
            if error.code not in NOT_FOUND:
                raise


async def quota_of(nc: Client, tenant: str) -> Quota | None:
    """Return the quota of `tenant`, None if none of its workers ever registered, and nobody set one."""
    found = await _stored(nc, tenant)
    if found is None:
        return None
    config = found["config"]
    return Quota(config["max_bytes"], config.get("metadata", {}).get(QUOTA) == "own", found["state"]["bytes"])


async def declare_uploads(nc: Client, settings: Settings, tenant: str) -> int:
    """Make the stream of a tenant exist; return its quota: its own, or that of the settings."""
    known = await quota_of(nc, tenant)
    stream = uploads_stream(settings, tenant, known.room if known and known.own else None)
    await declare_stream(nc, stream)
    room: int = stream.config["max_bytes"]
    return room


async def set_quota(nc: Client, settings: Settings, tenant: str, room: int | None) -> None:
    """Give a tenant a quota of its own, or, with None, that of the settings again. What is there stays."""
    wanted = uploads_stream(settings, tenant, room)
    found = await _stored(nc, tenant)
    if found is None:
        await declare_stream(nc, wanted)
        return
    sizes = {key: wanted.config[key] for key in ("max_bytes", "max_msgs", "metadata")}  # all else is the gateway's
    await api(nc, f"STREAM.UPDATE.{wanted.name}", found["config"] | sizes)


async def drop_uploads(nc: Client, tenant: str) -> None:
    """Delete the stream of a tenant that is gone: the server sets aside what it may take for as long as it is there."""
    try:
        await api(nc, f"STREAM.DELETE.{_name(tenant)}")
    except JetStreamError as error:
        if error.code not in NOT_FOUND:
            raise


async def _stored(nc: Client, tenant: str) -> dict[str, Any] | None:
    try:
        return await api(nc, f"STREAM.INFO.{_name(tenant)}")
    except JetStreamError as error:
        if error.code not in NOT_FOUND:
            raise
        return None


def _name(tenant: str) -> str:
    return f"{UPLOADS}_{checked_id(tenant, 'tenant')}"
