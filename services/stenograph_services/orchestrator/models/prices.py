"""What a model costs and how much it reads, by the list that comes with genai-prices: nothing asks the network.

A model that the list does not know has no price and no window: None, never 0. The operator's own servers are not
listed, whatever the names of their models.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from stenograph_events.values import Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider

LISTED: Mapping[str, str] = {name: name for name in ("anthropic", "google", "openai", "openrouter", "x-ai")}
"""The list's name of each provider whose prices it has."""

BEHIND_VERCEL: Mapping[str, str] = {
    **{name: name for name in ("anthropic", "cohere", "deepseek", "google", "groq", "mistral", "openai", "zai")},
    "xai": "x-ai",
}
"""Vercel's gateway takes what the provider behind it takes."""


def price(model: str, usage: Usage, said: Mapping[str, Any] | None = None) -> Decimal | None:
    """Return what `usage` of `model`, such as `openai/gpt-5-mini`, costs in US dollars now; None if nobody knows.

    `said` is what the provider told of its answer: a faster tier costs more.
    """
    listed = _listed(model)
    if listed is None:
        return None
    provider, info = listed
    try:
        asked = info.calc_price(
            _counted(usage), provider, genai_request_timestamp=datetime.now(UTC), price_context=said
        )
    except ValueError:  # the counts contradict each other: more from the cache than in all
        return None
    known = asked.model_price.input_mtok is not None and asked.model_price.output_mtok is not None
    return asked.total_price if known else None


def window(model: str) -> int | None:
    """Return how many tokens `model` reads at most; None if nobody knows."""
    listed = _listed(model)
    return listed[1].context_window if listed else None


@lru_cache(1024)
def _listed(model: str) -> "tuple[Provider, ModelInfo] | None":
    prefix, _, name = model.partition("/")
    provider = LISTED.get(prefix)
    if prefix == "vercel":
        behind, _, name = name.partition("/")
        provider = BEHIND_VERCEL.get(behind)
    if provider is None or not name:
        return None
    from genai_prices.data_snapshot import get_snapshot  # takes half a second, so not before it is needed

    try:
        return get_snapshot().find_provider_model(name, None, provider, None)
    except LookupError:
        return None


def _counted(usage: Usage) -> object:
    """Return `usage` as the list's own struct, in which the cached tokens count among the input, as they do in ours."""
    from genai_prices import Usage as Counted

    return Counted(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )
