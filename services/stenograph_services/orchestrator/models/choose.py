"""Which model answers: the name in the agent's settings, such as `openai/gpt-5-mini` or `scripted/support`."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from functools import lru_cache
from typing import TYPE_CHECKING

from stenograph_services.orchestrator.models.providers import Address, address_of, open_model
from stenograph_services.orchestrator.models.request import Delta, Model, ModelError, ModelRequest, ModelResponse
from stenograph_services.orchestrator.models.scripted import ScriptedModel, ScriptError

if TYPE_CHECKING:
    from stenograph_services.orchestrator.models.direct import ProviderModel

SCRIPTED = "scripted/"
MOST_SCRIPTS = 256  # parsed scripts kept; a changed script is a new one


class Models:
    """Every model of this process, each opened once. `timeout_seconds` is the longest that one answer may take."""

    def __init__(self, *, timeout_seconds: float = 600.0) -> None:
        self.timeout_seconds = timeout_seconds
        self._opened: dict[Address, OpenedWhenAsked] = {}
        self._script = lru_cache(MOST_SCRIPTS)(ScriptedModel)

    def for_agent(self, model: str, scripts: Mapping[str, str]) -> Model:
        """Return the model named `model`; `scripts` are the agent's own, text by name. Cheap, connects to nothing.

        Raises `ModelError`: `unknown-provider`, `authentication`, or `bad-script`.
        """
        if model.startswith(SCRIPTED):
            return self._scripted(model.removeprefix(SCRIPTED), scripts)
        address = address_of(model)
        if address not in self._opened:
            self._opened[address] = OpenedWhenAsked(address, self.timeout_seconds)
        return self._opened[address]

    def _scripted(self, name: str, scripts: Mapping[str, str]) -> ScriptedModel:
        text = scripts.get(name)
        if text is None:
            has = ", ".join(sorted(scripts)) or "none"
            raise ModelError("bad-script", f"The agent has no script {name!r} for its model; it has: {has}.")
        try:
            return self._script(text, f"scripts/{name.removesuffix('.yaml')}.yaml")
        except ScriptError as error:
            raise ModelError("bad-script", str(error)) from error


class OpenedWhenAsked:
    """A provider's model that is opened with its first question.

    Importing a vendor's package takes seconds, so a thread does it: the deliveries of other sessions need their
    heartbeats meanwhile.
    """

    def __init__(self, address: Address, timeout_seconds: float) -> None:
        self._address = address
        self._timeout_seconds = timeout_seconds
        self._opening = asyncio.Lock()
        self._model: ProviderModel | None = None

    def ask(self, request: ModelRequest) -> AsyncIterator[Delta | ModelResponse]:
        """Answer as the provider does."""
        return self._model.ask(request) if self._model else self._open_and_ask(request)

    async def _open_and_ask(self, request: ModelRequest) -> AsyncIterator[Delta | ModelResponse]:
        async with self._opening:
            if self._model is None:
                self._model = await asyncio.to_thread(self._open)
        async with aclosing(self._model.ask(request)) as answer:
            async for piece in answer:
                yield piece

    def _open(self) -> "ProviderModel":
        from stenograph_services.orchestrator.models.direct import ProviderModel

        return ProviderModel(open_model(self._address), timeout_seconds=self._timeout_seconds)
