"""Uploading as applications do it: links from a gateway with keys, then the bytes, to and fro, without one.

[link] = await links(http, session, IMAGE)
await put(link["uploadUrl"], PNG)
"""

import base64
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from tests.gateway.doors import Gate, gateway_with
from tests.support.services import Stage

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
IMAGE = {"filename": "cat.png", "mediaType": "image/png", "size": len(PNG)}
ALL = "the key of the settings"


@pytest.fixture(scope="module")
async def gate(services: Stage) -> AsyncIterator[Gate]:
    async with gateway_with(services, api_key=ALL) as gate:
        yield gate


@pytest.fixture
async def http(gate: Gate) -> AsyncIterator[httpx.AsyncClient]:
    async with gate.client(ALL) as http:
        yield http


async def links(http: httpx.AsyncClient, session: str, *files: dict[str, Any]) -> list[dict[str, str]]:
    answer = await http.post("/api/files/upload-urls", json={"sessionId": session, "files": files})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, str]] = answer.json()["files"]
    return found


async def put(url: str, data: Any, media_type: str = "image/png", **headers: str) -> httpx.Response:
    """PUT as a browser does: to the absolute URL, without a key."""
    async with httpx.AsyncClient(timeout=30) as browser:
        return await browser.put(url, content=data, headers={"Content-Type": media_type, **headers})


async def get(url: str, method: str = "GET", **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(timeout=30) as browser:
        return await browser.request(method, url, headers=headers)
