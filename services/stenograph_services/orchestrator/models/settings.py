"""From what an agent wishes to the settings of the provider's client; what a model does not know is left out.

thinking         off, low, medium, high, max    off: as little as the model can; max: the most it has
cache            auto, extended, off            extended: the longest retention up to an hour that there is
speed            fast                           OpenAI, Google: the priority tier; Claude: its fast mode
response         a JSON Schema                  the vendor's structured output, or told in the system prompt
"""

from collections.abc import Mapping
from typing import Any, cast

import msgspec
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.settings import CacheSetting, ModelSettings
from pydantic_ai.tools import ToolDefinition

from stenograph_services.orchestrator.models.providers import Address
from stenograph_services.orchestrator.models.request import ModelRequest
from stenograph_services.protocol.agent import Tool

CACHE: Mapping[str, CacheSetting] = {"auto": True, "extended": "1h", "off": False}


def settings_for(request: ModelRequest, address: Address, profile: ModelProfile, seconds: float) -> ModelSettings:
    """Return how the model at `address` is asked; `seconds` is the longest that the whole answer may take."""
    settings = ModelSettings(timeout=seconds, request_timeout=seconds, cache=CACHE[request.cache])
    if request.temperature is not None:
        settings["temperature"] = request.temperature
    if request.max_output_tokens is not None:
        settings["max_tokens"] = request.max_output_tokens
    if request.thinking is not None:
        settings["thinking"] = False if request.thinking == "off" else cast("Any", request.thinking)
    if request.speed == "fast":
        settings.update(_fast(address, profile))
    return settings


def _fast(address: Address, profile: ModelProfile) -> ModelSettings:
    knows: Mapping[str, Any] = cast("Any", profile)
    if address.dialect == "anthropic" and knows.get("anthropic_supports_fast_speed"):
        return cast("ModelSettings", {"anthropic_speed": "fast"})
    # A server of one's own refuses a field that it does not know.
    has_tiers = address.dialect == "google" or (address.dialect == "openai" and address.base_url is None)
    return ModelSettings(service_tier="priority") if has_tiers else ModelSettings()


def parameters_for(request: ModelRequest, profile: ModelProfile) -> ModelRequestParameters:
    """Return the tools, and the form of the answer where the vendor enforces one."""
    tools = [_definition(tool) for tool in request.tools]
    if request.response is None or not enforces_schema(request, profile):
        return ModelRequestParameters(function_tools=tools)
    return ModelRequestParameters(
        function_tools=tools,
        output_mode="native",
        output_object=OutputObjectDefinition(request.response.json, name=request.response_type),
    )


def enforces_schema(request: ModelRequest, profile: ModelProfile) -> bool:
    """Tell whether the vendor itself sees to it that the answer fits: an object, of a model that can."""
    if request.response is None or request.response.json.get("type") != "object":
        return False
    knows: Mapping[str, Any] = cast("Any", profile)
    # Gemini before 3 takes tools or a schema, not both; other vendors' profiles do not speak of it.
    both = not request.tools or "google_supports_tool_combination" not in knows
    return bool(profile.get("supports_json_schema_output")) and (both or knows["google_supports_tool_combination"])


def told_schema(request: ModelRequest, profile: ModelProfile) -> str | None:
    """Return what the system prompt has to say about the form of the answer, if the vendor does not enforce it."""
    if request.response is None or enforces_schema(request, profile):
        return None
    schema = msgspec.json.encode(request.response.json).decode()
    return f"Answer with one JSON value that fits this JSON Schema, and with nothing before or after it:\n\n{schema}"


def _definition(tool: Tool) -> ToolDefinition:
    # Not strict: a vendor's strict mode rewrites the schema, and the arguments are validated against ours.
    return ToolDefinition(
        name=tool.name, parameters_json_schema=tool.parameters.json, description=tool.description, strict=False
    )
