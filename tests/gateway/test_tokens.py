"""Ephemeral tokens: narrower than the key that made them, in what they open and in time."""

import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest
from tests.gateway.doors import Gate, gateway_with, key_for
from tests.support.agents import bundle
from tests.support.services import TENANT, Stage
from tests.support.small_agent import BUNDLE

from stenograph_events import new_session_id
from stenograph_services.gateway.http.tokens import LEEWAY, TOKEN_PREFIX, Tokens
from stenograph_services.runtime.agents import AgentEntry, Agents
from stenograph_services.runtime.keyring import Keyring
from stenograph_services.runtime.keys import KeyStore

ALL = "the key of the settings"


@pytest.fixture(scope="module")
async def agent(services: Stage) -> AgentEntry:
    """The small agent: its sessions need COMPANY."""
    return (await Agents(services.nc).store(TENANT, BUNDLE))[0]


@pytest.fixture(scope="module")
async def other(services: Stage) -> AgentEntry:
    return (await Agents(services.nc).store(TENANT, bundle("other")))[0]


@pytest.fixture(scope="module")
async def gate(services: Stage, agent: AgentEntry, other: AgentEntry) -> AsyncIterator[Gate]:
    async with gateway_with(services, api_key=ALL) as gate:
        yield gate


@pytest.fixture
async def owner(gate: Gate) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the key of the settings."""
    async with gate.client(ALL) as http:
        yield http


async def session_of(owner: httpx.AsyncClient, agent: str) -> str:
    input = {"COMPANY": "Acme"} if agent == "x" else {}
    made = await owner.post("/api/agent-sessions", json={"agentId": agent, "input": input})
    assert made.status_code == 201, made.text
    return str(made.json()["sessionId"])


async def minted(owner: httpx.AsyncClient, **body: Any) -> str:
    answer = await owner.post("/api/tokens", json={"agentId": "x", **body})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


async def status(gate: Gate, token: str, method: str, path: str, body: Any = None) -> int:
    async with gate.client(token) as http:
        return (await http.request(method, path, json=body)).status_code


# ---- made


@pytest.mark.parametrize(("asked", "seconds"), [({}, 3600), ({"ttlSeconds": 86_400}, 86_400), ({"ttlSeconds": 1}, 1)])
async def test_a_token_says_when_it_ends(owner: httpx.AsyncClient, asked: dict[str, int], seconds: int):
    made = (await owner.post("/api/tokens", json={"agentId": "x", **asked})).json()

    assert set(made) == {"token", "jti", "expiresAt"}
    assert made["token"].startswith("oct_et_")
    ends = datetime.fromisoformat(made["expiresAt"]) - datetime.now(UTC)
    assert timedelta(seconds=seconds - 5) < ends <= timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({}, 400, "agentId: this is missing"),
        ({"agentId": "x", "ttlSeconds": 0}, 400, "ttlSeconds"),
        ({"agentId": "x", "ttlSeconds": 86_401}, 400, "less than or equal to 86400"),
        ({"agentId": "nobody"}, 404, "no agent 'nobody'"),
        ({"agentId": "x", "sessionId": new_session_id()}, 404, "no session"),
        ({"agentId": "x", "sessionId": "a.b"}, 404, "not a session id"),
    ],
)
async def test_what_is_wrong_with_a_wish_for_a_token_is_said(
    owner: httpx.AsyncClient, body: dict[str, Any], status: int, sentence: str
):
    answer = await owner.post("/api/tokens", json=body)

    assert (answer.status_code, set(answer.json())) == (status, {"error", "code"})
    assert sentence in answer.json()["error"]


async def test_a_token_for_a_session_of_another_agent_is_not_made(owner: httpx.AsyncClient):
    answer = await owner.post("/api/tokens", json={"agentId": "x", "sessionId": await session_of(owner, "other")})

    assert answer.status_code == 400
    assert "is not one of agent x" in answer.json()["error"]


async def test_a_session_is_not_open_to_the_tokens_of_an_agent_that_took_its_agent_s_slug(
    gate: Gate, owner: httpx.AsyncClient, services: Stage
):
    """It used to be: a session knew its agent by the slug alone."""
    agents = Agents(services.nc)
    await agents.store(TENANT, bundle("reused"))
    session = await session_of(owner, "reused")

    await agents.archive(TENANT, "reused")
    await agents.store(TENANT, bundle("reused"))
    token = await minted(owner, agentId="reused")

    assert await status(gate, token, "GET", f"/api/agent-sessions/{session}") == 403
    assert await status(gate, token, "GET", f"/api/agent-sessions/{await session_of(owner, 'reused')}") == 200


async def test_a_key_makes_no_token_that_may_more_than_itself(services: Stage, gate: Gate):
    _, mint_alone = await key_for(services, "mint")
    _, sessions_alone = await key_for(services, "sessions")
    _, both = await key_for(services, "mint", "sessions")
    await gate.knows(both)

    for secret, missing in ((mint_alone, "sessions"), (sessions_alone, "mint")):
        async with gate.client(secret) as http:
            refused = await http.post("/api/tokens", json={"agentId": "x"})
        assert refused.status_code == 403
        assert f"the scope {missing};" in refused.json()["error"]
    assert await status(gate, both, "POST", "/api/tokens", {"agentId": "x"}) == 201


# ---- what they open


async def test_a_token_of_an_agent_makes_and_drives_its_sessions_alone(gate: Gate, owner: httpx.AsyncClient):
    token = await minted(owner)
    mine, others = await session_of(owner, "x"), await session_of(owner, "other")
    new = {"agentId": "x", "input": {"COMPANY": "Acme"}}

    assert await status(gate, token, "GET", f"/api/agent-sessions/{mine}") == 200
    assert await status(gate, token, "GET", f"/api/agent-sessions/{mine}/events") == 200
    assert await status(gate, token, "POST", "/api/agent-sessions", new) == 201
    assert await status(gate, token, "GET", f"/api/agent-sessions/{others}") == 403
    assert await status(gate, token, "POST", f"/api/agent-sessions/{others}/trigger", {"triggerName": "go"}) == 403
    assert await status(gate, token, "POST", "/api/agent-sessions", {"agentId": "other"}) == 403
    assert await status(gate, token, "POST", "/api/agents/other/execute", {"type": "start"}) == 403
    foreign_run = {"type": "continue", "executionId": others, "toolResults": []}
    assert await status(gate, token, "POST", "/api/agents/x/execute", foreign_run) == 403


async def test_a_token_of_a_session_opens_no_other_and_makes_none(gate: Gate, owner: httpx.AsyncClient):
    mine, another = await session_of(owner, "x"), await session_of(owner, "x")
    token = await minted(owner, sessionId=mine)
    new = {"agentId": "x", "input": {"COMPANY": "Acme"}, "sessionId": mine}
    files = [{"filename": "cat.png", "mediaType": "image/png", "size": 7}]

    assert await status(gate, token, "GET", f"/api/agent-sessions/{mine}") == 200
    assert await status(gate, token, "GET", f"/api/agent-sessions/{another}") == 403
    assert await status(gate, token, "POST", f"/api/agent-sessions/{another}/trigger", {"triggerName": "go"}) == 403
    assert await status(gate, token, "POST", "/api/agent-sessions", new) == 403
    assert await status(gate, token, "POST", "/api/agent-sessions/start", new) == 403
    assert await status(gate, token, "POST", "/api/agents/x/execute", {"type": "start"}) == 403
    uploads = "/api/files/upload-urls"
    assert await status(gate, token, "POST", uploads, {"sessionId": mine, "files": files}) == 200
    assert await status(gate, token, "POST", uploads, {"sessionId": another, "files": files}) == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/agents"),
        ("GET", "/api/agents/x"),
        ("POST", "/api/agents"),
        ("GET", "/api/agent-sessions"),
        ("POST", "/api/tokens"),
        ("POST", "/api/tokens/revoke"),
    ],
)
async def test_a_token_reads_no_agents_lists_no_sessions_and_makes_no_tokens(
    gate: Gate, owner: httpx.AsyncClient, method: str, path: str
):
    assert await status(gate, await minted(owner), method, path, {"agentId": "x"}) == 403


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"agentId":7}', b"\xff", b"[" * 90_000])
async def test_a_body_that_names_no_agent_is_refused_before_the_route_reads_it(
    gate: Gate, owner: httpx.AsyncClient, body: bytes
):
    async with gate.client(await minted(owner)) as http:
        answer = await http.post("/api/agent-sessions", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 400


# ---- when they end


async def test_a_revoked_token_opens_nothing_within_a_second_in_any_gateway(
    services: Stage, gate: Gate, owner: httpx.AsyncClient
):
    session = await session_of(owner, "x")
    token, kept = await minted(owner), await minted(owner)
    path = f"/api/agent-sessions/{session}"

    async with gateway_with(services, api_key=ALL) as second:
        assert await second.status(token, path) == 200
        revoked = (await owner.post("/api/tokens/revoke", json={"token": token})).json()
        assert await gate.status(token, path) == 401
        await second.refuses(token, path)
        assert await second.status(kept, path) == 200
    async with gateway_with(services, api_key=ALL) as started_later:
        assert await started_later.status(token, path) == 401

    assert revoked["revoked"] is True
    assert revoked["jti"] == claims_of(token)["jti"]
    again = (await owner.post("/api/tokens/revoke", json={"token": token})).json()
    assert again == revoked


@pytest.mark.parametrize("token", ["x", "oct_et_", "oct_et_a.b.c", "oct_sk_a_b", "oct_et_é"])
async def test_what_is_no_token_of_ours_cannot_be_revoked(owner: httpx.AsyncClient, token: str):
    answer = await owner.post("/api/tokens/revoke", json={"token": token})

    assert (answer.status_code, answer.json()) == (200, {"revoked": False})


async def test_tokens_end_with_the_key_that_made_them(services: Stage, gate: Gate, owner: httpx.AsyncClient):
    key, secret = await key_for(services, "mint", "sessions")
    await gate.knows(secret)
    path = f"/api/agent-sessions/{await session_of(owner, 'x')}"
    async with gate.client(secret) as http:
        token = await minted(http)
    assert await gate.status(token, path) == 200

    await KeyStore(services.nc).revoke(TENANT, key.id)

    await gate.refuses(token, path)


async def test_tokens_end_when_the_key_of_the_settings_is_another(
    services: Stage, gate: Gate, owner: httpx.AsyncClient
):
    token = await minted(owner)
    path = f"/api/agent-sessions/{await session_of(owner, 'x')}"

    async with gateway_with(services, api_key="another") as restarted:
        assert await restarted.status(token, path) == 401


async def test_the_secret_of_the_settings_stands_over_the_stored_one(
    services: Stage, gate: Gate, owner: httpx.AsyncClient
):
    path = f"/api/agent-sessions/{await session_of(owner, 'x')}"

    async with gateway_with(services, api_key=ALL, token_secret="s" * 32) as first:
        async with first.client(ALL) as http:
            token = await minted(http)
        async with gateway_with(services, api_key=ALL, token_secret="s" * 32) as second:
            assert await second.status(token, path) == 200
        assert await gate.status(token, path) == 401


@pytest.fixture
async def keyring(services: Stage) -> AsyncIterator[Keyring]:
    keyring = Keyring(services.nc, services.settings.model_copy(update={"api_key": ALL}))
    await keyring.start()
    yield keyring
    await keyring.stop()


@pytest.mark.parametrize(("over_for", "status"), [(timedelta(seconds=-5), 200), (LEEWAY + timedelta(seconds=2), 401)])
async def test_a_token_may_be_late_by_as_much_as_clocks_may_differ(
    gate: Gate, owner: httpx.AsyncClient, keyring: Keyring, agent: AgentEntry, over_for: timedelta, status: int
):
    path = f"/api/agent-sessions/{await session_of(owner, 'x')}"
    key = keyring.key("setting")
    assert key is not None

    token, _ = Tokens(keyring, TENANT).mint(key, agent.id, None, -over_for)

    assert await gate.status(token, path) == status


# ---- forged


def claims_of(token: str) -> dict[str, Any]:
    return jwt.decode(token.removeprefix(TOKEN_PREFIX), options={"verify_signature": False})


def part(value: Any) -> str:
    return (
        base64.urlsafe_b64encode(value if isinstance(value, bytes) else json.dumps(value).encode()).decode().rstrip("=")
    )


async def test_a_token_that_was_tampered_with_opens_nothing(gate: Gate, owner: httpx.AsyncClient):
    session = await session_of(owner, "x")
    token = await minted(owner, sessionId=await session_of(owner, "x"))
    head, body, signature = token.removeprefix(TOKEN_PREFIX).split(".")
    kid = jwt.get_unverified_header(token.removeprefix(TOKEN_PREFIX))["kid"]
    wider = part(claims_of(token) | {"session": session})
    forged = [
        f"{head}.{wider}.{signature}",
        f"{part({'alg': 'none', 'kid': kid})}.{wider}.",
        f"{part({'alg': 'none', 'kid': kid})}.{body}.{signature}",
        f"{part({'alg': 'HS512', 'kid': kid})}.{body}.{signature}",
        f"{part({'alg': 'HS256'})}.{body}.{signature}",
        f"{part({'alg': 'HS256', 'kid': ['a']})}.{body}.{signature}",
        f"{part(b'[' * 30_000)}.{body}.{signature}",
        f"{head}.{body}",
        f"{head}.{body}.",
        jwt.encode(claims_of(token), "s" * 32, "HS256", headers={"kid": kid}),
        jwt.encode(claims_of(token), "s" * 64, "HS512", headers={"kid": kid}),
    ]

    for one in forged:
        assert await gate.status(TOKEN_PREFIX + one, f"/api/agent-sessions/{session}") == 401, one[:100]


@pytest.mark.parametrize(
    "changed",
    [{"aud": "elsewhere"}, {"iss": "elsewhere"}, {"tenant": "acme"}, {"exp": None}, {"agent": 7}, {"iat": 9e9}],
)
async def test_a_token_whose_claims_are_not_for_us_opens_nothing(
    gate: Gate, owner: httpx.AsyncClient, keyring: Keyring, changed: dict[str, Any]
):
    path = f"/api/agent-sessions/{await session_of(owner, 'x')}"
    token = await minted(owner)
    key = keyring.key("setting")
    assert key is not None
    signing = Tokens(keyring, TENANT)._signing(key)
    claims = {name: value for name, value in (claims_of(token) | changed).items() if value is not None}

    def signed(claims: dict[str, Any]) -> str:
        return TOKEN_PREFIX + jwt.encode(claims, signing, "HS256", headers={"kid": key.id})

    assert await gate.status(signed(claims_of(token)), path) == 200
    assert await gate.status(signed(claims), path) == 401
