"""From our messages to a provider's: `to_messages`, before a request.

    user "Hello"                         ModelRequest(SystemPromptPart, UserPromptPart)
    assistant "Let me see", call c1      ModelResponse(TextPart, ToolCallPart "c1")
    reply to c1, user "And?"             ModelRequest(ToolReturnPart "c1", UserPromptPart)

What stands between two responses travels as one request, because some providers want all results in one message.
`to_messages` runs over the whole thread before every question, so it builds each part once and copies nothing.
"""

from collections.abc import Sequence

import msgspec
from pydantic_ai import messages as wire
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.usage import RequestUsage

from stenograph_events.values import (
    Call,
    FilePart,
    ReasoningPart,
    TextPart,
)
from stenograph_projections.transcript import Message, Reply
from stenograph_services.orchestrator.models.files import file_content
from stenograph_services.orchestrator.models.preview import DEFAULT_TOKENS, preview
from stenograph_services.orchestrator.models.reading import message_text, result_text
from stenograph_services.orchestrator.models.request import ModelRequest
from stenograph_services.orchestrator.models.settings import told_schema

CHAT_REASONING = ("reasoning", "reasoning_content")  # the fields of chat completions that go back as they came
NO_USAGE = RequestUsage()  # what an old response cost is not sent; one for all spares 4,000 of them

OUTCOMES = {
    "succeeded": "success",
    "failed": "failed",
    "timed-out": "failed",
    "unknown": "failed",
    "refused": "failed",
    "cancelled": "interrupted",
}

NO_PROFILE = ModelProfile()


def to_messages(request: ModelRequest, profile: ModelProfile = NO_PROFILE) -> list[wire.ModelMessage]:
    """Return the thread of `request`, system prompt first, as the client of a model with `profile` takes it.

    Reasoning goes back only to the provider that can check it, and is left out for any other.
    """
    provider = request.model.partition("/")[0]
    messages: list[wire.ModelMessage] = []
    # One part: some servers take a single system message only.
    system = "\n\n".join(text for text in (request.system, told_schema(request, profile)) if text)
    told: list[wire.ModelRequestPart] = [wire.SystemPromptPart(system)] if system else []
    tools: dict[str, str] = {}
    for entry in request.messages:
        if isinstance(entry, Reply):
            told.append(_tool_return(entry, tools.get(entry.call, "tool"), request.max_tool_output_tokens))
        elif entry.role == "assistant":
            if told:
                messages.append(wire.ModelRequest(told))
            for call in entry.calls:
                tools[call.call] = call.tool
            messages.append(_assistant(entry, provider))
            told = _rejection(entry)
        elif said := _said(entry, profile):
            told.append(said)
    if told:
        messages.append(wire.ModelRequest(told))
    return messages


def _said(message: Message, profile: ModelProfile) -> wire.ModelRequestPart | None:
    if message.role == "system":
        text = message_text(message)
        return wire.SystemPromptPart(text, timestamp=message.at) if text else None
    content = _content(message, profile)
    return wire.UserPromptPart(content, timestamp=message.at) if content else None


def _content(message: Message, profile: ModelProfile) -> str | Sequence[wire.UserContent]:
    if not any(isinstance(part, FilePart) for part in message.parts):
        return message_text(message)
    content: list[wire.UserContent] = []
    for part in message.parts:
        if isinstance(part, FilePart):
            content.append(file_content(part, profile))
        elif part.text:
            content.append(part.text)
    return content


def _assistant(message: Message, provider: str) -> wire.ModelResponse:
    parts: list[wire.ModelResponsePart] = []
    for part in message.parts:
        if isinstance(part, TextPart):
            parts.append(wire.TextPart(part.text))
        elif isinstance(part, ReasoningPart) and _returns(part, provider):
            parts.append(_thinking(part))
    for call in message.calls:
        parts.append(wire.ToolCallPart(call.tool, _arguments(call), call.call))
    return wire.ModelResponse(parts, usage=NO_USAGE, timestamp=message.at)


def _rejection(message: Message) -> list[wire.ModelRequestPart]:
    """Return what an answer that should have been a JSON value, and is none, is followed by in the model's view."""
    if message.rejected is None:
        return []
    text = f"Your answer is not accepted: {message.rejected}\n\nAnswer again, with the JSON value alone."
    return [wire.UserPromptPart(text, timestamp=message.at)]


def _returns(part: ReasoningPart, provider: str) -> bool:
    """Tell whether `provider` takes this reasoning back. Shown to anybody else it would turn into visible text."""
    if part.provider != provider:
        return False
    # An item of the Responses API is refused without the very items that followed it, which the log does not hold.
    return part.id in CHAT_REASONING or _is_detail(part.id) or (part.signature is not None and provider != "openai")


def _thinking(part: ReasoningPart) -> wire.ThinkingPart:
    details = msgspec.json.decode(part.id, type=dict) if part.id and _is_detail(part.id) else None
    identity = details.pop("id", None) if details else part.id
    return wire.ThinkingPart(
        part.text,
        id=identity,
        signature=part.signature,
        provider_name=part.provider,
        provider_details=details,
    )


def _is_detail(identity: str | None) -> bool:
    """Tell whether an id is one of OpenRouter's `reasoning_details`; `answers.py` writes them."""
    return identity is not None and identity.startswith("{")


def _arguments(call: Call) -> str:
    # Text that is not a JSON object is wrapped into one by the client, because no provider takes it back as it is.
    return call.malformed if call.malformed is not None else str(call.arguments, "utf-8")


def _tool_return(reply: Reply, tool: str, tokens: int | None) -> wire.ToolReturnPart:
    text = result_text(reply)
    return wire.ToolReturnPart(
        tool,
        preview(text, DEFAULT_TOKENS if tokens is None else tokens),
        reply.call,
        timestamp=reply.at,
        outcome=OUTCOMES[reply.outcome],  # type: ignore[arg-type]  # the values are the literals it wants
    )
