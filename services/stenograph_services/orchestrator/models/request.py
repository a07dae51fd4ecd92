"""What a model is asked, and what comes back: the boundary between the log and any provider.

A `ModelRequest` holds the whole context. A `Model` yields deltas while it answers and ends with one `ModelResponse`,
or raises `ModelError`. Nothing of a failed attempt is kept.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import msgspec

from stenograph_events.types import Part, Usage
from stenograph_projections.transcript import Message, Reply
from stenograph_services.protocol.agent import Tool


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


class ModelError(Exception):
    """An attempt failed. `kind` is a stable code such as `rate-limit`, `overloaded`, `timeout`, `authentication`.

    `retryable` says whether asking again may help; `retry_after_seconds` is what the provider asked for, if it did.
    """

    def __init__(
        self, kind: str, detail: str, *, retryable: bool = False, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail
        self.retryable = retryable
        self.retry_after_seconds = retry_after_seconds


class Model(Protocol):
    """Whoever can answer a `ModelRequest`."""

    def ask(self, request: ModelRequest) -> AsyncIterator[Delta | ModelResponse]:
        """Yield deltas, then exactly one `ModelResponse`, last; raise `ModelError` instead when the attempt fails."""
        ...
