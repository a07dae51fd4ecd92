"""The events of a turn's stream, as the gateway sends them and as `HttpSession.trigger` yields them.

    {"type":"text-delta","id":"p1","delta":"You are on "}     TextDelta(id="p1", delta="You are on ")

An event that a later gateway added comes as `OtherEvent`.
"""

from typing import Any

import msgspec

from stenograph_sdk.errors import StenographSdkError


class UnreadableEvent(StenographSdkError):
    """A line of the stream is no event."""


class StreamEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", rename="camel"):
    """What every event is."""


class Start(StreamEvent, frozen=True, kw_only=True, tag="start"):
    """Each leg begins with it. `execution_id` is the id of the turn, the same in every leg."""

    execution_id: str
    session_id: str | None = None


class Finish(StreamEvent, frozen=True, kw_only=True, tag="finish"):
    """The turn is over, or, with "client-tool-calls", waits for results: see `ClientToolRequest`."""

    finish_reason: str
    execution_id: str | None = None


class StreamError(StreamEvent, frozen=True, kw_only=True, tag="error"):
    """The turn failed. `retry_after` is in seconds."""

    error_type: str
    message: str
    retryable: bool = False
    source: str = "platform"
    retry_after: float | None = None
    code: str | None = None
    provider: dict[str, Any] | None = None


class BlockStart(StreamEvent, frozen=True, kw_only=True, tag="block-start"):
    """A block of the handler begins. `thread`: what it says belongs to that one, not to the chat."""

    block_id: str
    block_name: str
    block_type: str
    display: str = "hidden"
    description: str | None = None
    output_to_chat: bool = True
    thread: str | None = None


class BlockEnd(StreamEvent, frozen=True, kw_only=True, tag="block-end"):
    block_id: str


class TextStart(StreamEvent, frozen=True, kw_only=True, tag="text-start"):
    """A text begins. With `response_type` it is one JSON value of that type."""

    id: str
    response_type: str | None = None


class TextDelta(StreamEvent, frozen=True, kw_only=True, tag="text-delta"):
    id: str
    delta: str


class TextEnd(StreamEvent, frozen=True, kw_only=True, tag="text-end"):
    id: str


class ReasoningStart(StreamEvent, frozen=True, kw_only=True, tag="reasoning-start"):
    id: str


class ReasoningDelta(StreamEvent, frozen=True, kw_only=True, tag="reasoning-delta"):
    id: str
    delta: str


class ReasoningEnd(StreamEvent, frozen=True, kw_only=True, tag="reasoning-end"):
    id: str


class ToolInputStart(StreamEvent, frozen=True, kw_only=True, tag="tool-input-start"):
    tool_call_id: str
    tool_name: str
    title: str | None = None


class ToolInputDelta(StreamEvent, frozen=True, kw_only=True, tag="tool-input-delta"):
    tool_call_id: str
    input_text_delta: str


class ToolInputEnd(StreamEvent, frozen=True, kw_only=True, tag="tool-input-end"):
    tool_call_id: str


class ToolInputAvailable(StreamEvent, frozen=True, kw_only=True, tag="tool-input-available"):
    tool_call_id: str
    tool_name: str
    input: Any = None


class ToolProgress(StreamEvent, frozen=True, kw_only=True, tag="tool-progress"):
    """How far a worker is with a call: a line for people, how much is done, and of how much."""

    tool_call_id: str
    text: str = ""
    done: float | None = None
    total: float | None = None


class ToolOutputAvailable(StreamEvent, frozen=True, kw_only=True, tag="tool-output-available"):
    """A tool answered: a worker's, or a handler of this client's."""

    tool_call_id: str
    output: Any = None


class ToolOutputError(StreamEvent, frozen=True, kw_only=True, tag="tool-output-error"):
    tool_call_id: str
    error: str


class FileAvailable(StreamEvent, frozen=True, kw_only=True, tag="file-available"):
    id: str
    media_type: str
    url: str
    filename: str | None = None
    size: int | None = None
    tool_call_id: str | None = None


class ResourceUpdate(StreamEvent, frozen=True, kw_only=True, tag="resource-update"):
    name: str
    value: Any = None


class ToolCall(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A call that this client is to answer. A tool's parameter with this annotation receives it."""

    tool_call_id: str
    tool_name: str
    args: dict[str, Any] = {}
    output_variable: str | None = None
    block_index: int | None = None
    thread: str | None = None
    worker_id: str | None = None


class ToolResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The answer to a call: its `result`, or, if it failed, its `error`."""

    tool_call_id: str
    tool_name: str | None = None
    result: Any = None
    error: str | None = None


class ToolRequest(StreamEvent, frozen=True, kw_only=True, tag="tool-request"):
    """The calls that end a leg. The client takes it itself; see `ClientToolRequest` for what is passed on."""

    tool_calls: tuple[ToolCall, ...]


class ClientToolRequest(StreamEvent, frozen=True, kw_only=True, tag="client-tool-request"):
    """The turn waits for calls that no handler is there for. Answer all with `session.resume`, from any process.

    `results` are those of the calls of the same step that had a handler: pass them on, together with yours.
    """

    execution_id: str
    tool_calls: tuple[ToolCall, ...]
    results: tuple[ToolResult, ...] = ()


class OtherEvent(msgspec.Struct, frozen=True):
    """An event of a type that this version does not know."""

    type: str
    fields: dict[str, Any]


_KNOWN = (
    Start | Finish | StreamError | BlockStart | BlockEnd | TextStart | TextDelta | TextEnd
    | ReasoningStart | ReasoningDelta | ReasoningEnd
    | ToolInputStart | ToolInputDelta | ToolInputEnd | ToolInputAvailable
    | ToolProgress | ToolOutputAvailable | ToolOutputError
    | FileAvailable | ResourceUpdate | ToolRequest
)  # fmt: skip
_TAGS = {str(kind.__struct_config__.tag) for kind in _KNOWN.__args__}
_decoder: msgspec.json.Decoder[StreamEvent] = msgspec.json.Decoder(_KNOWN)


def decode_event(data: bytes | str) -> StreamEvent | OtherEvent:
    """Return the event that one `data:` line holds; raise `UnreadableEvent` if it holds none."""
    try:
        return _decoder.decode(data)
    except msgspec.MsgspecError as error:
        return _other(data, error)


def _other(data: bytes | str, error: msgspec.MsgspecError) -> OtherEvent:
    try:
        fields = msgspec.json.decode(data)
    except msgspec.MsgspecError:
        fields = None
    if not isinstance(fields, dict) or not isinstance(fields.get("type"), str) or fields["type"] in _TAGS:
        raise UnreadableEvent(f"the stream holds what is no event: {error}") from error
    return OtherEvent(fields.pop("type"), fields)
