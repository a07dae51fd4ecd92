"""A local provider, and our models pointed at it through the environment, as a user would do it."""

from collections.abc import AsyncIterator

import pytest
from tests.support.openai_server import ModelServer

from stenograph_services.orchestrator.models.choose import Models
from stenograph_services.runtime.config import Settings


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer() as server:
        yield server


@pytest.fixture
def models(environment: None) -> Models:
    return Models(Settings(model_timeout_seconds=30))


@pytest.fixture
def impatient_models(environment: None) -> Models:
    return Models(Settings(model_timeout_seconds=0.3))


@pytest.fixture
def environment(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every provider is `server`."""
    monkeypatch.setenv("OPENAI_BASE_URL", server.openai_url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-anthropic")
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
    monkeypatch.setenv("GOOGLE_API_KEY", "sk-google")
