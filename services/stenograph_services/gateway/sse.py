"""From the events and frames of one turn to the events of its stream. Pure.

    turn.started        block-start
    frame text          text-start, text-delta
    message.added       text-delta (what the frames lacked), text-end, tool-input-start, -delta, -end, -available
    tool.succeeded      tool-output-available
    turn.finished       block-end, finish

The stream begins with `start` and ends with `finish` or `error`, whatever happens in between.
"""

from collections.abc import Mapping, Sequence

import msgspec

from stenograph_events import StoredEvent
from stenograph_events.frames import AnyFrame, CallDelta, ReasoningDelta, TextDelta, TriggerUnanswered
from stenograph_events.types import (
    BlockFinished,
    BudgetExceeded,
    Compaction,
    Event,
    FilePart,
    MessageAdded,
    ModelFailed,
    Part,
    ReasoningPart,
    TextPart,
    ThreadStarted,
    ToolAnswered,
    ToolCancelled,
    ToolFailed,
    ToolOutcome,
    ToolOutcomeUnknown,
    ToolRefused,
    ToolRequested,
    ToolSucceeded,
    ToolTimedOut,
    TriggerRejected,
    TurnCancelRequested,
    TurnFinished,
    TurnStarted,
)
from stenograph_projections.messages import content_type
from stenograph_services.gateway.callees import Callee
from stenograph_services.gateway.calls import Calls
from stenograph_services.gateway.endings import error_of, exceeded, failed, finish_reason, refused
from stenograph_services.gateway.parts import Parts
from stenograph_services.gateway.position import Position
from stenograph_services.gateway.refusals import Refusal
from stenograph_services.gateway.stream_events import Finish, ResourceUpdate, Start, StreamEvent
from stenograph_services.protocol.agent import Block

Events = list[StreamEvent]


class TurnStream:
    """The stream of one turn. `handler` holds the blocks of its trigger, `callees` what its agent may call.

    Events whose number is under `since` are told again: a budget that was exceeded then was raised meanwhile.
    """

    def __init__(self, turn: str, handler: Sequence[Block], callees: Mapping[str, Callee], *, since: int = 0) -> None:
        self.over = False
        self._turn = turn
        self._since = since
        self._started = False
        self._position = Position(turn, handler)
        self._parts = Parts()
        self._calls = Calls(callees)
        self._summaries: set[str] = set()  # calls that only shorten what models read
        self._said: str | None = None  # how the last response of a model ended
        self._failure: ModelFailed | None = None

    def open(self) -> Events:
        """Return what every stream begins with, even before anybody knows what becomes of the trigger."""
        return [Start(self._turn)]

    def show(self, item: StoredEvent | AnyFrame) -> Events:
        """Return what `item`, the next one of the turn, adds to the stream; nothing once it is over."""
        if self.over:
            return []
        if not isinstance(item, Event):
            return self._frame(item)
        match item:
            case MessageAdded():
                return self._message(item)
            case ToolRequested():
                return self._requested(item)
            case ToolSucceeded() | ToolFailed() | ToolTimedOut() | ToolOutcomeUnknown() | ToolCancelled():
                return self._outcome(item, self._calls.block_of(item.call))
            case ToolAnswered():
                return self._outcome(item, None)
            case ToolRefused():
                return self._outcome(item, item.block)
            case BlockFinished():
                return self._block_finished(item)
            case ThreadStarted():
                return self._enter(item.block) + self._enter(item.block + 1)
            case ModelFailed():
                return self._model_failed(item)
            case _:
                return self._turning(item)

    def fail(self, refusal: Refusal) -> Events:
        """End the stream with an error; nothing if it is over."""
        return [] if self.over else self._end(error_of(refusal))

    # ---- what is said

    def _frame(self, frame: AnyFrame) -> Events:
        match frame:
            case TriggerUnanswered():
                return self.fail(Refusal(404, frame.detail))
            case CallDelta():
                # The id of a call is known once its message is in the log: calls are shown from there.
                return self._parts.follow(frame.after, frame.attempt, frame.k)
            case ReasoningDelta() if self._position.is_aside:
                return self._parts.follow(frame.after, frame.attempt, frame.k)
            case TextDelta() | ReasoningDelta():
                return [] if self._position.is_silent else self._parts.frame(frame, self._position.response_type)

    def _message(self, event: MessageAdded) -> Events:
        events = self._enter(event.block)
        if event.model is not None:
            self._said, self._failure = event.finish_reason, None
        if event.rejected is not None:  # the model is asked again
            return events + self._parts.close()
        if event.role == "assistant" and event.visible and not self._position.is_silent:
            events += self._answer(event)
        return events if event.calls else events + self._enter(event.block + 1)

    def _answer(self, event: MessageAdded) -> Events:
        if event.thread != "main" and not self._position.is_told:
            return []  # a client learns from the block in which thread it is: it would show this as part of the chat
        if self._position.is_aside:
            return self._parts.complete(_texts(event), event.response_type)
        if event.ui is not None:
            return self._parts.complete(*_content(event, event.ui))
        events = self._parts.complete(event.parts, event.response_type)
        for call in event.calls:
            events += self._calls.asked(call)
        return events

    def _requested(self, event: ToolRequested) -> Events:
        match event:
            case ToolRequested(compacts=Compaction()):
                self._summaries.add(event.call)
                return []
            case ToolRequested(block=int(block)):
                return self._enter(block) + self._calls.requested(event)
        return []

    def _outcome(self, event: ToolOutcome, block: int | None) -> Events:
        if event.call in self._summaries:
            return []
        if block is None:
            return self._calls.answered(event)
        return self._enter(block) + self._calls.answered(event) + self._enter(block + 1)

    def _block_finished(self, event: BlockFinished) -> Events:
        if event.reason == "max-steps":
            self._said = "max-steps"
        updates = [ResourceUpdate(name, value) for name, value in event.resources.items()]
        return self._enter(event.block) + updates + self._enter(event.block + 1)

    def _model_failed(self, event: ModelFailed) -> Events:
        if not (event.backup and self._failure):  # why the first model failed says more than why its backup did
            self._failure = event
        return self._enter(event.block) + self._parts.close()

    # ---- where the turn stands

    def _enter(self, index: int) -> Events:
        """Open block `index` and close the one before it, if it is another."""
        return [] if index == self._position.index else self._parts.close() + self._position.enter(index)

    def _turning(self, event: StoredEvent) -> Events:
        match event:
            case TurnStarted():
                self._started = True
                return self._enter(0)
            case BudgetExceeded() if event.n >= self._since:
                return self._end(exceeded(event))
            case TurnFinished():
                return self._finished(event)
            case TriggerRejected(reason="cancelled"):
                return self._end(Finish("stop"))
            case TriggerRejected():
                return self.fail(refused(event))
            case TurnCancelRequested() if not self._started:  # it left the queue; one that runs still finishes
                return self._end(Finish("stop"))
        return []

    def _finished(self, event: TurnFinished) -> Events:
        match event.outcome:
            case "completed":
                return self._end(Finish(finish_reason(self._said)))
            case "cancelled":
                return self._end(Finish("stop"))
            case "failed":
                return self._end(failed(event, self._failure))

    def _end(self, last: StreamEvent) -> Events:
        self.over = True
        return [*self._parts.close(), *self._position.leave(), last]


def _texts(event: MessageAdded) -> list[Part]:
    """Return what clients leave out of the chat by themselves; the rest of an answer they would show in it."""
    return [part for part in event.parts if not isinstance(part, ReasoningPart | FilePart)]


def _content(event: MessageAdded, ui: msgspec.Raw) -> tuple[list[Part], str | None]:
    """Return what people see in place of the text that the model reads, and its type if it is no text."""
    files: list[Part] = [part for part in event.parts if isinstance(part, FilePart)]
    value = msgspec.json.decode(ui)
    if isinstance(value, str):
        return [*files, TextPart(value)], None
    return [*files, TextPart(bytes(ui).decode())], content_type(value)
