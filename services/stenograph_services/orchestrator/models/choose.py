"""Which model answers: the name in the agent's settings, such as `openai/gpt-5-mini` or `scripted/support`."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from functools import lru_cache
from typing import TYPE_CHECKING

from stenograph_services.orchestrator.models.keys import read_keys
from stenograph_services.orchestrator.models.opening import open_model
from stenograph_services.orchestrator.models.providers import Address, address_of, with_servers
from stenograph_services.orchestrator.models.request import Delta, Model, ModelError, ModelRequest, ModelResponse
from stenograph_services.orchestrator.models.scripted import ScriptedModel, ScriptError
from stenograph_services.runtime.config import Settings

if TYPE_CHECKING:
    import httpx2

    from stenograph_services.orchestrator.models.direct import ProviderModel

SCRIPTED = "scripted/"
MOST_SCRIPTS = 256  # parsed scripts kept; a changed script is a new one
MOST_MODELS = 256  # opened models kept: a trigger's input may name the model, so their number is not ours


class Models:
    """Every model of this process, each opened once.

    Raises `InvalidSetting` if the providers or the tenants' keys that `settings` name cannot be.
    """

    def __init__(self, settings: Settings) -> None:
        self._timeout_seconds = settings.model_timeout_seconds
        self._providers = with_servers(settings.providers)
        self._keys = read_keys(settings.tenant_keys)
        self._opener = Opener()
        self._opened: OrderedDict[Address, OpenedWhenAsked] = OrderedDict()
        self._script = lru_cache(MOST_SCRIPTS)(ScriptedModel)

    def for_agent(self, model: str, scripts: Mapping[str, str], *, tenant: str = "default") -> Model:
        """Return the model named `model`; `scripts` are the agent's own, text by name. Cheap, connects to nothing.

        Raises `ModelError`: `unknown-provider`, `authentication`, or `bad-script`.
        """
        if model.startswith(SCRIPTED):
            return self._scripted(model.removeprefix(SCRIPTED), scripts)
        address = address_of(model, self._keys, tenant, self._providers)
        if address not in self._opened:
            self._opened[address] = OpenedWhenAsked(address, self._opener, self._timeout_seconds)
            if len(self._opened) > MOST_MODELS:
                self._opened.popitem(last=False)
        self._opened.move_to_end(address)
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


class Opener:
    """Opens models, one at a time, on one HTTP client for all.

    Importing a vendor's package takes seconds, so a thread does it: the deliveries of other sessions need their
    heartbeats meanwhile.
    """

    def __init__(self) -> None:
        self._one = asyncio.Lock()
        self._http: httpx2.AsyncClient | None = None

    async def open(self, address: Address, timeout_seconds: float) -> "ProviderModel":
        async with self._one:
            return await asyncio.to_thread(self._open, address, timeout_seconds)

    def _open(self, address: Address, timeout_seconds: float) -> "ProviderModel":
        from stenograph_services.orchestrator.models.bounded import http_client
        from stenograph_services.orchestrator.models.direct import ProviderModel
        from stenograph_services.orchestrator.models.prices import window

        self._http = self._http or http_client()
        window(address.name)  # reads the list of prices, which whoever decides would have to wait for otherwise
        return ProviderModel(open_model(address, self._http), address, timeout_seconds=timeout_seconds)


class OpenedWhenAsked:
    """A provider's model that is opened with its first question."""

    def __init__(self, address: Address, opener: Opener, timeout_seconds: float) -> None:
        self._address = address
        self._opener = opener
        self._timeout_seconds = timeout_seconds
        self._model: ProviderModel | None = None

    def ask(self, request: ModelRequest) -> AsyncIterator[Delta | ModelResponse]:
        """Answer as the provider does."""
        return self._model.ask(request) if self._model else self._open_and_ask(request)

    async def _open_and_ask(self, request: ModelRequest) -> AsyncIterator[Delta | ModelResponse]:
        if self._model is None:
            self._model = await self._opener.open(self._address, self._timeout_seconds)
        async with aclosing(self._model.ask(request)) as answer:
            async for piece in answer:
                yield piece
