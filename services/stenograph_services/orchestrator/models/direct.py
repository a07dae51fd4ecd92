"""Ask a provider: one streamed request, its deltas, and one finished answer or one `ModelError`."""

from collections.abc import AsyncGenerator, Iterator
from typing import Any

from pydantic_ai import messages as wire
from pydantic_ai.direct import model_request_stream
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.settings import ModelSettings, ThinkingLevel
from pydantic_ai.tools import ToolDefinition

from stenograph_services.orchestrator.models.conversation import arguments_text, to_messages, to_response
from stenograph_services.orchestrator.models.failures import model_error
from stenograph_services.orchestrator.models.request import (
    CallPiece,
    Delta,
    ModelRequest,
    ModelResponse,
    Reasoning,
    Text,
)
from stenograph_services.protocol.agent import Tool


class ProviderModel:
    """A provider's model behind our `Model`. An answer that takes over `timeout_seconds` in all has failed."""

    def __init__(self, model: Model[Any], *, timeout_seconds: float) -> None:
        self.model = model
        self.timeout_seconds = timeout_seconds

    async def ask(self, request: ModelRequest) -> AsyncGenerator[Delta | ModelResponse, None]:
        """Yield deltas as they come, then the answer. A stream that is cut is a `ModelError`, never half an answer."""
        deltas = Deltas()
        try:
            async with model_request_stream(
                self.model,
                to_messages(request),
                model_settings=self._settings(request),
                model_request_parameters=_parameters(request),
                instrument=False,
            ) as stream:
                async for event in stream:
                    for delta in deltas.of(event):
                        yield delta
                answer = to_response(stream.get())
        except Exception as error:
            raise model_error(error, request.model) from error
        yield answer

    def _settings(self, request: ModelRequest) -> ModelSettings:
        settings = ModelSettings(timeout=self.timeout_seconds, request_timeout=self.timeout_seconds)
        if request.temperature is not None:
            settings["temperature"] = request.temperature
        if request.thinking is not None:
            settings["thinking"] = _thinking(request.thinking)
        return settings


def _thinking(level: str) -> ThinkingLevel:
    return level  # type: ignore[return-value]  # the protocol allows low, medium and high only


def _parameters(request: ModelRequest) -> ModelRequestParameters:
    return ModelRequestParameters(function_tools=[_definition(tool) for tool in request.tools])


def _definition(tool: Tool) -> ToolDefinition:
    # Not strict: a vendor's strict mode rewrites the schema, and the arguments are validated against ours.
    return ToolDefinition(
        name=tool.name, parameters_json_schema=tool.parameters.json, description=tool.description, strict=False
    )


class Deltas:
    """Turns the client's events into deltas; numbers the calls, which the client counts among all parts."""

    def __init__(self) -> None:
        self._calls: dict[int, tuple[int, str]] = {}

    def of(self, event: wire.ModelResponseStreamEvent) -> Iterator[Delta]:
        """Yield the delta that `event` brings, if any: some only mark a beginning or an end."""
        match event:
            case wire.PartStartEvent(part=wire.TextPart(content=text)) if text:
                yield Text(text)
            case wire.PartStartEvent(part=wire.ThinkingPart(content=text)) if text:
                yield Reasoning(text)
            case wire.PartStartEvent(part=wire.ToolCallPart() as call):
                index, tool = self._calls.setdefault(event.index, (len(self._calls), call.tool_name))
                yield CallPiece(index, tool, arguments_text(call.args))
            case wire.PartDeltaEvent(delta=wire.TextPartDelta(content_delta=text)) if text:
                yield Text(text)
            case wire.PartDeltaEvent(delta=wire.ThinkingPartDelta(content_delta=text)) if text:
                yield Reasoning(text)
            case wire.PartDeltaEvent(delta=wire.ToolCallPartDelta(args_delta=arguments)) if arguments:
                index, tool = self._calls[event.index]
                yield CallPiece(index, tool, arguments_text(arguments))
