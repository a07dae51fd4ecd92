"""API keys: what their scopes open, and when a running gateway knows of a change."""

import asyncio
import re
from datetime import timedelta

import msgspec
import pytest
from faststream.nats import NatsBroker
from tests.gateway.doors import WITHIN, gateway_with, key_for
from tests.gateway.streaming import Heard, triggered
from tests.support.agents import CALL_THEN_SAY
from tests.support.services import TENANT, Stage
from tests.support.small_agent import BUNDLE

from stenograph_events.subjects import access_key, bucket_subject
from stenograph_events.types import SessionCreated
from stenograph_services.gateway import app as gateway
from stenograph_services.gateway.http.tokens import LEEWAY, Tokens
from stenograph_services.runtime.agents import Agents
from stenograph_services.runtime.jetstream import publish
from stenograph_services.runtime.keys import SCOPES, KeyStore, Scope, hashed, new_key

READ_AGENTS = ("GET", "/api/agents")
WRITE_AGENTS = ("POST", "/api/agents")
CHECK_AGENTS = ("POST", "/api/agents/validate")
RUN_WORKERS = ("POST", "/api/agents/x/execute")
MAKE_SESSIONS = ("POST", "/api/agent-sessions")
READ_SESSIONS = ("GET", "/api/agent-sessions/2f0193a5c1d07b6c8e2d4f60718293a4b5")
APPROVALS = ("GET", f"{READ_SESSIONS[1]}/approvals")
DECIDE = ("POST", f"{READ_SESSIONS[1]}/approvals/c1")
REVOKE = ("POST", "/api/tokens/revoke")

OPENED: dict[Scope, set[tuple[str, str]]] = {
    "sessions": {READ_AGENTS, RUN_WORKERS, MAKE_SESSIONS, READ_SESSIONS, APPROVALS},
    "agents": {READ_AGENTS, WRITE_AGENTS, CHECK_AGENTS},
    "mint": {REVOKE},
    "approve": {APPROVALS, DECIDE},
}
ROUTES = sorted(set.union(*OPENED.values()))


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_key_opens_what_its_scopes_name(services: Stage, scope: Scope, method: str, path: str):
    _, secret = await key_for(services, scope)

    async with gateway_with(services) as gate, gate.client(secret) as http:
        answer = await http.request(method, path, json={})

    if (method, path) in OPENED[scope]:
        assert answer.status_code not in (401, 403), answer.text
    else:
        assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
        needed = [one for one in SCOPES if (method, path) in OPENED[one]]
        assert f"the scope {' or '.join(sorted(needed))};" in answer.json()["error"]


async def test_no_route_of_the_api_is_open_to_everybody(services: Stage):
    described = gateway.build(NatsBroker(), services.settings).app(services.nc).openapi()
    guarded = [
        (method, re.sub(r"{\w+}", "x", path))
        for path, methods in described["paths"].items()
        for method in methods
        if path.startswith(("/api/agent", "/api/tokens"))
    ]
    assert len(guarded) > 10

    async with gateway_with(services, api_key="mine") as gate, gate.client() as http:
        for method, path in guarded:
            assert (await http.request(method, path)).status_code == 401, (method, path)


async def test_the_key_of_the_settings_opens_everything(services: Stage):
    async with gateway_with(services, api_key="mine") as gate, gate.client("mine") as http:
        for method, path in ROUTES:
            assert (await http.request(method, path, json={})).status_code not in (401, 403)


async def test_a_key_counts_within_a_second_and_so_does_its_end(services: Stage):
    async with gateway_with(services, api_key="mine") as gate:
        key, secret = await key_for(services, "sessions")
        await gate.knows(secret)

        await KeyStore(services.nc).revoke(TENANT, key.id)
        await gate.refuses(secret)

        assert await gate.status("mine") == 200


async def test_a_key_that_was_deleted_by_hand_opens_nothing(services: Stage):
    async with gateway_with(services, api_key="mine") as gate:
        key, secret = await key_for(services, "sessions")
        await gate.knows(secret)

        await (await services.nc.jetstream().key_value("KEYS")).delete(access_key(TENANT, key.id))

        await gate.refuses(secret)


async def test_a_gateway_whose_last_key_is_revoked_stays_closed(services: Stage):
    _, secret = await key_for(services, "sessions")
    async with gateway_with(services) as gate:
        assert await gate.status(secret) == 200
        for stored in await KeyStore(services.nc).list(TENANT):
            await KeyStore(services.nc).revoke(TENANT, stored.id)
        await gate.refuses(secret)

        assert await gate.status(None) == 401

    async with gateway_with(services) as started_later:
        assert await started_later.status(None) == 401
        assert await started_later.status(secret) == 401


async def test_a_gateway_knows_of_changes_after_it_lost_its_connection(services: Stage):
    async with gateway_with(services, api_key="mine") as gate:
        key, secret = await key_for(services, "sessions")
        await gate.knows(secret)

        await gate.gateway.reconnected()
        await KeyStore(services.nc).revoke(TENANT, key.id)

        await gate.refuses(secret)


async def test_a_stream_ends_within_a_second_when_its_key_is_revoked_and_its_turn_goes_on(stage: Stage):
    talk = await stage.session(CALL_THEN_SAY)
    key, secret = await key_for(stage, "sessions")
    _, other = await key_for(stage, "sessions")
    path = f"/api/agent-sessions/{talk.id}"

    async with (
        gateway_with(stage) as gate,
        gate.client(secret) as http,
        gate.client(other) as others,
        triggered(http, talk.id) as heard,
        http.stream("GET", f"{path}/events/stream") as log,
    ):
        await heard.until("tool-input-available")
        async with others.stream("GET", f"{path}/observe") as response:
            watched = Heard(response)
            await watched.begun()

            await KeyStore(stage.nc).revoke(TENANT, key.id)
            async with asyncio.timeout(WITHIN):
                await heard.end()
                await log.aread()

            await talk.answer(await talk.request(), {"plan": "pro"})
            await watched.end()

    [error] = [event for event in heard.events if event["type"] == "error"]
    assert error["errorType"] == "authentication_error"
    assert error["message"].startswith("the API key is revoked or over")
    assert not error["retryable"]
    assert heard.events[-1] == error
    assert heard.done
    assert watched.events[-1]["type"] == "finish"
    assert watched.text == 'You have {"plan":"pro"}'


@pytest.mark.parametrize("how", ["the token is revoked", "the token runs out", "the key that made it is revoked"])
async def test_a_stream_ends_with_the_token_that_opened_it(stage: Stage, how: str):
    talk = await stage.session(CALL_THEN_SAY)
    key, secret = await key_for(stage, "sessions", "mint")
    async with gateway_with(stage, api_key="all") as gate, gate.client("all") as owner:
        await gate.knows(secret)
        ttl = (timedelta(seconds=2) - LEEWAY) if how == "the token runs out" else timedelta(hours=1)
        agent = (await Agents(stage.nc).current(TENANT, (await talk.all(SessionCreated))[0].agent)).id
        token, _ = Tokens(gate.gateway._keyring, TENANT).mint(key, agent, talk.id, ttl)

        async with gate.client(token) as http, triggered(http, talk.id) as heard:
            await heard.until("tool-input-available")
            if how == "the token is revoked":
                assert (await owner.post("/api/tokens/revoke", json={"token": token})).json()["revoked"]
            elif how == "the key that made it is revoked":
                await KeyStore(stage.nc).revoke(TENANT, key.id)
            async with asyncio.timeout(WITHIN + (2 if how == "the token runs out" else 0)):
                await heard.end()

    assert heard.events[-1]["errorType"] == "authentication_error"
    assert heard.events[-1]["message"].startswith("the token is revoked or over")
    assert heard.done
    await talk.answer(await talk.request(), {"plan": "pro"})
    await talk.end_of(heard.execution)


async def test_keys_of_other_tenants_open_nothing(services: Stage):
    _, mine = await key_for(services, "sessions")
    _, other = await key_for(services, *SCOPES, tenant="acme")

    async with gateway_with(services) as gate:
        assert await gate.status(mine) == 200
        assert await gate.status(other) == 401


@pytest.mark.parametrize("value", [b"{", b"[]", b'{"id":"x","scopes":["all"]}'])
async def test_an_entry_that_cannot_be_read_opens_nothing_and_breaks_nothing(services: Stage, value: bytes):
    key, secret = new_key(TENANT, SCOPES)

    async with gateway_with(services, api_key="mine") as gate:
        await publish(services.nc, bucket_subject("KEYS", access_key(TENANT, key.id)), value)
        _, next_one = await key_for(services, "sessions")
        await gate.knows(next_one)

        assert await gate.status(secret) == 401
        assert await gate.status("mine") == 200


@pytest.mark.parametrize(
    "changed",
    [
        lambda secret: secret[:-1],
        lambda secret: secret + "x",
        lambda secret: secret.replace("oct_sk_", "oct_et_"),
        lambda secret: secret.rpartition("_")[0] + "_",
        lambda secret: "oct_sk_",
        lambda secret: "oct_sk__",
        lambda secret: hashed(secret),
        lambda secret: "oct_et_" + "é" * 10,
        lambda secret: "oct_sk_*_x",
    ],
)
async def test_a_key_that_is_not_exactly_right_is_wrong(services: Stage, changed):
    _, secret = await key_for(services, "sessions")

    async with gateway_with(services) as gate, gate.client() as http:
        header = b"Bearer " + changed(secret).encode("latin-1")
        answer = await http.get("/api/agents", headers=[(b"Authorization", header)])

    assert answer.status_code == 401


async def test_what_a_client_does_is_logged_under_the_id_of_its_key(services: Stage, capfd: pytest.CaptureFixture[str]):
    await Agents(services.nc).store(TENANT, BUNDLE)
    key, secret = await key_for(services, "sessions", "mint")

    async with gateway_with(services) as gate, gate.client(secret) as http:
        made = await http.post("/api/agent-sessions", json={"agentId": "x", "input": {"COMPANY": "Acme"}})
        token = (await http.post("/api/tokens", json={"agentId": "x"})).json()["token"]
        await http.post("/api/tokens/revoke", json={"token": token})
        await http.get("/api/agents", headers={"Authorization": f"Bearer {secret}x"})
        await http.get("/api/agents", headers={"Authorization": f"Bearer {token}"})

    out, err = capfd.readouterr()
    logged = out + err
    line = next(line for line in logged.splitlines() if "session.created" in line and made.json()["sessionId"] in line)
    assert key.id in line
    assert sum("request.refused" in line for line in logged.splitlines()) == 2
    assert secret not in logged
    assert secret.rpartition("_")[2] not in logged
    assert token not in logged


async def test_the_store_holds_no_secret(services: Stage):
    key, secret = await key_for(services, "sessions")

    [stored] = [one for one in await KeyStore(services.nc).list(TENANT) if one.id == key.id]

    assert stored == key
    assert secret.removeprefix(f"oct_sk_{key.id}_") not in msgspec.json.encode(stored).decode()
