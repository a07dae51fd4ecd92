"""The providers: from the prefix of a model's name to a client for it.

    openai/gpt-5-mini            OPENAI_API_KEY     Responses API; with OPENAI_BASE_URL chat completions at that address
    anthropic/claude-sonnet-5    ANTHROPIC_API_KEY  Messages API; ANTHROPIC_BASE_URL moves it
    google/gemini-3-flash        GOOGLE_API_KEY     Gemini API; GOOGLE_GEMINI_BASE_URL moves it

The vendors' own retries are off everywhere: an attempt is counted in the log, so there must be no hidden ones.
A vendor's package is imported when the first of its models is opened: each takes a second or more.
"""

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from stenograph_services.orchestrator.models.request import ModelError

if TYPE_CHECKING:
    from pydantic_ai.models import Model

KEYLESS = "none"  # the SDK insists on some key; a server of one's own may want none


class Address(NamedTuple):
    """Where a model is asked, and as whom. Two equal addresses share one client."""

    provider: str
    model: str
    base_url: str | None
    key: str


class Provider(NamedTuple):
    """`keys` are the variables that may hold the key, the preferred one first."""

    keys: tuple[str, ...]
    base_url: str
    open: Callable[[Address], "Model[Any]"]
    keyless_elsewhere: bool = False


def address_of(model: str, environment: Mapping[str, str] = os.environ) -> Address:
    """Return where `model`, such as `openai/gpt-5-mini`, is asked. Imports nothing and connects to nothing.

    Raises `ModelError`: `unknown-provider` or `authentication`, with the name of the variable to set.
    """
    prefix, _, name = model.partition("/")
    provider = PROVIDERS.get(prefix)
    if provider is None or not name:
        known = ", ".join(f"{each}/…" for each in (*PROVIDERS, "scripted"))
        raise ModelError("unknown-provider", f"No provider serves the model {model!r}; a name begins with {known}.")
    base_url = environment.get(provider.base_url) or None
    key = next((value for variable in provider.keys if (value := environment.get(variable))), None)
    if key is None and not (base_url and provider.keyless_elsewhere):
        raise ModelError("authentication", f"The model {model!r} needs a key: set {' or '.join(provider.keys)}.")
    return Address(prefix, name, base_url, key or KEYLESS)


def open_model(address: Address) -> "Model[Any]":
    """Return a client for the model at `address`. Blocks for seconds while it imports the vendor's package."""
    return PROVIDERS[address.provider].open(address)


def _openai(address: Address) -> "Model[Any]":
    from openai import AsyncOpenAI
    from pydantic_ai.models import create_async_httpx2_client
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    client = AsyncOpenAI(
        api_key=address.key, base_url=address.base_url, max_retries=0, http_client=create_async_httpx2_client()
    )
    # Servers that speak "OpenAI" speak chat completions; few know the Responses API.
    model_class = OpenAIChatModel if address.base_url else OpenAIResponsesModel
    return model_class(address.model, provider=OpenAIProvider(openai_client=client))


def _anthropic(address: Address) -> "Model[Any]":
    from anthropic import AsyncAnthropic
    from pydantic_ai.models import create_async_httpx2_client
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    client = AsyncAnthropic(
        api_key=address.key, base_url=address.base_url, max_retries=0, http_client=create_async_httpx2_client()
    )
    return AnthropicModel(address.model, provider=AnthropicProvider(anthropic_client=client))


def _google(address: Address) -> "Model[Any]":
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    # Its SDK retries only when it is given retry options.
    return GoogleModel(address.model, provider=GoogleProvider(api_key=address.key, base_url=address.base_url))


PROVIDERS: Mapping[str, Provider] = {
    "openai": Provider(("OPENAI_API_KEY",), "OPENAI_BASE_URL", _openai, keyless_elsewhere=True),
    "anthropic": Provider(("ANTHROPIC_API_KEY",), "ANTHROPIC_BASE_URL", _anthropic),
    "google": Provider(("GOOGLE_API_KEY", "GEMINI_API_KEY"), "GOOGLE_GEMINI_BASE_URL", _google),
}
