"""`stenograph keys …`: keys are made, listed and revoked while a gateway runs."""

import httpx
import pytest
from tests.cli.conftest import Stenograph
from tests.support.services import Stage
from tests.support.wait import until

from stenograph_services.gateway.app import Gateway


def url_of(services: Stage) -> str:
    gateway = services.running("gateway").service
    assert isinstance(gateway, Gateway)
    return f"http://127.0.0.1:{gateway.port}/api/agents"


async def status(services: Stage, secret: str) -> int:
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {secret}"} if secret else {}) as http:
        return (await http.get(url_of(services))).status_code


async def test_the_first_key_closes_a_running_gateway_to_everybody_else(services: Stage, stenograph: Stenograph):
    assert await status(services, "") == 200

    made = await stenograph("keys", "create", "--scopes", "sessions,agents", "--name", "ci")
    secret = made.out.strip()

    assert (made.code, made.out.count("\n")) == (0, 1)
    assert secret.startswith("oct_sk_")
    assert "not shown again" in made.err
    assert secret not in made.err

    async def closed() -> bool:
        return await status(services, "") == 401

    await until(closed, 1.0, what="a request without a key is refused")
    assert await status(services, secret) == 200


async def test_a_key_is_revoked_by_its_id_and_stays_on_the_list(services: Stage, stenograph: Stenograph):
    made = (await stenograph("keys", "create", "--name", "gone", "--json")).json
    assert made["scopes"] == ["sessions"]

    revoked = await stenograph("keys", "revoke", made["id"])
    listed = await stenograph("keys", "list")
    as_json = [one for one in (await stenograph("keys", "list", "--json")).json if one["id"] == made["id"]]

    async def refused() -> bool:
        return await status(services, made["key"]) == 401

    await until(refused, 1.0, what="the key opens nothing")
    assert (revoked.code, revoked.out) == (0, f"revoked {made['id']}\n")
    [line] = [line for line in listed.out.splitlines() if line.startswith(made["id"])]
    assert line.split()[1:4] == ["default", "sessions", "gone"]
    assert set(as_json[0]) == {"id", "tenant", "scopes", "name", "created_at", "revoked_at"}
    assert made["key"] not in listed.out
    assert "sha256" not in listed.out


async def test_a_key_belongs_to_the_tenant_that_is_named(services: Stage, stenograph: Stenograph):
    made = (await stenograph("keys", "create", "acme", "--json")).json

    assert made["tenant"] == "acme"
    assert await status(services, made["key"]) == 401
    assert [one["id"] for one in (await stenograph("keys", "list", "--tenant", "acme", "--json")).json] == [made["id"]]
    assert (await stenograph("keys", "revoke", made["id"])).code == 1


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["create", "--scopes", "sessions,admin"], 2, "'admin' is no scope: choose from sessions, agents, mint"),
        (["create", "--scopes", ","], 2, "a key needs a scope"),
        (["create", "a.b"], 1, "a.b"),
        (["revoke", "nobody"], 1, "has no key 'nobody': `stenograph keys list` shows which there are"),
        (["revoke"], 2, "ID"),
    ],
)
async def test_a_mistake_is_one_line(
    services: Stage, stenograph: Stenograph, arguments: list[str], code: int, sentence: str
):
    ran = await stenograph("keys", *arguments)

    assert ran.code == code
    assert ran.err.startswith("stenograph: ")
    assert sentence in ran.err
    assert ran.err.count("\n") == 1


async def test_without_a_server_it_says_so(anywhere: Stenograph):
    ran = await anywhere("keys", "list")

    assert ran.code == 1
    assert "cannot connect to NATS" in ran.err
