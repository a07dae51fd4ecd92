"""The providers: from the prefix of a model's name to where it is asked, and with whose key.

    anthropic/claude-sonnet-5     ANTHROPIC_API_KEY   Messages API
    google/gemini-3-flash         GOOGLE_API_KEY      Gemini API
    openai/gpt-5-mini             OPENAI_API_KEY      Responses API; with a base URL of its own, chat completions
    x-ai/grok-5                   XAI_API_KEY         chat completions
    openrouter/qwen/qwen3-coder   OPENROUTER_API_KEY  chat completions; after the route comes the provider's own name
    vercel/openai/gpt-5           AI_GATEWAY_API_KEY  chat completions, the same

Any other server that speaks chat completions is named by the operator, and `local/llama-4` is asked there:

    STENOGRAPH_PROVIDERS='{"local": {"base_url": "http://127.0.0.1:8000/v1", "key_env": "LOCAL_KEY"}}'
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from stenograph_services.orchestrator.models.keys import Keys, Variables
from stenograph_services.orchestrator.models.request import ModelError
from stenograph_services.runtime.config import CompatibleServer
from stenograph_services.runtime.errors import InvalidSetting

KEYLESS = "none"  # the SDK insists on some key; a server of one's own may want none

Dialect = Literal["anthropic", "google", "openai", "openrouter", "vercel", "compatible"]


class Provider(NamedTuple):
    """`keys` are the variables that may hold the key, the preferred one first; `moved_by` may hold another base URL.

    A route passes requests on to other providers: the names of its models begin with theirs.
    """

    dialect: Dialect
    keys: tuple[str, ...] = ()
    moved_by: str | None = None
    base_url: str | None = None
    keyless_elsewhere: bool = False
    is_route: bool = False


PROVIDERS: Mapping[str, Provider] = {
    "anthropic": Provider("anthropic", ("ANTHROPIC_API_KEY",), "ANTHROPIC_BASE_URL"),
    "google": Provider("google", ("GOOGLE_API_KEY", "GEMINI_API_KEY"), "GOOGLE_GEMINI_BASE_URL"),
    "openai": Provider("openai", ("OPENAI_API_KEY",), "OPENAI_BASE_URL", keyless_elsewhere=True),
    "x-ai": Provider("compatible", ("XAI_API_KEY",), "XAI_BASE_URL", "https://api.x.ai/v1"),
    "openrouter": Provider(
        "openrouter", ("OPENROUTER_API_KEY",), "OPENROUTER_BASE_URL", "https://openrouter.ai/api/v1", is_route=True
    ),
    "vercel": Provider(
        "vercel",
        ("AI_GATEWAY_API_KEY", "VERCEL_OIDC_TOKEN"),
        "AI_GATEWAY_BASE_URL",
        "https://ai-gateway.vercel.sh/v1",
        is_route=True,
    ),
}


@dataclass(frozen=True)
class Address:
    """Where a model is asked, and as whom. Two equal addresses share one client."""

    provider: str
    model: str
    base_url: str | None
    key: str = field(repr=False)
    dialect: Dialect

    @property
    def name(self) -> str:
        """The model's name as agents write it."""
        return f"{self.provider}/{self.model}"


def with_servers(servers: Mapping[str, CompatibleServer]) -> Mapping[str, Provider]:
    """Return the providers and the operator's own `servers`. Raises `InvalidSetting` if a name is taken."""
    if taken := sorted(servers.keys() & {*PROVIDERS, "scripted"}):
        raise InvalidSetting(f"STENOGRAPH_PROVIDERS: {taken[0]!r} is a provider already: choose another name")
    own = {
        name: Provider("compatible", (server.key_env,) if server.key_env else (), None, server.base_url)
        for name, server in servers.items()
    }
    return {**PROVIDERS, **own}


def address_of(
    model: str, keys: Keys, tenant: str = "default", providers: Mapping[str, Provider] = PROVIDERS
) -> Address:
    """Return where `model`, such as `openai/gpt-5-mini`, is asked for `tenant`. Imports nothing, connects to nothing.

    Raises `ModelError`: `unknown-provider`, or `authentication` with the name of the variable to set.
    """
    prefix, _, name = model.partition("/")
    provider = providers.get(prefix)
    if provider is None or not name:
        known = ", ".join(f"{each}/…" for each in (*providers, "scripted"))
        raise ModelError("unknown-provider", f"No provider serves the model {model!r}; a name begins with {known}.")
    if provider.is_route and not all(name.partition("/")):
        example = f"{prefix}/openai/gpt-5-mini"
        raise ModelError("unknown-provider", f"{model!r} says no provider behind {prefix}, as {example!r} does.")
    keys_at, urls_at = keys.of(tenant)
    base_url = (urls_at.get(provider.moved_by) if provider.moved_by else None) or provider.base_url
    return Address(prefix, name, base_url, _key(model, provider, base_url, keys_at), provider.dialect)


def _key(model: str, provider: Provider, base_url: str | None, keys: Variables) -> str:
    key = next((value for variable in provider.keys if (value := keys.get(variable))), None)
    if key is None and provider.keys and not (base_url and provider.keyless_elsewhere):
        raise ModelError("authentication", f"The model {model!r} needs a key: set {' or '.join(provider.keys)}.")
    return key or KEYLESS
