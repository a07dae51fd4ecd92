"""The events of a stream, in their full shape; `versions` says what of it a client reads. What is optional is left out.

{"type":"start","executionId":"91d2…"}
{"type":"text-delta","id":"p1","delta":"You are on "}
{"type":"finish","finishReason":"stop"}
"""

from collections.abc import Callable
from typing import Literal

import msgspec
from msgspec import Raw

from stenograph_events import TurnId
from stenograph_events.progress import Number
from stenograph_events.values import OptionalRaw
from stenograph_services.protocol.agent import Display

FinishReason = Literal["stop", "tool-calls", "length", "content-filter", "error", "other"]
Source = Literal["platform", "provider", "tool", "client"]


class StreamEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", rename="camel"):
    """`worker_id`: it is of the run of a child agent, which that id names."""

    worker_id: str | None = None


class Start(StreamEvent, frozen=True, tag="start"):
    """What every leg of a turn begins with. `session_id`: the session was made for this turn.

    `last_message_id`: the last message before the turn, to which a client may go back.
    """

    execution_id: str
    session_id: str | None = None
    last_message_id: str | None = None


Opening = Callable[[TurnId], Start]
"""Makes what a leg begins with, of the id of its turn."""


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
    display: Display | None = None


class ToolInputDelta(StreamEvent, frozen=True, tag="tool-input-delta"):
    tool_call_id: str
    input_text_delta: str


class ToolInputEnd(StreamEvent, frozen=True, tag="tool-input-end"):
    tool_call_id: str


class ToolInputAvailable(StreamEvent, frozen=True, tag="tool-input-available"):
    tool_call_id: str
    tool_name: str
    input: Raw


class ToolProgress(StreamEvent, frozen=True, tag="tool-progress"):
    """How far a call is, as its worker says, to a client that asked for such events: see `extras`."""

    tool_call_id: str
    text: str | None = None
    done: Number | None = None
    total: Number | None = None


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
    worker_id: str | None = None


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


class WorkerInputStart(StreamEvent, frozen=True, tag="worker-input-start"):
    """A model asks for a run of a child agent. Like every event of one, it names the run."""

    worker_id: str
    worker_slug: str
    description: str | None = None


class WorkerInputDelta(StreamEvent, frozen=True, tag="worker-input-delta"):
    worker_id: str
    delta: str


class WorkerInputReady(StreamEvent, frozen=True, tag="worker-input-ready"):
    worker_id: str
    input: Raw


class WorkerStart(StreamEvent, frozen=True, tag="worker-start"):
    """A child agent runs, for a block of the protocol. `input` is there where the protocol shows it."""

    worker_id: str
    worker_slug: str
    description: str | None = None
    input: OptionalRaw = None


class CalledWorkerStart(WorkerStart, frozen=True, tag="worker-start"):
    """The same, for a model that asked."""


class WorkerResult(StreamEvent, frozen=True, tag="worker-result"):
    """What a run came to: of a child agent, for a block, or of the agent of format worker whose stream this is."""

    worker_id: str
    output: OptionalRaw = None
    error: str | None = None


class CalledWorkerResult(WorkerResult, frozen=True, tag="worker-result"):
    """The same, of a run that a model asked for."""


class TodoUpdate(StreamEvent, frozen=True, tag="todo-update"):
    """The list of things to do, as it stands now."""

    todos: Raw


class Tokens(msgspec.Struct, frozen=True, rename="camel"):
    input_tokens: int
    output_tokens: int
    total_tokens: int


class Cost(msgspec.Struct, frozen=True, rename="camel"):
    """In US dollars. A service of one's own charges nothing: the provider sends its bill to whose key it is."""

    currency: Literal["USD"] = "USD"
    bandwidth_fee: float = 0.0
    provider_fee: float = 0.0
    total_fee: float = 0.0
    byok: bool = True
    estimated_provider_fee: float | msgspec.UnsetType = msgspec.UNSET
    """What the provider will ask for; left out where the price of an answer is unknown."""


class Usage(StreamEvent, frozen=True, tag="usage"):
    """What a run of an agent of format worker consumed: the only event after `finish`."""

    cost: Cost
    tokens: Tokens


class Unsaid(StreamEvent, frozen=True, tag="unsaid"):
    """Stands for an event that the client cannot read. It is counted, and not sent."""


_encoder = msgspec.json.Encoder()

HEARTBEAT = b": heartbeat\n\n"
DONE = b"data: [DONE]\n\n"


def framed(events: list[StreamEvent], id: str | None = None, *, steps: bool = False) -> bytes:
    """Return `events` as server-sent events. `id` goes with the last: whoever has it has them all.

    With `steps` the others have one, too, which says how many of them are left: `12/2`, `12/1`, `12`. What is unsaid
    is counted all the same, so that an id means the same in either shape.
    """
    said = [(i, event) for i, event in enumerate(events) if not isinstance(event, Unsaid)]
    pieces = [b"data: " + _line(event) + b"\n\n" for _, event in said]
    if id is not None and pieces:
        for at, (i, _) in enumerate(said[:-1] if steps else ()):
            own, tilde, beside = id.partition("~")  # of several places the first is the one that moves
            step = f"{own}/{len(events) - 1 - i}{tilde}{beside}"
            pieces[at] = b"id: %b\n%b" % (step.encode(), pieces[at])
        pieces[-1] = b"id: " + id.encode() + b"\n" + pieces[-1]
    return b"".join(pieces)


def _line(event: StreamEvent) -> bytes:
    """Return `event` as one line: values of the log are JSON as a model or a worker wrote it, over several lines."""
    data = _encoder.encode(event)
    return data if b"\n" not in data and b"\r" not in data else data.replace(b"\n", b" ").replace(b"\r", b" ")
