"""The events of a stream, as version 2.0.0 of the protocol reads them. What is optional is left out, never null.

{"type":"start","executionId":"91d2…"}
{"type":"text-delta","id":"p1","delta":"You are on "}
{"type":"finish","finishReason":"stop"}
"""

from typing import Literal

import msgspec
from msgspec import Raw

from stenograph_events.values import OptionalRaw

FinishReason = Literal["stop", "tool-calls", "length", "content-filter", "error", "other"]
Source = Literal["platform", "provider", "tool", "client"]


class StreamEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", rename="camel"):
    """`worker_id`: it is of the run of a child agent, which that id names."""

    worker_id: str | None = None


class Start(StreamEvent, frozen=True, tag="start"):
    """What every leg of a turn begins with. `session_id`: the session was made for this turn."""

    execution_id: str
    session_id: str | None = None


class Finish(StreamEvent, frozen=True, tag="finish"):
    finish_reason: FinishReason


class Provider(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    name: str
    model: str | None = None
    status_code: int | None = None


class StreamError(StreamEvent, frozen=True, tag="error"):
    """How a stream ends that does not finish."""

    error_type: str
    message: str
    retryable: bool
    source: Source
    retry_after: int | None = None
    """Seconds."""
    code: str | None = None
    provider: Provider | None = None


class BlockStart(StreamEvent, frozen=True, tag="block-start"):
    block_id: str
    block_name: str
    block_type: str
    display: str
    description: str | None = None
    output_to_chat: bool | None = None
    thread: str | None = None


class BlockEnd(StreamEvent, frozen=True, tag="block-end"):
    block_id: str


class TextStart(StreamEvent, frozen=True, tag="text-start"):
    """`response_type`: what follows is one JSON value of that type."""

    id: str
    response_type: str | None = None


class TextDelta(StreamEvent, frozen=True, tag="text-delta"):
    id: str
    delta: str


class TextEnd(StreamEvent, frozen=True, tag="text-end"):
    id: str


class ReasoningStart(StreamEvent, frozen=True, tag="reasoning-start"):
    id: str


class ReasoningDelta(StreamEvent, frozen=True, tag="reasoning-delta"):
    id: str
    delta: str


class ReasoningEnd(StreamEvent, frozen=True, tag="reasoning-end"):
    id: str


class ToolInputStart(StreamEvent, frozen=True, tag="tool-input-start"):
    tool_call_id: str
    tool_name: str
    title: str | None = None


class ToolInputDelta(StreamEvent, frozen=True, tag="tool-input-delta"):
    tool_call_id: str
    input_text_delta: str


class ToolInputEnd(StreamEvent, frozen=True, tag="tool-input-end"):
    tool_call_id: str


class ToolInputAvailable(StreamEvent, frozen=True, tag="tool-input-available"):
    tool_call_id: str
    tool_name: str
    input: Raw


class ToolOutputAvailable(StreamEvent, frozen=True, tag="tool-output-available"):
    tool_call_id: str
    output: Raw


class ToolOutputError(StreamEvent, frozen=True, tag="tool-output-error"):
    tool_call_id: str
    error: str


class ClientCall(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A call that the client is to answer. `output_variable` and `block_index` say what becomes of the result."""

    tool_call_id: str
    tool_name: str
    args: Raw
    source: Literal["llm", "block"] | None = None
    output_variable: str | None = None
    block_index: int | None = None
    thread: str | None = None


class ToolRequest(StreamEvent, frozen=True, tag="tool-request"):
    """All calls that the turn waits for. A leg has one at most, and ends with it."""

    tool_calls: list[ClientCall]


class FileAvailable(StreamEvent, frozen=True, tag="file-available"):
    id: str
    media_type: str
    url: str
    filename: str | None = None
    size: int | None = None


class ResourceUpdate(StreamEvent, frozen=True, tag="resource-update"):
    name: str
    value: Raw


class WorkerResult(StreamEvent, frozen=True, tag="worker-result"):
    """What an agent of format worker came to. Version 2.0.0 does not know it."""

    worker_id: str
    output: OptionalRaw = None
    error: str | None = None


_encoder = msgspec.json.Encoder()

HEARTBEAT = b": heartbeat\n\n"
DONE = b"data: [DONE]\n\n"


def framed(events: list[StreamEvent], id: str | None = None, first: int | None = None) -> bytes:
    """Return `events` as server-sent events. `id` goes with the last: whoever has it has them all.

    With `first`, the number of the first of them, the others have an id, too: `12/1`, `12/2`, …, `12`.
    """
    if not events:
        return b""
    pieces = [b"data: " + _line(event) + b"\n\n" for event in events]
    if id is not None and first is not None:
        for i, piece in enumerate(pieces[:-1]):
            pieces[i] = b"id: %b/%d\n%b" % (id.encode(), first + i, piece)
    if id is not None:
        pieces[-1] = b"id: " + id.encode() + b"\n" + pieces[-1]
    return b"".join(pieces)


def _line(event: StreamEvent) -> bytes:
    """Return `event` as one line: values of the log are JSON as a model or a worker wrote it, over several lines."""
    data = _encoder.encode(event)
    return data if b"\n" not in data and b"\r" not in data else data.replace(b"\n", b" ").replace(b"\r", b" ")
