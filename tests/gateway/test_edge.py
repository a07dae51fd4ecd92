"""What holds for every request: its size, its name, the headers of its answer, and which web pages may ask."""

import asyncio
import re
from collections.abc import AsyncIterator

import httpx
import pytest
from tests.gateway.doors import gateway_with
from tests.support.services import TENANT, Stage
from tests.support.small_agent import BUNDLE

from stenograph_services.runtime.agents import Agents
from stenograph_services.runtime.config import load_settings
from stenograph_services.runtime.errors import InvalidSetting

ORIGIN = "https://app.example"
PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}


# ---- size


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data; boundary=x", None])
@pytest.mark.parametrize("path", ["/api/agent-sessions", "/api/agents"])
async def test_a_body_over_the_limit_is_refused_whatever_it_says_it_is(base_url: str, kind: str | None, path: str):
    """The limit of this stage is 400,000 bytes."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b" " * 100_000

    headers = {} if kind is None else {"Content-Type": kind}
    async with httpx.AsyncClient(base_url=base_url) as http:
        announced = await http.post(path, content=b" " * 500_000, headers=headers)
        chunked = await http.post(path, content=chunks(), headers=headers)

    assert (announced.status_code, announced.json()["code"]) == (413, "TOO_LARGE")
    # A route that reads no body of this kind answers before it has counted to the limit.
    assert chunked.status_code == 413 or (kind != "application/json" and chunked.status_code == 400)


async def test_a_client_without_a_key_cannot_make_the_gateway_hold_a_body(services: Stage):
    sent = 0

    async def feed(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"POST /api/agent-sessions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
            await writer.drain()
            sent += 65536

    async with gateway_with(services, api_key="mine") as gate:
        reader, writer = await asyncio.open_connection("127.0.0.1", gate.gateway.port)
        feeding = asyncio.create_task(feed(writer))
        status = await reader.readline()
        feeding.cancel()
        writer.close()

    assert b"401" in status
    assert sent < 20_000_000


# ---- names


@pytest.mark.parametrize("given", ["web-7f3a", "A" * 64, "0"])
async def test_the_name_of_a_request_comes_back(http: httpx.AsyncClient, given: str):
    for path in ("/api/agents", "/api/agents/nobody", "/nowhere", "/healthz"):
        assert (await http.get(path, headers={"X-Request-Id": given})).headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", [None, "", "a b", "a.b", "A" * 65, "x\ty", "é"])
async def test_a_request_without_a_fit_name_gets_one(base_url: str, given: str | None):
    headers = [] if given is None else [(b"X-Request-Id", given.encode("latin-1"))]

    async with httpx.AsyncClient(base_url=base_url) as http:
        names = {(await http.get("/api/agents", headers=headers)).headers["X-Request-Id"] for _ in range(3)}

    assert len(names) == 3
    assert all(re.fullmatch(r"[0-9a-f]{32}", name) for name in names)


async def test_what_is_logged_of_a_request_has_its_name(
    http: httpx.AsyncClient, services: Stage, capfd: pytest.CaptureFixture[str]
):
    await Agents(services.nc).store(TENANT, BUNDLE)
    body = {"agentId": "x", "input": {"COMPANY": "Acme"}}

    made = await http.post("/api/agent-sessions", json=body, headers={"X-Request-Id": "find-me"})
    later = await http.post("/api/agent-sessions", json=body)

    out, err = capfd.readouterr()
    lines = (out + err).splitlines()
    assert any("find-me" in line and made.json()["sessionId"] in line for line in lines)
    assert not any("find-me" in line and later.json()["sessionId"] in line for line in lines)


# ---- headers


async def test_every_answer_tells_browsers_to_be_careful_with_it(http: httpx.AsyncClient):
    too_large = await http.post("/api/agent-sessions", content=b" " * 500_000)

    for answer in [too_large, *[await http.get(path) for path in ("/api/agents", "/api/agents/nobody", "/nowhere")]]:
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Frame-Options"] == "DENY"


async def test_answers_of_the_api_are_not_kept(http: httpx.AsyncClient):
    assert (await http.get("/api/agents")).headers["Cache-Control"] == "no-store"
    assert (await http.get("/api/agents/nobody")).headers["Cache-Control"] == "no-store"


# ---- web pages of other origins


async def test_no_web_page_may_ask_unless_the_settings_name_it(base_url: str):
    async with httpx.AsyncClient(base_url=base_url) as http:
        preflight = await http.options("/api/agent-sessions", headers=PREFLIGHT)
        answer = await http.get("/api/agents", headers={"Origin": ORIGIN})

    assert preflight.status_code == 405
    for headers in (preflight.headers, answer.headers):
        assert not [name for name in headers if name.startswith("access-control-")]


async def test_a_named_web_page_may_ask_and_read_refusals_and_others_may_not(services: Stage):
    settings = {"api_key": "mine", "cors_origins": f"{ORIGIN}, http://localhost:3000"}
    async with gateway_with(services, **settings) as gate, gate.client() as http:
        asked = {"Access-Control-Request-Headers": "authorization,content-type,x-octavus-sdk-version,last-event-id"}
        allowed = await http.options("/api/agent-sessions", headers=PREFLIGHT | asked)
        refused = await http.get("/api/agents", headers={"Origin": ORIGIN})
        other = await http.options("/api/agent-sessions", headers=PREFLIGHT | {"Origin": "https://evil.example"})
        too_large = await http.post("/api/agents", content=b" " * 500_000, headers={"Origin": ORIGIN})

    assert allowed.status_code == 200
    assert allowed.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "Access-Control-Allow-Credentials" not in allowed.headers
    assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (401, ORIGIN)
    assert "X-Request-Id" in refused.headers["Access-Control-Expose-Headers"]
    assert (too_large.status_code, too_large.headers["Access-Control-Allow-Origin"]) == (413, ORIGIN)
    assert other.status_code == 400
    assert "Access-Control-Allow-Origin" not in other.headers


@pytest.mark.parametrize("origins", ["app.example", "https://app.example/", "https://a.example,b", "null"])
def test_an_origin_that_no_browser_sends_is_a_wrong_setting(origins: str):
    with pytest.raises(InvalidSetting, match=r"STENOGRAPH_CORS_ORIGINS: .*https://app.example"):
        load_settings(cors_origins=origins)


def test_a_wrong_secret_is_not_shown():
    with pytest.raises(InvalidSetting, match=r"STENOGRAPH_TOKEN_SECRET: .* at least 32 characters") as refused:
        load_settings(token_secret="too-short")

    assert "too-short" not in str(refused.value)
    assert refused.value.__cause__ is None
