"""The scripted model: answers from a script, for demos and tests without any account. `script.py` shows the format.

It behaves like a provider: it gets the whole request, streams, takes time and fails as told. It picks its line by
the turn and the step in the log, so an orchestrator that takes a session over hears the same answer.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence

import msgspec

from stenograph_events.values import (
    Part,
    ReasoningPart,
    TextPart,
    Usage,
)
from stenograph_projections.transcript import Message, Reply
from stenograph_services.orchestrator.models.reading import message_text, result_text
from stenograph_services.orchestrator.models.request import (
    CallPiece,
    CallWanted,
    Delta,
    ModelError,
    ModelRequest,
    ModelResponse,
    Reasoning,
    Text,
)
from stenograph_services.orchestrator.models.script import (
    PLACEHOLDER,
    ScriptCall,
    ScriptError,
    ScriptFailure,
    ScriptStep,
    parse_script,
)

__all__ = ["ScriptError", "ScriptedModel"]


class Line(msgspec.Struct, frozen=True):
    """A step, ready to play: without placeholders, delays and errors nothing is left to do but yield."""

    step: ScriptStep
    deltas: tuple[Delta, ...]
    response: ModelResponse
    has_placeholders: bool


class ScriptedModel:
    """Plays the script in `text`. Raises `ScriptError` when it is not one; `source` is its file's name in messages."""

    def __init__(self, text: str, source: str) -> None:
        script = parse_script(text, source)
        self.source = source
        self.loop = script.loop
        self.turns = [[_line(step, source) for step in turn] for turn in script.turns]

    async def ask(self, request: ModelRequest) -> AsyncGenerator[Delta | ModelResponse, None]:
        """Play the line of this turn and step. Raises `ModelError` as scripted, or when the script is over."""
        line = self._line_for(request)
        if line.has_placeholders:
            line = _line(_fill(line.step, request.messages), self.source)
        failure = _failure(line.step, request.attempt)
        if line.step.delay_ms:
            await asyncio.sleep(line.step.delay_ms / 1000)
        pause = line.step.chunk_delay_ms / 1000
        for position, delta in enumerate(line.deltas):
            if failure is not None and position >= failure.after_chunks:
                break
            if pause and position:
                await asyncio.sleep(pause)
            yield delta
        if failure is not None:
            raise _error(failure)
        yield line.response

    def _line_for(self, request: ModelRequest) -> Line:
        turn = request.turn_number - 1
        if turn >= len(self.turns):
            if not self.loop:
                raise _script_over(f"{self.source} has {len(self.turns)} turns and this is turn {turn + 1}.")
            turn %= len(self.turns)
        steps = self.turns[turn]
        if request.step >= len(steps):
            raise _script_over(
                f"{self.source}: turn {turn + 1} has {len(steps)} steps and the model is asked for step "
                f"{request.step + 1}; a step that answers the results of its calls is missing."
            )
        return steps[request.step]


def _script_over(detail: str) -> ModelError:
    return ModelError("script-over", detail)


def _failure(step: ScriptStep, attempt: int) -> ScriptFailure | None:
    failure = step.error
    if failure is None or (failure.times is not None and attempt > failure.times):
        return None
    return failure


def _error(failure: ScriptFailure) -> ModelError:
    return ModelError(
        failure.kind,
        failure.detail,
        retryable=failure.retryable,
        retry_after_seconds=failure.retry_after_seconds,
    )


def _line(step: ScriptStep, source: str) -> Line:
    calls = tuple(CallWanted(call.tool, _arguments(call)) for call in step.calls)
    parts: tuple[Part, ...] = ()
    if step.reasoning:
        parts += (ReasoningPart(step.reasoning, provider="scripted"),)
    if step.text:
        parts += (TextPart(step.text),)
    response = ModelResponse(
        parts=parts,
        calls=calls,
        finish_reason=step.finish_reason or ("tool-calls" if calls else "stop"),
        usage=Usage(**step.usage.model_dump()) if step.usage else None,
        model="scripted/" + source.removeprefix("scripts/").removesuffix(".yaml"),
    )
    return Line(
        step=step,
        deltas=_deltas(step, calls),
        response=response,
        has_placeholders=bool(PLACEHOLDER.search(step.text) or PLACEHOLDER.search(step.reasoning)),
    )


def _arguments(call: ScriptCall) -> str:
    return call.arguments if isinstance(call.arguments, str) else msgspec.json.encode(call.arguments).decode()


def _deltas(step: ScriptStep, calls: Sequence[CallWanted]) -> tuple[Delta, ...]:
    reasoning = [Reasoning(step.reasoning)] if step.reasoning else []
    texts = [Text(piece) for piece in _pieces(step.text, step.chunks)]
    pieces = [CallPiece(index, call.tool, call.arguments) for index, call in enumerate(calls)]
    return (*reasoning, *texts, *pieces)


def _pieces(text: str, count: int) -> list[str]:
    """Cut `text` into `count` pieces of nearly equal length, fewer when it is shorter."""
    count = min(count, len(text))
    return [text[len(text) * i // count : len(text) * (i + 1) // count] for i in range(count)]


def _fill(step: ScriptStep, messages: Sequence[Message | Reply]) -> ScriptStep:
    values = {"last_user": _last_user(messages), "last_result": _last_result(messages)}

    def filled(text: str) -> str:
        return PLACEHOLDER.sub(lambda match: values[match[1]], text)

    return step.model_copy(update={"text": filled(step.text), "reasoning": filled(step.reasoning)})


def _last_user(messages: Sequence[Message | Reply]) -> str:
    said = (entry for entry in reversed(messages) if isinstance(entry, Message) and entry.role == "user")
    return next((message_text(entry) for entry in said), "")


def _last_result(messages: Sequence[Message | Reply]) -> str:
    replies = (entry for entry in reversed(messages) if isinstance(entry, Reply))
    return next((result_text(entry) for entry in replies), "")
