"""From a provider's finished answer to ours: `to_response`. An answer that is not finished is none."""

from decimal import Decimal

import msgspec
from pydantic_ai import messages as wire
from pydantic_ai.usage import RequestUsage

from stenograph_events.values import ReasoningPart, TextPart, Usage
from stenograph_services.orchestrator.models.deltas import arguments_text
from stenograph_services.orchestrator.models.prices import price
from stenograph_services.orchestrator.models.providers import Address
from stenograph_services.orchestrator.models.request import CallWanted, ModelError, ModelResponse

FINISH_REASONS = {"stop": "stop", "tool_call": "tool-calls", "length": "length", "content_filter": "content-filter"}


def to_response(answer: wire.ModelResponse, address: Address) -> ModelResponse:
    """Return a finished answer of the model at `address` as the log takes it.

    Raises `ModelError` when it is not finished: a provider always says why it stopped, unless the stream was cut.
    """
    reason = _finish_reason(answer, address.name)
    parts: list[TextPart | ReasoningPart] = []
    calls: list[CallWanted] = []
    for part in answer.parts:
        match part:
            case wire.TextPart(content=text) if text:
                parts += [*_carried_signature(part), TextPart(text)]
            case wire.ThinkingPart(content=text, signature=signature) if text or signature:
                parts.append(ReasoningPart(text, signature, part.provider_name, _place(part)))
            case wire.ToolCallPart():
                parts += _carried_signature(part)
                calls.append(CallWanted(part.tool_name, arguments_text(part.args) or "{}"))
    return ModelResponse(
        parts=tuple(parts),
        calls=tuple(calls),
        finish_reason="tool-calls" if calls and reason == "stop" else reason,
        usage=usage_of(answer.usage),
        model=answer.model_name or address.model,
        provider=address.provider,
        cost_usd=_cost(answer, address),
    )


def usage_of(usage: RequestUsage) -> Usage | None:
    """Return the tokens as the provider counted them; None if it did not."""
    if not usage.has_values():
        return None
    return Usage(usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens)


def _cost(answer: wire.ModelResponse, address: Address) -> Decimal | None:
    if answer.usage.cost is not None:  # some providers say it themselves
        return answer.usage.cost
    usage = usage_of(answer.usage)
    return price(address.name, usage, answer.provider_details) if usage else None


def _finish_reason(answer: wire.ModelResponse, model: str) -> str:
    said = (answer.provider_details or {}).get("finish_reason")
    if answer.finish_reason == "error":
        raise ModelError("provider-error", f"{model} gave up its answer: {said}.", retryable=True)
    # A client may invent a reason where none came; what the provider itself said is in the details.
    if answer.state == "incomplete" or (said is None and answer.finish_reason != "content_filter"):
        raise ModelError("connection", f"The answer of {model} ended in its middle.", retryable=True)
    return FINISH_REASONS.get(answer.finish_reason or "", "other")


def _place(part: wire.ThinkingPart) -> str | None:
    """Return the provider's word for where the reasoning stood; OpenRouter's is an object that goes back as it came."""
    details = part.provider_details or {}
    if not str(details.get("type", "")).startswith("reasoning."):
        return part.id
    return msgspec.json.encode(details | {"id": part.id}).decode()


def _carried_signature(part: wire.TextPart | wire.ToolCallPart) -> list[ReasoningPart]:
    """Return the signature that Gemini hangs on a text or a call as the empty reasoning before it.

    Sent back, reasoning hands its signature to the part that follows, which is where this one came from.
    """
    signature = (part.provider_details or {}).get("thought_signature")
    return [ReasoningPart("", signature, part.provider_name)] if signature else []
