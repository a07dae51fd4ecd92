"""Which provider answers under which name, with whose key, and at which address."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.support.asking import answer, question, said
from tests.support.model_answers import Answer
from tests.support.openai_server import ModelServer

from stenograph_events.values import ReasoningPart, TextPart
from stenograph_services.orchestrator.models.choose import Models
from stenograph_services.orchestrator.models.keys import Keys
from stenograph_services.orchestrator.models.providers import PROVIDERS, address_of, with_servers
from stenograph_services.orchestrator.models.request import ModelError
from stenograph_services.runtime.config import CompatibleServer, Settings, load_settings
from stenograph_services.runtime.errors import InvalidSetting

ROUTED = {
    "x-ai/grok-4.7": ("XAI_BASE_URL", "XAI_API_KEY", "grok-4.7"),
    "openrouter/qwen/qwen3-coder": ("OPENROUTER_BASE_URL", "OPENROUTER_API_KEY", "qwen/qwen3-coder"),
    "vercel/openai/gpt-5": ("AI_GATEWAY_BASE_URL", "AI_GATEWAY_API_KEY", "openai/gpt-5"),
}


@pytest.mark.parametrize("name", ROUTED)
async def test_a_provider_is_asked_by_its_prefix_with_the_key_of_its_variable(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch, name: str
):
    url, key, model = ROUTED[name]
    monkeypatch.setenv(url, server.openai_url)
    monkeypatch.setenv(key, "sk-this-one")
    server.answers(Answer(text="Pro."))

    _, response = await answer(Models(Settings()).for_agent(name, {}), question(model=name))

    assert response.parts == (TextPart("Pro."),)
    assert response.provider == name.partition("/")[0]
    assert server.requests[0]["model"] == model
    assert server.headers[0]["authorization"] == "Bearer sk-this-one"
    assert server.headers[0]["accept-encoding"] == "identity"


@pytest.mark.parametrize("name", [*ROUTED, "google/g", "anthropic/c", "openai/o"])
def test_without_its_variable_the_key_is_said_to_be_missing(name: str):
    variable = PROVIDERS[name.partition("/")[0]].keys[0]

    with pytest.raises(ModelError, match=rf"The model '{name}' needs a key: set {variable}") as refused:
        address_of(name, Keys(environment={}))

    assert (refused.value.kind, refused.value.retryable) == ("authentication", False)


@pytest.mark.parametrize("name", ["vercel/gpt-5", "openrouter/gpt-5", "vercel/openai/", "openrouter//gpt-5"])
def test_a_route_without_the_provider_behind_it_is_refused_with_an_example(name: str):
    with pytest.raises(ModelError, match=r"says no provider behind \w+, as '\w+/openai/gpt-5-mini' does") as refused:
        address_of(name, Keys(environment={}))

    assert refused.value.kind == "unknown-provider"


async def test_reasoning_goes_back_over_openrouter_as_the_details_that_came(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENROUTER_BASE_URL", server.openai_url)
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk")
    name = "openrouter/anthropic/claude-sonnet-4.5"
    detail = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0, "id": None}
    server.answers(Answer(reasoning="Hm.", signature="c2ln", reasoning_detail=detail, text="Pro."))
    models = Models(Settings())

    _, response = await answer(models.for_agent(name, {}), question(model=name))
    await answer(
        models.for_agent(name, {}), question(said("user", "Hi"), said("assistant", *response.parts), model=name)
    )

    [thought, _] = response.parts
    assert isinstance(thought, ReasoningPart)
    assert (thought.text, thought.signature, thought.provider) == ("Hm.", "c2ln", "openrouter")
    [sent] = server.requests[1]["messages"][-1]["reasoning_details"]
    assert sent == detail | {"text": "Hm.", "signature": "c2ln"}


# ---- servers of one's own


def settings(monkeypatch: pytest.MonkeyPatch, servers: Mapping[str, object]) -> Settings:
    monkeypatch.setenv("STENOGRAPH_PROVIDERS", json.dumps(servers))
    return load_settings()


async def test_a_server_of_ones_own_serves_under_its_name(server: ModelServer, monkeypatch: pytest.MonkeyPatch):
    given = settings(monkeypatch, {"local": {"base_url": server.openai_url, "key_env": "LOCAL_KEY"}})
    monkeypatch.setenv("LOCAL_KEY", "sk-local")
    name = "local/meta-llama/llama-4"

    _, response = await answer(Models(given).for_agent(name, {}), question(model=name, speed="fast"))

    assert server.headers[0]["authorization"] == "Bearer sk-local"
    assert server.requests[0]["model"] == "meta-llama/llama-4"
    assert "service_tier" not in server.requests[0]
    assert (response.provider, response.cost_usd) == ("local", None)


async def test_a_server_without_a_key_is_asked_without_one(server: ModelServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-others")
    given = settings(monkeypatch, {"local": {"base_url": server.openai_url}})

    await answer(Models(given).for_agent("local/m", {}), question(model="local/m"))

    assert "sk-not-for-others" not in str(server.headers)


def test_a_server_that_takes_the_name_of_a_provider_is_refused():
    with pytest.raises(InvalidSetting, match="STENOGRAPH_PROVIDERS: 'openai' is a provider already"):
        with_servers({"openai": CompatibleServer(base_url="http://127.0.0.1:9/v1")})


def test_the_names_of_ones_own_servers_are_among_those_that_are_known():
    known = with_servers({"local": CompatibleServer(base_url="http://127.0.0.1:9/v1")})

    with pytest.raises(ModelError, match="vercel/…, local/…, scripted/…"):
        address_of("mistral/large", Keys(environment={}), providers=known)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{nonsense", 'field "providers" from source .* Expecting property name'),
        ('{"Local Host": {"base_url": "http://x"}}', "STENOGRAPH_PROVIDERS: String should match pattern"),
        ('{"local": {"base_url": "ftp://x"}}', "STENOGRAPH_PROVIDERS: String should match pattern .* got 'ftp://x'"),
        ('{"local": {}}', "STENOGRAPH_PROVIDERS: Field required"),
        ('{"local": {"base_url": "http://x", "key": "sk"}}', "STENOGRAPH_PROVIDERS: Extra inputs are not permitted"),
    ],
)
def test_a_mistake_in_the_servers_is_one_clear_error(monkeypatch: pytest.MonkeyPatch, text: str, message: str):
    monkeypatch.setenv("STENOGRAPH_PROVIDERS", text)

    with pytest.raises(InvalidSetting, match=message):
        load_settings()


# ---- keys of tenants


@pytest.fixture
def tenant_keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    path.write_text('{"acme": {"OPENAI_API_KEY": "sk-acme"}}')
    path.chmod(0o600)
    return path


async def test_a_tenant_with_keys_of_its_own_is_asked_for_with_those(
    environment: None, server: ModelServer, tenant_keys: Path
):
    models = Models(Settings(tenant_keys=tenant_keys))

    for tenant in ("acme", "default", "acme"):
        await answer(models.for_agent("openai/m", {}, tenant=tenant), question(model="openai/m", tenant=tenant))

    asked_as = [headers["authorization"] for headers in server.headers]
    assert asked_as == ["Bearer sk-acme", "Bearer sk-openai", "Bearer sk-acme"]


def test_a_tenant_with_keys_of_its_own_has_no_others(environment: None, tenant_keys: Path):
    models = Models(Settings(tenant_keys=tenant_keys))

    with pytest.raises(ModelError, match="'anthropic/c' needs a key: set ANTHROPIC_API_KEY"):
        models.for_agent("anthropic/c", {}, tenant="acme")
    models.for_agent("anthropic/c", {}, tenant="other")


def test_a_key_is_in_no_representation(environment: None, tenant_keys: Path):
    address = address_of("openai/m", Keys({"acme": {"OPENAI_API_KEY": "sk-acme"}}), "acme")

    assert address.key == "sk-acme"
    assert "sk-acme" not in f"{address!r} {Keys({'acme': {'OPENAI_API_KEY': 'sk-acme'}})!r}"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_keys_that_others_can_read_are_refused_with_what_to_do(tenant_keys: Path, mode: int):
    tenant_keys.chmod(mode)

    with pytest.raises(InvalidSetting, match=rf"has the mode {mode:03o}, so others can read the keys: chmod 600"):
        Models(Settings(tenant_keys=tenant_keys))


@pytest.mark.parametrize("text", ['{"acme": "sk-secret"}', "sk-secret", '{"acme": {"OPENAI_API_KEY": ["sk-secret"]}}'])
def test_keys_that_are_no_such_file_are_refused_without_a_word_of_them(tenant_keys: Path, text: str):
    tenant_keys.write_text(text)

    with pytest.raises(InvalidSetting, match=r'wanted is {"tenant": {"VARIABLE": "key"}}') as refused:
        Models(Settings(tenant_keys=tenant_keys))

    assert "sk-secret" not in str(refused.value)


def test_keys_that_are_not_there_are_said_not_to_be(tmp_path: Path):
    with pytest.raises(InvalidSetting, match=r"STENOGRAPH_TENANT_KEYS: .*keys\.json cannot be read: No such file"):
        Models(Settings(tenant_keys=tmp_path / "keys.json"))
