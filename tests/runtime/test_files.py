"""Uploaded files: written once, whole or not at all, and read by whoever holds a link."""

import asyncio
import base64
import itertools
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.js.errors import NotFoundError
from tests.runtime.conftest import Store

from stenograph_events.subjects import object_chunks, object_subject
from stenograph_services.accounts.private import write_private
from stenograph_services.runtime.blobs import CHUNK_BYTES
from stenograph_services.runtime.errors import KeyDeleted, KeyMissing
from stenograph_services.runtime.file_links import File, FileLinks, LinkRefused
from stenograph_services.runtime.files import (
    FileDamaged,
    FileMissing,
    FileRefused,
    Files,
    FileTooLarge,
)
from stenograph_services.runtime.jetstream import JetStreamError, api, publish
from stenograph_services.runtime.sealing import Seals
from stenograph_services.runtime.sealing.master_keys import new_key_file, new_line

SIZES = [1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 9 * CHUNK_BYTES + 7]
LINKS = FileLinks(b"a secret of thirty-two characters", "acme")
CAT = File("s-1", "f-1", "cat & dog.png", 12, "image/png")
TOMORROW = datetime.now(UTC) + timedelta(days=1)

_ids = itertools.count()


@pytest.fixture(params=["clear", "sealed"])
def files(store: Store, request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    return sealed_files(store, tmp_path) if request.param == "sealed" else files_of(store)


def files_of(store: Store, tenant: str = "acme", **settings: Any) -> Files:
    return Files(store.nc, tenant, Seals(store.nc, store.settings.model_copy(update=settings)))


def sealed_files(store: Store, directory: Path) -> Files:
    """Files of sealed sessions, each test's with keys of its own: what another one left in the bucket is none of it."""
    keys = directory / "sealing.key"
    write_private(keys, new_key_file())
    return files_of(store, f"acme-{next(_ids)}", sealing=True, sealing_key_file=keys)


def file_of(size: int) -> File:
    return File("s-1", f"f-{next(_ids)}", "cat.png", size, "image/png")


def bytes_of(size: int) -> bytes:
    return (b"0123456789abcde" * (size // 15 + 1))[:size]


async def sent(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def read(files: Files, file: File) -> bytes:
    return b"".join([piece async for piece in files.read(await files.stored(file))])


async def messages(store: Store) -> int:
    return int((await api(store.nc, "STREAM.INFO.OBJ_FILES"))["state"]["messages"])


# ---- stored


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("step", [65_536, 700_001])
async def test_a_file_is_read_as_it_was_sent(files: Files, size: int, step: int):
    file, whole = file_of(size), bytes_of(size)

    await files.put(file, sent(whole[at : at + step] for at in range(0, size, step)))

    assert await read(files, file) == whole


async def test_any_client_of_nats_reads_a_file_from_its_object_store(store: Store):
    files = files_of(store)
    file, whole = file_of(3 * CHUNK_BYTES + 5), bytes_of(3 * CHUNK_BYTES + 5)
    await files.put(file, sent([whole]))

    found = await (await store.nc.jetstream().object_store("FILES")).get(f"acme/s-1/{file.id}")

    assert found.data == whole  # nats-py compared the digest, too
    assert found.info.headers == {"Content-Type": ["image/png"]}


async def test_the_same_bytes_again_change_nothing(store: Store, files: Files):
    file, whole = file_of(CHUNK_BYTES + 1), bytes_of(CHUNK_BYTES + 1)
    first = await files.put(file, sent([whole]))
    before = await messages(store)

    assert (await files.put(file, sent([whole]))).nuid == first.nuid
    assert await messages(store) == before


async def test_a_file_is_never_replaced_by_another(store: Store, files: Files):
    file = file_of(5)
    await files.put(file, sent([b"first"]))
    before = await messages(store)

    with pytest.raises(FileRefused, match="with other bytes"):
        await files.put(file, sent([b"other"]))

    assert await read(files, file) == b"first"
    assert await messages(store) == before


async def test_of_many_uploads_of_one_file_at_once_one_is_kept_and_none_fails(store: Store, files: Files):
    file, whole = file_of(CHUNK_BYTES + 1), bytes_of(CHUNK_BYTES + 1)
    before = await messages(store)

    stored = await asyncio.gather(*(files.put(file, sent([whole])) for _ in range(8)))

    assert len({one.nuid for one in stored}) == 1
    assert await messages(store) == before + 3
    assert await read(files, file) == whole


async def test_what_is_longer_than_announced_is_refused_before_its_end(store: Store, files: Files):
    file, taken, before = file_of(CHUNK_BYTES), itertools.count(), await messages(store)

    async def endless() -> AsyncIterator[bytes]:
        while True:
            next(taken)
            yield bytes(CHUNK_BYTES // 2)

    with pytest.raises(FileTooLarge, match=f"longer than the {CHUNK_BYTES} bytes"):
        await files.put(file, endless())

    assert next(taken) == 3
    assert await messages(store) == before


async def test_what_is_shorter_than_announced_is_refused_and_not_kept(store: Store, files: Files):
    file, before = file_of(2 * CHUNK_BYTES), await messages(store)

    with pytest.raises(FileRefused, match=f"ended after {CHUNK_BYTES} of the {2 * CHUNK_BYTES} bytes"):
        await files.put(file, sent([bytes(CHUNK_BYTES)]))

    assert await messages(store) == before
    with pytest.raises(FileMissing):
        await files.stored(file)


async def test_an_upload_that_breaks_off_leaves_nothing_and_may_begin_anew(store: Store, files: Files):
    file, whole, before = file_of(2 * CHUNK_BYTES), bytes_of(2 * CHUNK_BYTES), await messages(store)

    async def breaking() -> AsyncIterator[bytes]:
        yield whole[:CHUNK_BYTES]
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        await files.put(file, breaking())
    assert await messages(store) == before

    await files.put(file, sent([whole]))
    assert await read(files, file) == whole


async def test_a_file_with_a_piece_missing_is_not_passed_off_as_whole(store: Store, files: Files):
    file = file_of(3 * CHUNK_BYTES)
    stored = await files.put(file, sent([bytes_of(3 * CHUNK_BYTES)]))
    kept = {"filter": object_chunks("FILES", stored.nuid), "keep": 2}
    await api(store.nc, "STREAM.PURGE.OBJ_FILES", kept)

    with pytest.raises(FileDamaged):
        await read(files, file)


async def test_a_file_of_one_tenant_is_none_of_another(store: Store, files: Files):
    file = file_of(1)
    await files.put(file, sent([b"x"]))

    with pytest.raises(FileMissing):
        await files_of(store, "globex").stored(file)


async def test_a_file_that_was_deleted_by_hand_is_missing(store: Store):
    files = files_of(store)
    file = file_of(1)
    await files.put(file, sent([b"x"]))
    objects = await store.nc.jetstream().object_store("FILES")
    await objects.delete(f"acme/s-1/{file.id}")

    with pytest.raises(FileMissing, match="was deleted"):
        await files.stored(file)
    with pytest.raises(NotFoundError):
        await objects.get(f"acme/s-1/{file.id}")


# ---- sealed


async def test_of_a_sealed_file_the_store_knows_neither_content_nor_type_nor_hash(store: Store, tmp_path: Path):
    files = sealed_files(store, tmp_path)
    file, whole = file_of(CHUNK_BYTES + 9), bytes_of(CHUNK_BYTES + 9)
    stored = await files.put(file, sent([whole]))

    found = await (await store.nc.jetstream().object_store("FILES")).get(stored.name)

    assert found.data is not None
    assert whole[:15] not in found.data
    assert found.info.size == len(found.data) == len(whole) + 2 * 28
    assert found.info.digest != stored.digest
    assert "image/png" not in str(found.info)


async def test_a_file_from_before_its_session_was_sealed_is_read_as_it_lies(store: Store, tmp_path: Path):
    sealing = sealed_files(store, tmp_path)
    file = file_of(5)
    await files_of(store, sealing._tenant).put(file, sent([b"clear"]))

    await sealing.put(file_of(6), sent([b"sealed"]))

    assert await read(sealing, file) == b"clear"
    assert (await sealing.put(file, sent([b"clear"]))).size == 5


async def test_a_sealed_file_is_not_opened_without_keys_and_never_again_once_its_key_is_deleted(
    store: Store, tmp_path: Path
):
    files = sealed_files(store, tmp_path)
    file = file_of(5)
    await files.put(file, sent([b"five!"]))

    with pytest.raises(KeyMissing, match="no sealing keys"):
        await files_of(store, files._tenant).stored(file)
    await files._seals.keys.delete(files._tenant, file.session)
    with pytest.raises(KeyDeleted):
        await files.stored(file)


async def test_a_piece_of_a_sealed_file_opens_in_its_own_place_alone(store: Store, tmp_path: Path):
    files = sealed_files(store, tmp_path)
    stored = await files.put(file_of(3 * CHUNK_BYTES), sent([bytes_of(3 * CHUNK_BYTES)]))
    subject = object_chunks("FILES", stored.nuid)
    first, second, third = [one async for one in pieces(store, subject)]
    await api(store.nc, "STREAM.PURGE.OBJ_FILES", {"filter": subject})
    for moved in (first, third, second):
        await publish(store.nc, subject, moved)

    with pytest.raises(FileDamaged, match="piece 1 of"):
        [one async for one in files.read(stored)]


async def test_what_is_said_of_a_sealed_file_is_of_no_other_one(store: Store, tmp_path: Path):
    files = sealed_files(store, tmp_path)
    ours, theirs = file_of(5), file_of(5)
    stored = await files.put(ours, sent([b"first"]))
    message = await store.nc.jetstream().get_last_msg("OBJ_FILES", object_subject("FILES", stored.name))

    await publish(store.nc, object_subject("FILES", f"{files._tenant}/s-1/{theirs.id}"), message.data or b"")

    with pytest.raises(FileDamaged, match="was changed"):
        await files.stored(theirs)


async def test_keys_of_files_are_exchanged_with_those_of_their_sessions(store: Store, tmp_path: Path):
    await api(store.nc, "STREAM.PURGE.KV_DATAKEYS")  # those of other tests are wrapped by keys that nobody has here
    files = sealed_files(store, tmp_path)
    file = file_of(5)
    await files.put(file, sent([b"first"]))
    keys = tmp_path / "sealing.key"
    old, anew = keys.read_text(), new_line()
    write_private(keys, old + anew)
    await files_of(store, files._tenant, sealing=True, sealing_key_file=keys)._seals.keys.rewrap()
    write_private(keys, anew)

    assert await read(files_of(store, files._tenant, sealing=True, sealing_key_file=keys), file) == b"first"


async def pieces(store: Store, subject: str) -> AsyncIterator[bytes]:
    """Yield what lies on `subject`, as it is stored."""
    start = 1
    while True:
        try:
            found = await api(store.nc, "STREAM.MSG.GET.OBJ_FILES", {"seq": start, "next_by_subj": subject})
        except JetStreamError:
            return
        start = found["message"]["seq"] + 1
        yield base64.b64decode(found["message"]["data"])


# ---- links


def asked(url: str) -> tuple[str, dict[str, str]]:
    parts = urlsplit(url)
    return parts.path.rpartition("/")[2], dict(parse_qsl(parts.query))


def test_a_link_opens_what_it_was_made_for():
    id, query = asked(LINKS.url("https://agents.example/base", "PUT", CAT, TOMORROW))

    assert LINKS.opened("PUT", id, query) == CAT


def test_a_link_to_upload_does_not_download():
    id, query = asked(LINKS.url("https://agents.example", "PUT", CAT, TOMORROW))

    with pytest.raises(LinkRefused, match="signature"):
        LINKS.opened("GET", id, query)


@pytest.mark.parametrize(
    "links", [FileLinks(b"another secret", "acme"), FileLinks(b"a secret of thirty-two characters", "b")]
)
def test_a_link_of_another_secret_or_tenant_opens_nothing(links: FileLinks):
    id, query = asked(links.url("https://agents.example", "GET", CAT, TOMORROW))

    with pytest.raises(LinkRefused, match="signature"):
        LINKS.opened("GET", id, query)


def test_a_link_that_is_over_says_so_and_is_still_known_as_ours():
    url = LINKS.url("https://agents.example", "GET", CAT, datetime(2026, 1, 1, tzinfo=UTC))

    with pytest.raises(LinkRefused, match="ended at 2026-01-01 00:00:00 UTC; ask for a new one"):
        LINKS.opened("GET", *asked(url))
    link = LINKS.recognized(url)
    assert link is not None
    assert link.file == CAT


@given(st.sampled_from(["id", "session", "name", "size", "type", "expires", "signature"]), st.text(max_size=40))
def test_a_link_that_was_changed_anywhere_opens_nothing(where: str, text: str):
    id, query = asked(LINKS.url("https://agents.example", "GET", CAT, TOMORROW))
    changed = {"id": id, **query, where: text}
    if changed == {"id": id, **query}:
        return

    with pytest.raises(LinkRefused):
        LINKS.opened("GET", changed.pop("id"), changed)


@given(st.sampled_from(["session", "name", "size", "type", "expires", "signature"]))
def test_a_link_without_one_of_its_parts_opens_nothing(where: str):
    id, query = asked(LINKS.url("https://agents.example", "GET", CAT, TOMORROW))
    del query[where]

    with pytest.raises(LinkRefused):
        LINKS.opened("GET", id, query)


@given(st.text() | st.text().map(lambda text: f"https://agents.example/api/files/{text}"))
def test_an_address_that_is_no_link_of_ours_is_not_taken_for_one(url: str):
    assert LINKS.recognized(url) is None


def test_a_link_is_known_at_whatever_address_it_is_asked():
    parts = urlsplit(LINKS.url("http://127.0.0.1:8420", "GET", CAT, TOMORROW))
    elsewhere = urlunsplit(("https", "proxy.example", f"/agents{parts.path}", urlencode(parse_qsl(parts.query)), ""))

    link = LINKS.recognized(elsewhere)

    assert link is not None
    assert link.file == CAT
