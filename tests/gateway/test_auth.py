"""Who may ask, and where the gateway dares to listen."""

from pathlib import Path

import httpx
import pytest
from tests.gateway.doors import gateway_with
from tests.support.services import Stage

from stenograph_services.gateway import app as gateway
from stenograph_services.gateway.http.auth import check_exposure
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.errors import InvalidSetting
from stenograph_services.runtime.service import Running


@pytest.fixture(scope="module")
async def guarded_url(services: Stage):
    async with gateway_with(services, api_key="right") as gate:
        yield gate.url


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Bearer", "Basic right", "right", "Bearer rightt"])
async def test_without_the_right_key_nothing_is_told(guarded_url: str, authorization: str | None):
    headers = {} if authorization is None else {"Authorization": authorization}

    async with httpx.AsyncClient(base_url=guarded_url) as http:
        for path in ("/api/agents", "/api/agents/x", "/api/agent-sessions/x", "/api/agent-sessions/x/events"):
            refused = await http.get(path, headers=headers)
            assert (refused.status_code, refused.json()["code"]) == (401, "UNAUTHORIZED")
            assert refused.headers["WWW-Authenticate"] == "Bearer"
        refused = await http.post("/api/agent-sessions", headers=headers, content=b"{")
        assert refused.status_code == 401


async def test_the_right_key_opens(guarded_url: str):
    async with httpx.AsyncClient(base_url=guarded_url, headers={"Authorization": "Bearer right"}) as http:
        assert (await http.get("/api/agents")).status_code == 200


async def test_health_needs_no_key(guarded_url: str):
    async with httpx.AsyncClient(base_url=guarded_url) as http:
        assert (await http.get("/healthz")).json() == {"status": "ok"}
        assert (await http.get("/readyz")).json()["ready"] is True


async def test_without_a_key_a_foreign_name_for_this_machine_is_not_answered(base_url: str):
    async with httpx.AsyncClient(base_url=base_url, headers={"Host": "evil.example"}) as http:
        refused = await http.get("/api/agents")

    assert refused.status_code == 403


async def test_without_a_key_there_is_nothing_to_make_a_token_from(base_url: str):
    async with httpx.AsyncClient(base_url=base_url) as http:
        refused = await http.post("/api/tokens", json={"agentId": "x"})

    assert refused.status_code == 403
    assert "stenograph keys create" in refused.json()["error"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "stenograph.example"])
def test_without_a_key_it_does_not_listen_to_the_network(host: str, tmp_path: Path):
    with pytest.raises(InvalidSetting, match="STENOGRAPH_API_KEY is needed to listen on"):
        check_exposure(Settings(host=host, data_dir=tmp_path), locked=False)

    check_exposure(Settings(host=host, data_dir=tmp_path), locked=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_without_a_key_it_listens_to_its_own_machine(host: str):
    check_exposure(Settings(host=host), locked=False)


async def test_a_gateway_without_a_key_does_not_start_where_the_network_reaches_it(services: Stage):
    running = Running(gateway.build, services.settings.model_copy(update={"host": "0.0.0.0"}))

    with pytest.raises(InvalidSetting, match="stenograph keys create"):
        await running.start()
    await running.stop()


async def test_a_port_that_is_in_use_is_named(services: Stage, base_url: str):
    port = int(base_url.rpartition(":")[2])
    running = Running(gateway.build, services.settings.model_copy(update={"port": port}))

    with pytest.raises(InvalidSetting, match=f"STENOGRAPH_PORT {port}: it is in use"):
        await running.start()
    await running.broker.stop()
