"""The client's events as our deltas, and a bound on how much they may be."""

from collections.abc import Iterator

import msgspec
from pydantic_ai import messages as wire

from stenograph_services.orchestrator.models.loops import LoopGuard
from stenograph_services.orchestrator.models.request import CallPiece, Delta, ModelError, Reasoning, Text

CONTENT_MAX_CHARACTERS = 1_000_000  # an event of the log holds 900 kB


class Deltas:
    """Turns the client's events into deltas; numbers the calls, which the client counts among all parts."""

    def __init__(self, guard: LoopGuard | None = None) -> None:
        self._calls: dict[int, tuple[int, str]] = {}
        self._guard = guard
        self._characters = 0

    def of(self, event: wire.ModelResponseStreamEvent) -> Iterator[Delta]:
        """Yield the delta that `event` brings, if any: some only mark a beginning or an end.

        Raises `ModelError`: `too-large`, or `loop` if there is a guard.
        """
        for delta in self._of(event):
            said = delta.arguments if isinstance(delta, CallPiece) else delta.text
            self._characters += len(said)
            if self._characters > CONTENT_MAX_CHARACTERS:
                raise ModelError("too-large", f"The answer has over {CONTENT_MAX_CHARACTERS:,} characters.")
            if self._guard is not None:
                self._guard.hear(delta.index if isinstance(delta, CallPiece) else type(delta), said)
            yield delta

    def _of(self, event: wire.ModelResponseStreamEvent) -> Iterator[Delta]:
        match event:
            case wire.PartStartEvent(part=wire.TextPart(content=text)) if text:
                yield Text(text)
            case wire.PartStartEvent(part=wire.ThinkingPart(content=text)) if text:
                yield Reasoning(text)
            case wire.PartStartEvent(part=wire.ToolCallPart() as call):
                index, tool = self._calls.setdefault(event.index, (len(self._calls), call.tool_name))
                yield CallPiece(index, tool, arguments_text(call.args))
            case wire.PartDeltaEvent(delta=wire.TextPartDelta(content_delta=text)) if text:
                yield Text(text)
            case wire.PartDeltaEvent(delta=wire.ThinkingPartDelta(content_delta=text)) if text:
                yield Reasoning(text)
            case wire.PartDeltaEvent(delta=wire.ToolCallPartDelta(args_delta=arguments)) if arguments:
                index, tool = self._calls[event.index]
                yield CallPiece(index, tool, arguments_text(arguments))


def arguments_text(arguments: object) -> str:
    """Return arguments as the model wrote them; a provider that parses them gets them written again."""
    if arguments is None:
        return ""
    return arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
