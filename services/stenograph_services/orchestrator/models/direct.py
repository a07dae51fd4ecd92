"""Ask a provider: one streamed request, its deltas, and one finished answer or one `ModelError`."""

from collections.abc import AsyncGenerator
from typing import Any

from pydantic_ai.direct import model_request_stream
from pydantic_ai.models import Model, StreamedResponse

from stenograph_services.orchestrator.models.answers import to_response, usage_of
from stenograph_services.orchestrator.models.conversation import to_messages
from stenograph_services.orchestrator.models.deltas import Deltas
from stenograph_services.orchestrator.models.failures import model_error
from stenograph_services.orchestrator.models.loops import LoopGuard
from stenograph_services.orchestrator.models.providers import Address
from stenograph_services.orchestrator.models.request import Delta, ModelRequest, ModelResponse
from stenograph_services.orchestrator.models.settings import parameters_for, settings_for


class ProviderModel:
    """A provider's model behind our `Model`. An answer that takes over `timeout_seconds` in all has failed."""

    def __init__(self, model: Model[Any], address: Address, *, timeout_seconds: float) -> None:
        self.model = model
        self.address = address
        self.timeout_seconds = timeout_seconds

    async def ask(self, request: ModelRequest) -> AsyncGenerator[Delta | ModelResponse, None]:
        """Yield deltas as they come, then the answer. A stream that is cut is a `ModelError`, never half an answer."""
        deltas = Deltas(LoopGuard() if request.loop_guard else None)
        stream: StreamedResponse | None = None
        try:
            async with self._open(request) as stream:
                async for event in stream:
                    for delta in deltas.of(event):
                        yield delta
                answer = to_response(stream.get(), self.address)
        except Exception as error:
            raise model_error(error, request, usage_of(stream.usage) if stream else None) from error
        yield answer

    def _open(self, request: ModelRequest) -> Any:
        profile = self.model.profile
        seconds = min(self.timeout_seconds, request.seconds or self.timeout_seconds)
        return model_request_stream(
            self.model,
            to_messages(request, profile),
            model_settings=settings_for(request, self.address, profile, seconds),
            model_request_parameters=parameters_for(request, profile),
            instrument=False,
        )
