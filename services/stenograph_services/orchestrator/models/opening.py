"""From an address to a client for the model there.

The vendors' own retries are off everywhere: an attempt is counted in the log, so there must be no hidden ones.
A vendor's package is imported when the first of its models is opened: each takes a second or more.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from stenograph_services.orchestrator.models.providers import Address, Dialect

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI
    from pydantic_ai.models import Model

Open = Callable[[Address, "httpx2.AsyncClient"], "Model[Any]"]


def open_model(address: Address, http: "httpx2.AsyncClient") -> "Model[Any]":
    """Return a client for the model at `address`. Blocks for seconds while it imports the vendor's package."""
    return OPEN[address.dialect](address, http)


def _anthropic(address: Address, http: "httpx2.AsyncClient") -> "Model[Any]":
    from anthropic import AsyncAnthropic
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    client = AsyncAnthropic(api_key=address.key, base_url=address.base_url, max_retries=0, http_client=http)
    return AnthropicModel(address.model, provider=AnthropicProvider(anthropic_client=client))


def _google(address: Address, http: "httpx2.AsyncClient") -> "Model[Any]":
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    # Its SDK retries only when it is given retry options.
    provider = GoogleProvider(api_key=address.key, base_url=address.base_url, http_client=http)
    return GoogleModel(address.model, provider=provider)


def _openai(address: Address, http: "httpx2.AsyncClient") -> "Model[Any]":
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    # Servers that speak "OpenAI" speak chat completions; few know the Responses API.
    model_class = OpenAIChatModel if address.base_url else OpenAIResponsesModel
    return model_class(address.model, provider=OpenAIProvider(openai_client=_client(address, http)))


def _openrouter(address: Address, http: "httpx2.AsyncClient") -> "Model[Any]":
    from pydantic_ai.models.openrouter import OpenRouterModel
    from pydantic_ai.providers.openrouter import OpenRouterProvider

    return OpenRouterModel(address.model, provider=OpenRouterProvider(openai_client=_client(address, http)))


def _vercel(address: Address, http: "httpx2.AsyncClient") -> "Model[Any]":
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.vercel import VercelProvider

    return OpenAIChatModel(address.model, provider=VercelProvider(openai_client=_client(address, http)))


def _compatible(address: Address, http: "httpx2.AsyncClient") -> "Model[Any]":
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

    def profile(model: str) -> Any:
        # What a model can do is known by its maker's name, which the name of x-ai's own models lacks.
        return OpenAICompatibleProvider.model_profile(f"x-ai/{model}" if address.provider == "x-ai" else model)

    provider = OpenAICompatibleProvider(address.provider, openai_client=_client(address, http), profile=profile)
    return OpenAIChatModel(address.model, provider=provider)


def _client(address: Address, http: "httpx2.AsyncClient") -> "AsyncOpenAI":
    from stenograph_services.orchestrator.models.plain_openai import PlainOpenAI

    return PlainOpenAI(api_key=address.key, base_url=address.base_url, max_retries=0, http_client=http)


OPEN: Mapping[Dialect, Open] = {
    "anthropic": _anthropic,
    "google": _google,
    "openai": _openai,
    "openrouter": _openrouter,
    "vercel": _vercel,
    "compatible": _compatible,
}
