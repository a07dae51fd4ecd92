"""Files over HTTP: links that open one file each, for a while, and limits."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.gateway.doors import Gate, gateway_with, key_for
from tests.gateway.uploading import ALL, IMAGE, PNG, gate, get, http, links, put
from tests.support.processes import Processes
from tests.support.services import TENANT, Stage
from tests.support.wait import until

from stenograph_events import new_session_id
from stenograph_services.gateway.http.byte_ranges import wanted_range
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.runtime.config import MIB, load_settings
from stenograph_services.runtime.errors import InvalidSetting
from stenograph_services.runtime.file_links import File, FileLinks
from stenograph_services.runtime.jetstream import api
from stenograph_services.runtime.keys import KeyStore

__all__ = ["gate", "http"]

NO_SESSION = new_session_id()


def sentence(answer: httpx.Response, status: int) -> str:
    body = answer.json()
    assert answer.status_code == status, answer.text
    assert set(body) == {"error", "code"}
    return str(body["error"])


@pytest.fixture
async def image(http: httpx.AsyncClient, stage: Stage) -> dict[str, str]:
    """The links of an image that is not uploaded yet."""
    [link] = await links(http, (await stage.session()).id, IMAGE)
    return link


# ---- links


async def test_each_file_gets_an_id_and_two_absolute_links(http: httpx.AsyncClient, stage: Stage, gate: Gate):
    session = (await stage.session()).id

    found = await links(http, session, IMAGE, {**IMAGE, "filename": "dog.png", "later": True})

    assert [set(one) for one in found] == [{"id", "uploadUrl", "downloadUrl"}] * 2
    assert len({one["id"] for one in found}) == 2
    for one in found:
        for url in (one["uploadUrl"], one["downloadUrl"]):
            assert url.startswith(f"{gate.url}/api/files/{one['id']}?")


async def test_links_begin_with_the_address_in_the_settings(services: Stage, stage: Stage):
    session = (await stage.session()).id
    address = "https://agents.example/base"
    async with gateway_with(services, api_key=ALL, public_url=address) as public, public.client(ALL) as http:
        [link] = await links(http, session, IMAGE)

    assert link["uploadUrl"].startswith(f"{address}/api/files/{link['id']}?")


@pytest.mark.parametrize(
    "wrong", ["agents.example", "ftp://agents.example", "https://a:b@agents.example", "https://x?y"]
)
def test_an_address_that_links_cannot_begin_with_is_refused_at_the_start(wrong: str):
    with pytest.raises(InvalidSetting, match=r"STENOGRAPH_PUBLIC_URL: .* such as https:"):
        load_settings(public_url=wrong)
    assert load_settings(public_url="https://agents.example/").public_url == "https://agents.example"


async def test_a_link_of_one_gateway_opens_in_any_other(services: Stage, image: dict[str, str]):
    async with gateway_with(services, api_key="another") as second:
        elsewhere = {key: second.url + url[url.index("/api/") :] for key, url in image.items() if key != "id"}
        uploaded = await put(elsewhere["uploadUrl"], PNG)
        downloaded = await get(elsewhere["downloadUrl"])

    assert uploaded.status_code == 200, uploaded.text
    assert downloaded.content == PNG


async def test_only_a_key_for_sessions_gets_links(services: Stage, stage: Stage, gate: Gate):
    session = (await stage.session()).id
    _, agents_only = await key_for(services, "agents")
    body = {"sessionId": session, "files": [IMAGE]}
    await gate.knows(agents_only)
    for secret, status in ((None, 401), (agents_only, 403), (ALL, 200)):
        async with gate.client(secret) as http:
            assert (await http.post("/api/files/upload-urls", json=body)).status_code == status


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"sessionId": NO_SESSION, "files": [IMAGE]}, 404, "no session"),
        ({"sessionId": "../x", "files": [IMAGE]}, 404, "not a session id"),
        ({"files": [IMAGE]}, 400, "sessionId: this is missing"),
        ({"sessionId": NO_SESSION, "files": []}, 400, "files: List should have at least 1 item"),
        ({"sessionId": NO_SESSION, "files": [{**IMAGE, "filename": ""}]}, 400, "files.0.filename"),
        ({"sessionId": NO_SESSION, "files": [{**IMAGE, "filename": "x" * 256}]}, 400, "at most 255 characters"),
        ({"sessionId": NO_SESSION, "files": [{**IMAGE, "size": 0}]}, 400, "files.0.size"),
        ({"sessionId": NO_SESSION, "files": [{**IMAGE, "mediaType": "image"}]}, 400, "a media type such as image/png"),
        ({"sessionId": NO_SESSION, "files": [{**IMAGE, "mediaType": "a/b\r\nX: y"}]}, 400, "a media type such as"),
        ({"sessionId": NO_SESSION, "files": [IMAGE] * 21}, 400, "21 of them; at most 20 in one request"),
        ({"sessionId": NO_SESSION, "files": [{**IMAGE, "size": 100 * MIB + 1}]}, 400, "at most 104857600 are taken"),
        ({"sessionId": NO_SESSION, "files": [{**IMAGE, "size": 70 * MIB}] * 3}, 400, "at most 209715200 in one"),
    ],
)  # fmt: skip
async def test_a_wish_for_links_that_cannot_be_met_is_refused_with_a_sentence(
    http: httpx.AsyncClient, body: dict[str, Any], status: int, said: str
):
    assert said in sentence(await http.post("/api/files/upload-urls", json=body), status)


# ---- up and down


async def test_what_was_put_is_what_one_gets(image: dict[str, str]):
    uploaded = await put(image["uploadUrl"], PNG)
    downloaded = await get(image["downloadUrl"])

    assert uploaded.json() == {"id": image["id"], "size": len(PNG)}
    assert downloaded.content == PNG
    assert downloaded.headers["Content-Type"] == "image/png"
    assert downloaded.headers["Content-Length"] == str(len(PNG))


async def test_a_download_is_never_shown_as_a_page_of_ours(http: httpx.AsyncClient, stage: Stage):
    name = 'a"\r\nb: c/é.html'
    page = {"filename": name, "mediaType": "text/html; charset=utf-8", "size": 6}
    [link] = await links(http, (await stage.session()).id, page)
    await put(link["uploadUrl"], b"<h1>x>", "text/html; charset=utf-8")

    headers = (await get(link["downloadUrl"])).headers

    assert headers["Content-Type"] == "text/html"
    assert headers["Content-Disposition"] == "attachment; filename*=UTF-8''a%22%0D%0Ab%3A%20c%2F%C3%A9.html"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "default-src 'none'; sandbox"


async def test_a_head_says_all_but_the_bytes(image: dict[str, str]):
    await put(image["uploadUrl"], PNG)

    head, whole = await get(image["downloadUrl"], "HEAD"), await get(image["downloadUrl"])

    assert head.content == b""
    same = ("Content-Type", "Content-Length", "ETag", "Accept-Ranges", "Content-Disposition")
    assert [head.headers[name] for name in same] == [whole.headers[name] for name in same]


async def test_an_upload_may_be_sent_again_but_not_changed(image: dict[str, str]):
    twice = [await put(image["uploadUrl"], PNG) for _ in range(2)]
    other = await put(image["uploadUrl"], PNG[:-1] + b"x")

    assert [one.status_code for one in twice] == [200, 200]
    assert "stored already, with other bytes" in sentence(other, 400)
    assert (await get(image["downloadUrl"])).content == PNG


async def test_a_file_that_was_not_uploaded_is_not_there(image: dict[str, str]):
    assert "nothing was uploaded" in sentence(await get(image["downloadUrl"]), 404)
    assert (await get(image["downloadUrl"], "HEAD")).status_code == 404


async def test_a_part_of_a_file_may_be_asked_for(http: httpx.AsyncClient, stage: Stage):
    whole = bytes(range(256)) * 5_000
    [link] = await links(http, (await stage.session()).id, {**IMAGE, "size": len(whole)})
    await put(link["uploadUrl"], whole)
    last = len(whole) - 1

    for asked, start, end in ((f"{600_000}-{last}", 600_000, last), ("0-0", 0, 0), ("-7", last - 6, last)):
        part = await get(link["downloadUrl"], Range=f"bytes={asked}")
        assert part.status_code == 206
        assert part.headers["Content-Range"] == f"bytes {start}-{end}/{len(whole)}"
        assert part.content == whole[start : end + 1]
    beyond = await get(link["downloadUrl"], Range=f"bytes={len(whole)}-")
    changed = await get(link["downloadUrl"], Range="bytes=0-0", **{"If-Range": '"another"'})

    assert "none of them is in" in sentence(beyond, 416)
    assert changed.content == whole


@given(st.integers(1, 50), st.text("0123456789-", max_size=6))
def test_a_byte_range_lies_within_the_file_or_is_refused(size: int, asked: str):
    with contextlib.suppress(Refusal):
        part = wanted_range({"range": f"bytes={asked}"}, size, '"e"')
        assert part is None or 0 <= part.start < part.end <= size


# ---- refused


async def test_a_link_that_is_changed_over_or_for_something_else_opens_nothing(
    services: Stage, http: httpx.AsyncClient, gate: Gate, image: dict[str, str]
):
    signing = FileLinks(await KeyStore(services.nc).secret(), TENANT)
    file = File("s", "f", "x.png", len(PNG), "image/png")
    over = signing.url(gate.url, "PUT", file, datetime.now(UTC) - timedelta(seconds=2))
    larger = image["uploadUrl"].replace(f"size={len(PNG)}", "size=104857600")

    assert "this link ended at" in sentence(await put(over, PNG), 403)
    assert "signature" in sentence(await put(larger, PNG), 403)
    assert "signature" in sentence(await put(image["downloadUrl"], PNG), 403)
    assert "signature" in sentence(await get(image["uploadUrl"]), 403)
    assert "signature" in sentence(await get(f"{gate.url}/api/files/{image['id']}"), 403)
    assert "signature" in sentence(await http.put("/api/files/upload-urls", content=b"x"), 403)


async def test_an_upload_of_another_type_or_length_than_announced_is_refused(image: dict[str, str]):
    async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    url = image["uploadUrl"]

    assert "Content-Type: image/png" in sentence(await put(url, PNG, "text/html"), 400)
    assert "announced with" in sentence(await put(url, PNG + b"x"), 413)
    assert "announced with" in sentence(await put(url, PNG[1:]), 400)
    assert "were announced" in sentence(await put(url, pieces(PNG, b"x")), 413)
    assert "ended after" in sentence(await put(url, pieces(PNG[:9])), 400)
    assert (await get(image["downloadUrl"])).status_code == 404
    assert (await put(url, pieces(PNG[:9], PNG[9:]))).status_code == 200


async def test_a_file_over_the_limit_of_other_bodies_goes_through(
    http: httpx.AsyncClient, services: Stage, stage: Stage
):
    whole = os.urandom(services.settings.body_max_bytes * 3)
    [link] = await links(http, (await stage.session()).id, {**IMAGE, "size": len(whole)})

    assert (await put(link["uploadUrl"], whole)).status_code == 200
    assert (await get(link["downloadUrl"])).content == whole


async def test_a_client_that_goes_away_within_an_upload_leaves_nothing(
    services: Stage, stage: Stage, http: httpx.AsyncClient
):
    [link] = await links(http, (await stage.session()).id, {**IMAGE, "size": 4 * MIB})
    url = urlsplit(link["uploadUrl"])
    js = services.nc.jetstream()
    before = (await js.stream_info("OBJ_FILES")).state.messages

    async def grown() -> bool:
        return (await js.stream_info("OBJ_FILES")).state.messages > before

    async def as_before() -> bool:
        return not await grown()

    _, writer = await asyncio.open_connection(url.hostname, url.port)
    headers = f"Host: x\r\nContent-Type: image/png\r\nContent-Length: {4 * MIB}"
    writer.write(f"PUT {url.path}?{url.query} HTTP/1.1\r\n{headers}\r\n\r\n".encode() + bytes(MIB))
    await until(grown, what="the first pieces are stored")
    writer.close()

    await until(as_before, what="they are gone")


# ---- memory and room


def resident(pid: int, which: str) -> int:
    """Return the bytes of a process in memory: `VmRSS` now, `VmHWM` at most."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(which)).split()[1]) * 1024


async def test_a_gateway_moves_a_file_of_100_megabytes_without_holding_it(
    services: Stage, stage: Stage, processes: Processes, tmp_path: Path
):
    settings = services.settings
    env = {
        "STENOGRAPH_NATS_URL": settings.nats_url,
        "STENOGRAPH_DATA_DIR": str(tmp_path),
        "STENOGRAPH_PORT": "0",
        "STENOGRAPH_LOG_JSON": "false",
        "STENOGRAPH_API_KEY": ALL,
    }
    process = processes.start("gateway", "-m", "stenograph_services.cli", "run", "gateway", env=env)
    line = await process.line("http.listening")
    port = next(word for word in line.split() if word.startswith("port=")).removeprefix("port=")
    block, count = os.urandom(MIB), 100

    async def blocks() -> AsyncIterator[bytes]:
        for _ in range(count):
            yield block

    headers = {"Authorization": f"Bearer {ALL}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=120) as http:
        first, large = await links(http, (await stage.session()).id, IMAGE, {**IMAGE, "size": count * MIB})
        await put(first["uploadUrl"], PNG)
        await get(first["downloadUrl"])
        before = resident(process.pid, "VmRSS")
        uploaded = await http.put(large["uploadUrl"], content=blocks(), headers={"Content-Type": "image/png"})
        received = 0
        async with http.stream("GET", large["downloadUrl"]) as response:
            async for data in response.aiter_raw():
                received += len(data)

    assert uploaded.status_code == 200, uploaded.text
    assert received == count * MIB
    assert resident(process.pid, "VmHWM") - before <= 64 * MIB


async def test_an_upload_that_finds_no_room_is_refused_and_leaves_nothing(
    services: Stage, stage: Stage, http: httpx.AsyncClient
):
    before = await api(services.nc, "STREAM.INFO.OBJ_FILES")
    full = before["config"] | {"max_bytes": before["state"]["bytes"] + MIB}
    [link] = await links(http, (await stage.session()).id, {**IMAGE, "size": 3 * MIB})

    await api(services.nc, "STREAM.UPDATE.OBJ_FILES", full)
    refused = await put(link["uploadUrl"], bytes(3 * MIB))
    after = await api(services.nc, "STREAM.INFO.OBJ_FILES")
    await api(services.nc, "STREAM.UPDATE.OBJ_FILES", before["config"])

    assert sentence(refused, 503)
    assert after["state"]["messages"] == before["state"]["messages"]
    assert (await put(link["uploadUrl"], bytes(3 * MIB))).status_code == 200
