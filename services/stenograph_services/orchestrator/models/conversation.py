"""From our messages to a provider's and back: `to_messages` before a request, `to_response` after it.

    user "Hello"                         ModelRequest(SystemPromptPart, UserPromptPart)
    assistant "Let me see", call c1      ModelResponse(TextPart, ToolCallPart "c1")
    reply to c1, user "And?"             ModelRequest(ToolReturnPart "c1", UserPromptPart)

What stands between two responses travels as one request, because some providers want all results in one message.
`to_messages` runs over the whole thread before every question, so it builds each part once and copies nothing.
"""

import msgspec
from pydantic_ai import messages as wire
from pydantic_ai.usage import RequestUsage

from stenograph_events.types import Call, ReasoningPart, TextPart, Usage
from stenograph_projections.transcript import Message, Reply
from stenograph_services.orchestrator.models.reading import message_text, result_text
from stenograph_services.orchestrator.models.request import CallWanted, ModelError, ModelRequest, ModelResponse

CHAT_REASONING = ("reasoning", "reasoning_content")  # the fields of chat completions that go back as they came
NO_USAGE = RequestUsage()  # what an old response cost is not sent; one for all spares 4,000 of them

FINISH_REASONS = {"stop": "stop", "tool_call": "tool-calls", "length": "length", "content_filter": "content-filter"}

OUTCOMES = {
    "succeeded": "success",
    "failed": "failed",
    "timed-out": "failed",
    "unknown": "failed",
    "refused": "failed",
    "cancelled": "interrupted",
}


def to_messages(request: ModelRequest) -> list[wire.ModelMessage]:
    """Return the thread of `request`, system prompt first, as the provider's client takes it.

    Reasoning goes back only to the provider that can check it, and is left out for any other.
    """
    provider = request.model.partition("/")[0]
    messages: list[wire.ModelMessage] = []
    told: list[wire.ModelRequestPart] = [wire.SystemPromptPart(request.system)] if request.system else []
    tools: dict[str, str] = {}
    for entry in request.messages:
        if isinstance(entry, Reply):
            told.append(_tool_return(entry, tools.get(entry.call, "tool")))
        elif entry.role == "assistant":
            if told:
                messages.append(wire.ModelRequest(told))
                told = []
            for call in entry.calls:
                tools[call.call] = call.tool
            messages.append(_assistant(entry, provider))
        elif text := message_text(entry):
            told.append(
                wire.UserPromptPart(text, timestamp=entry.at)
                if entry.role == "user"
                else wire.SystemPromptPart(text, timestamp=entry.at)
            )
    if told:
        messages.append(wire.ModelRequest(told))
    return messages


def _assistant(message: Message, provider: str) -> wire.ModelResponse:
    parts: list[wire.ModelResponsePart] = []
    for part in message.parts:
        if isinstance(part, TextPart):
            parts.append(wire.TextPart(part.text))
        elif _returns(part, provider):
            parts.append(
                wire.ThinkingPart(part.text, id=part.id, signature=part.signature, provider_name=part.provider)
            )
    for call in message.calls:
        parts.append(wire.ToolCallPart(call.tool, _arguments(call), call.call))
    return wire.ModelResponse(parts, usage=NO_USAGE, timestamp=message.at)


def _returns(part: ReasoningPart, provider: str) -> bool:
    """Tell whether `provider` takes this reasoning back. Shown to anybody else it would turn into visible text."""
    if part.provider != provider:
        return False
    # An item of the Responses API is refused without the very items that followed it, which the log does not hold.
    return part.id in CHAT_REASONING if provider == "openai" else part.signature is not None


def _arguments(call: Call) -> str:
    # Text that is not a JSON object is wrapped into one by the client, because no provider takes it back as it is.
    return call.malformed if call.malformed is not None else str(call.arguments, "utf-8")


def _tool_return(reply: Reply, tool: str) -> wire.ToolReturnPart:
    return wire.ToolReturnPart(
        tool,
        result_text(reply),
        reply.call,
        timestamp=reply.at,
        outcome=OUTCOMES[reply.outcome],  # type: ignore[arg-type]  # the values are the literals it wants
    )


def to_response(answer: wire.ModelResponse) -> ModelResponse:
    """Return a finished answer as the log takes it.

    Raises `ModelError` when it is not finished: a provider always says why it stopped, unless the stream was cut.
    """
    reason = _finish_reason(answer)
    parts: list[TextPart | ReasoningPart] = []
    calls: list[CallWanted] = []
    for part in answer.parts:
        match part:
            case wire.TextPart(content=text) if text:
                parts += [*_carried_signature(part), TextPart(text)]
            case wire.ThinkingPart(content=text, signature=signature) if text or signature:
                parts.append(ReasoningPart(text, signature, part.provider_name, part.id))
            case wire.ToolCallPart():
                parts += _carried_signature(part)
                calls.append(CallWanted(part.tool_name, arguments_text(part.args) or "{}"))
    return ModelResponse(
        parts=tuple(parts),
        calls=tuple(calls),
        finish_reason="tool-calls" if calls and reason == "stop" else reason,
        usage=_usage(answer.usage),
        model=answer.model_name or "",
    )


def arguments_text(arguments: object) -> str:
    """Return arguments as the model wrote them; a provider that parses them gets them written again."""
    if arguments is None:
        return ""
    return arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()


def _finish_reason(answer: wire.ModelResponse) -> str:
    said = (answer.provider_details or {}).get("finish_reason")
    if answer.finish_reason == "error":
        raise ModelError("provider-error", f"{answer.model_name} gave up its answer: {said}.", retryable=True)
    # A client may invent a reason where none came; what the provider itself said is in the details.
    if answer.state == "incomplete" or (said is None and answer.finish_reason != "content_filter"):
        raise ModelError("connection", f"The answer of {answer.model_name} ended in its middle.", retryable=True)
    return FINISH_REASONS.get(answer.finish_reason or "", "other")


def _carried_signature(part: wire.TextPart | wire.ToolCallPart) -> list[ReasoningPart]:
    """Return the signature that Gemini hangs on a text or a call as the empty reasoning before it.

    Sent back, reasoning hands its signature to the part that follows, which is where this one came from.
    """
    signature = (part.provider_details or {}).get("thought_signature")
    return [ReasoningPart("", signature, part.provider_name)] if signature else []


def _usage(usage: RequestUsage) -> Usage | None:
    if not usage.has_values():
        return None
    return Usage(usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens)
