"""What scripted models say in a rehearsal: the real `ScriptedModel`, whose delays pass on the stage's clock instead."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import NamedTuple

import msgspec

from stenograph_events.values import Part, ReasoningPart, TextPart
from stenograph_services.orchestrator.models.request import (
    Delta,
    ModelError,
    ModelRequest,
    ModelResponse,
    Reasoning,
    Text,
)
from stenograph_services.orchestrator.models.script import ScriptStep, parse_script
from stenograph_services.orchestrator.models.scripted import ScriptedModel


class Said(NamedTuple):
    """What was heard of an answer up to one of its pieces, and the answer itself, or the failure, if that is there."""

    heard: tuple[Part, ...]
    answer: ModelResponse | ModelError | None = None


class Lines:
    """The turns of a script. Raises `ScriptError` if it is none."""

    def __init__(self, text: str, source: str) -> None:
        script = parse_script(text, source)
        self._turns = script.turns
        at_once = [[_written(step) | {"delay_ms": 0, "chunk_delay_ms": 0} for step in turn] for turn in script.turns]
        self._model = ScriptedModel(_script(at_once, script.loop), source)

    @staticmethod
    def of(steps: Sequence[ScriptStep], source: str) -> "Lines":
        """Return the lines of one turn that a test case spells out."""
        return Lines(_script([[_written(step) for step in steps]], loop=False), source)

    def say(self, request: ModelRequest) -> Iterator[Said]:
        """Return the answer to `request`, piece by piece; the last one has the answer, or the failure."""
        deltas: list[Delta] = []
        try:
            for piece in _now(self._model.ask(request)):
                if isinstance(piece, ModelResponse):
                    yield Said(_parts(deltas), piece)
                else:
                    deltas.append(piece)
                    yield Said(_parts(deltas))
        except ModelError as error:
            yield Said(_parts(deltas), error)

    def seconds(self, request: ModelRequest) -> float:
        """Return how long the script lets the answer to `request` take."""
        turn = self._turns[(request.turn_number - 1) % len(self._turns)]
        if request.step >= len(turn):
            return 0.0
        step = turn[request.step]
        return (step.delay_ms + (step.chunks - 1) * step.chunk_delay_ms) / 1000


def _now(stream: AsyncGenerator[Delta | ModelResponse, None]) -> Iterator[Delta | ModelResponse]:
    """Return what `stream` yields. Without delays it waits for nothing, so no event loop has to run it."""
    while True:
        try:
            stream.__anext__().send(None)
        except StopAsyncIteration:
            return
        except StopIteration as given:
            yield given.value
        else:
            raise AssertionError("a script without delays waits for nothing")


def _parts(deltas: list[Delta]) -> tuple[Part, ...]:
    thought = "".join(delta.text for delta in deltas if isinstance(delta, Reasoning))
    said = "".join(delta.text for delta in deltas if isinstance(delta, Text))
    return (*((ReasoningPart(thought),) if thought else ()), *((TextPart(said),) if said else ()))


def _script(turns: list[list[dict[str, object]]], loop: bool) -> str:
    return msgspec.json.encode({"turns": turns, "loop": loop}).decode()  # JSON is YAML


def _written(step: ScriptStep) -> dict[str, object]:
    return step.model_dump(mode="json", include=set(ScriptStep.model_fields), exclude_unset=True)
