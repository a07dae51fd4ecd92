"""What a model is asked, and what comes back: the boundary between the log and any provider.

A `ModelRequest` holds the whole context. A `Model` yields deltas while it answers and ends with one `ModelResponse`,
or raises `ModelError`. Nothing of a failed attempt is kept.
"""

from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Literal, Protocol

import msgspec

from stenograph_events.values import Part, Usage
from stenograph_projections.transcript import Message, Reply
from stenograph_services.protocol.agent import Schema, Tool


class ModelRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One question to a model: the rendered system prompt, a thread as it stands, and the tools it may ask for.

    `turn_number` counts the turns of the session from 1; `step` counts the models' responses in this turn, over all
    its blocks, from 0. Both are read from the log, so another orchestrator asks the very same question.
    """

    session: str
    turn: str
    turn_number: int
    block: int
    step: int
    attempt: int
    model: str
    system: str
    messages: Sequence[Message | Reply]
    tools: Sequence[Tool] = ()
    temperature: float | None = None
    thinking: str | None = None
    max_output_tokens: int | None = None
    max_tool_output_tokens: int | None = None
    """How much of a tool's result the model is shown: its head and its tail. None: all of it."""
    loop_guard: bool = False
    cache: Literal["auto", "extended", "off"] = "auto"
    speed: Literal["fast", "standard"] | None = None
    response_type: str | None = None
    response: Schema | None = None
    """The answer has to be JSON that fits this; its name is `response_type`."""
    seconds: float | None = None
    """The longest that the answer may take, where that is less than for every model."""
    tenant: str = "default"


class Text(msgspec.Struct, frozen=True):
    """More text."""

    text: str


class Reasoning(msgspec.Struct, frozen=True):
    """More of what the model thinks."""

    text: str


class CallPiece(msgspec.Struct, frozen=True):
    """More of the arguments of the `index`-th call of this response; the first piece names the tool."""

    index: int
    tool: str
    arguments: str = ""


Delta = Text | Reasoning | CallPiece


class CallWanted(msgspec.Struct, frozen=True):
    """A call that the model asks for: the arguments as it wrote them, JSON or not."""

    tool: str
    arguments: str = "{}"


class ModelResponse(msgspec.Struct, frozen=True, kw_only=True):
    """One finished response. `finish_reason` is one of stop, tool-calls, length, content-filter, cancelled, other."""

    parts: tuple[Part, ...] = ()
    calls: tuple[CallWanted, ...] = ()
    finish_reason: str = "stop"
    usage: Usage | None = None
    model: str = ""
    provider: str | None = None
    cost_usd: Decimal | None = None
    """None: the price of this model is unknown."""


class ModelError(Exception):
    """An attempt failed. `kind` is a stable code such as `rate-limit`, `overloaded`, `timeout`, `authentication`.

    `retryable` says whether asking again may help; `retry_after_seconds` is what the provider asked for, if it did.
    `usage` is what the failed attempt consumed, where the provider said so.
    """

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        retryable: bool = False,
        retry_after_seconds: float | None = None,
        status: int | None = None,
        usage: Usage | None = None,
    ) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail
        self.retryable = retryable
        self.retry_after_seconds = retry_after_seconds
        self.status = status
        self.usage = usage


class Model(Protocol):
    """Whoever can answer a `ModelRequest`."""

    def ask(self, request: ModelRequest) -> AsyncIterator[Delta | ModelResponse]:
        """Yield deltas, then exactly one `ModelResponse`, last; raise `ModelError` instead when the attempt fails."""
        ...
