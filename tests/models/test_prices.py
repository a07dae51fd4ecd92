"""Prices and windows come from the list that is shipped; what is not listed is unknown, never free."""

import subprocess
import sys
from decimal import Decimal

import pytest

from stenograph_events.values import Usage
from stenograph_services.orchestrator.models.prices import price, window

MILLION = 1_000_000


@pytest.mark.parametrize(
    ("model", "dollars"),
    [
        ("openai/gpt-4o", Decimal("12.5")),  # 2.50 in, 10 out
        ("anthropic/claude-sonnet-4-0", Decimal("18")),  # 3 in, 15 out
        ("vercel/openai/gpt-4o", Decimal("12.5")),
    ],
)
def test_a_million_tokens_in_and_out_cost_what_the_vendor_says(model: str, dollars: Decimal):
    listed = price(model, Usage(100_000, 100_000))

    assert listed is not None
    assert listed * 10 == dollars


@pytest.mark.parametrize("model", ["google/gemini-2.5-flash", "x-ai/grok-4", "openrouter/anthropic/claude-sonnet-4.5"])
def test_every_provider_with_a_list_has_prices(model: str):
    listed = price(model, Usage(MILLION, MILLION))

    assert listed is not None
    assert listed > 0


def test_what_came_from_a_cache_counts_among_the_input_and_is_cheaper():
    fresh = price("anthropic/claude-sonnet-4-0", Usage(10_000, 0))
    cached = price("anthropic/claude-sonnet-4-0", Usage(10_000, 0, cache_read_tokens=10_000))

    assert fresh is not None
    assert cached is not None
    assert cached == fresh / 10


@pytest.mark.parametrize(
    "model", ["openai/nobody-knows", "local/gpt-4o", "scripted/support", "vercel/nobody/gpt-4o", "openai", ""]
)
def test_what_is_not_listed_is_unknown(model: str):
    assert price(model, Usage(MILLION, MILLION)) is None
    assert window(model) is None


def test_a_faster_tier_costs_more():
    standard = price("openai/gpt-5.2", Usage(MILLION // 100, 0))
    priority = price("openai/gpt-5.2", Usage(MILLION // 100, 0), {"service_tier": "priority"})

    assert standard is not None
    assert priority is not None
    assert priority > standard


def test_no_tokens_of_a_model_with_a_price_cost_nothing():
    assert price("openai/gpt-4o", Usage()) == 0


def test_counts_that_contradict_each_other_have_no_price():
    assert price("openai/gpt-4o", Usage(10, 0, cache_read_tokens=20)) is None


def test_the_window_is_what_a_model_reads_at_most():
    assert window("openai/gpt-4o") == 128_000
    assert window("anthropic/claude-haiku-4-5") == 200_000


def test_the_list_is_not_read_before_it_is_needed():
    program = (
        "import sys; from stenograph_services.orchestrator.models import prices"
        "; print('genai_prices' in sys.modules, 'httpx2' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False False"
