"""Uploads on one server and on a cluster: read where they lie, copied once, and bounded by the server."""

from hashlib import sha256

import pytest
from tests.runtime.conftest import Store

from stenograph_events import new_id
from stenograph_events.subjects import AnswerSubject, upload_subject
from stenograph_events.values import BlobRef
from stenograph_services.runtime.blobs import CHUNK_BYTES, BlobMissing, Blobs
from stenograph_services.runtime.jetstream import NO_ROOM, JetStreamError, publish
from stenograph_services.runtime.uploads import Uploads, declare_uploads, quota_of, set_quota

BODY = b"0123456789abcdef" * 100_000  # four chunks


@pytest.fixture
async def at(store: Store) -> AnswerSubject:
    """A call of a tenant whose worker has registered."""
    tenant = f"acme-{new_id()[:8]}"
    await declare_uploads(store.nc, store.settings, tenant)
    return AnswerSubject(tenant, "find", "s1", "c1", 1)


async def upload(store: Store, at: AnswerSubject) -> BlobRef:
    name = sha256(BODY).hexdigest()
    for i, start in enumerate(range(0, len(BODY), CHUNK_BYTES)):
        await publish(store.nc, upload_subject(at, name, i), BODY[start : start + CHUNK_BYTES])
    return BlobRef(name, len(BODY))


async def test_a_result_is_read_at_once_and_again_from_blob_when_its_room_was_given_back(
    store: Store, at: AnswerSubject
):
    """A replica may not know yet what its leader has confirmed."""
    uploads = Uploads(store.nc)
    ref = await upload(store, at)

    first = await uploads.read(at, ref, key=None)
    for _ in range(2):
        await uploads.keep(at.tenant, first)
        await uploads.let_go(at)
    again = await uploads.read(at, ref, key=None)

    assert (first.value, again.value, again.chunks) == (BODY, BODY, [])
    assert await Blobs(store.nc).get(at.tenant, [ref]) == [BODY]


async def test_a_result_of_which_a_part_was_copied_is_read_where_it_was_uploaded(store: Store, at: AnswerSubject):
    uploads = Uploads(store.nc)
    ref = await upload(store, at)
    whole = await uploads.read(at, ref, key=None)
    await uploads.keep(at.tenant, whole._replace(chunks=whole.chunks[:2]))

    await uploads.keep(at.tenant, await uploads.read(at, ref, key=None))

    assert await Blobs(store.nc).get(at.tenant, [ref]) == [BODY]


async def test_what_nobody_uploaded_is_missing_also_where_no_worker_ever_registered(store: Store, at: AnswerSubject):
    nowhere = BlobRef("0" * 64, 5)

    for where in (at, at._replace(tenant="nobody")):
        with pytest.raises(BlobMissing):
            await Uploads(store.nc).read(where, nowhere, key=None)
        await Uploads(store.nc).let_go(where)


async def test_a_full_quota_refuses_with_a_code_of_its_own_and_has_room_again_later(store: Store, at: AnswerSubject):
    await set_quota(store.nc, store.settings, at.tenant, 1_200_000)

    with pytest.raises(JetStreamError, match="maximum bytes exceeded") as refused:
        await upload(store, at)
    await Uploads(store.nc).let_go(at)
    await set_quota(store.nc, store.settings, at.tenant, 2_000_000)
    await upload(store, at)

    assert refused.value.code == NO_ROOM
    known = await quota_of(store.nc, at.tenant)
    assert known is not None
    assert (known.room, known.own) == (2_000_000, True)
    assert known.used > len(BODY)
