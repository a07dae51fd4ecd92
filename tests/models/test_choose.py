import subprocess
import sys

import pytest
from tests.support.asking import answer, question
from tests.support.openai_server import ModelServer

from stenograph_services.orchestrator.models.choose import MOST_MODELS, Models
from stenograph_services.orchestrator.models.keys import Keys
from stenograph_services.orchestrator.models.providers import address_of
from stenograph_services.orchestrator.models.request import ModelError
from stenograph_services.runtime.config import Settings

HELLO = "turns: [[{text: Hello}]]"


@pytest.mark.parametrize("model", ["mistral/large", "gpt-5", "openai/", ""])
def test_a_model_of_no_provider_is_refused_with_those_there_are(model: str):
    with pytest.raises(
        ModelError,
        match="a name begins with anthropic/…, google/…, openai/…, x-ai/…, openrouter/…, vercel/…, scripted/…",
    ) as refused:
        Models(Settings()).for_agent(model, {})

    assert (refused.value.kind, refused.value.retryable) == ("unknown-provider", False)


@pytest.mark.parametrize(
    ("model", "variable"),
    [
        ("openai/gpt-5", "OPENAI_API_KEY"),
        ("anthropic/claude", "ANTHROPIC_API_KEY"),
        ("google/gemini", "GOOGLE_API_KEY or GEMINI_API_KEY"),
    ],
)
def test_a_missing_key_is_named(model: str, variable: str):
    with pytest.raises(ModelError, match=f"needs a key: set {variable}") as refused:
        address_of(model, Keys(environment={}))

    assert (refused.value.kind, refused.value.retryable) == ("authentication", False)


def test_a_server_of_ones_own_needs_no_key():
    address = address_of("openai/meta-llama/llama-3", Keys(environment={"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}))

    assert address.model == "meta-llama/llama-3"


async def test_the_key_and_the_model_are_sent(models: Models, server: ModelServer):
    await answer(models.for_agent("openai/meta-llama/llama-3", {}), question())

    assert server.headers[0]["authorization"] == "Bearer sk-openai"
    assert server.requests[0]["model"] == "meta-llama/llama-3"


def test_a_model_is_opened_once_for_each_name_and_address(models: Models, monkeypatch: pytest.MonkeyPatch):
    first = models.for_agent("openai/m", {})
    same = models.for_agent("openai/m", {})
    other = models.for_agent("openai/n", {})
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    elsewhere = models.for_agent("openai/m", {})

    assert first is same
    assert len({first, other, elsewhere}) == 3


def test_models_that_were_not_asked_for_long_are_forgotten(models: Models):
    """The name may come from a trigger's input, so their number is not ours."""
    first, second = models.for_agent("openai/0", {}), models.for_agent("openai/1", {})
    for number in range(2, MOST_MODELS):
        models.for_agent(f"openai/{number}", {})

    assert models.for_agent("openai/0", {}) is first
    models.for_agent("openai/one-more", {})
    assert models.for_agent("openai/0", {}) is first
    assert models.for_agent("openai/1", {}) is not second


def test_a_script_is_parsed_once_until_it_changes():
    models = Models(Settings())

    first = models.for_agent("scripted/hello", {"hello": HELLO})
    same = models.for_agent("scripted/hello", {"hello": HELLO})
    changed = models.for_agent("scripted/hello", {"hello": HELLO + " "})

    assert first is same
    assert first is not changed


def test_a_script_that_is_not_there_is_told_with_those_that_are():
    with pytest.raises(ModelError, match="no script 'helo' for its model; it has: bye, hello"):
        Models(Settings()).for_agent("scripted/helo", {"hello": HELLO, "bye": HELLO})


def test_a_broken_script_is_a_model_error_that_says_where():
    with pytest.raises(ModelError, match=r"^bad-script: scripts/hello\.yaml:1: turns\[0\]\[0\]\.txt") as refused:
        Models(Settings()).for_agent("scripted/hello", {"hello": "turns: [[{txt: Hello}]]"})

    assert not refused.value.retryable


def test_no_vendor_is_imported_before_its_model_is_asked():
    program = (
        "import sys; from stenograph_services.orchestrator.models.choose import Models"
        "; from stenograph_services.runtime.config import Settings; Models(Settings())"
        "; print(sorted({'openai', 'anthropic', 'google.genai', 'pydantic_ai'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
