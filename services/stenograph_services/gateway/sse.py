"""From the events and frames of one turn to the events of its stream. Pure.

    turn.started        block-start
    frame text          text-start, text-delta
    message.added       text-delta (what the frames lacked), text-end, tool-input-start, -delta, -end, -available
    tool.succeeded      tool-output-available
    turn.finished       block-end, finish

The stream begins with `start` and ends with `finish` or `error`, whatever happens in between.
"""

from collections.abc import Mapping, Sequence

from stenograph_events import StoredEvent
from stenograph_events.frames import AnyFrame, CallDelta, ReasoningDelta, TextDelta, TriggerUnanswered
from stenograph_events.types import (
    BlockFinished,
    Event,
    MessageAdded,
    ModelFailed,
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
from stenograph_services.gateway.calls import Calls
from stenograph_services.gateway.endings import error_of, failed, finish_reason, refused
from stenograph_services.gateway.parts import Parts
from stenograph_services.gateway.refusals import Refusal
from stenograph_services.gateway.stream_events import (
    BlockEnd,
    BlockStart,
    Finish,
    ResourceUpdate,
    Start,
    StreamEvent,
)
from stenograph_services.protocol import AddMessage, Block, NextMessage, SetResource, Tool, ToolCall

Events = list[StreamEvent]


class TurnStream:
    """The stream of one turn. `handler` holds the blocks of its trigger, `tools` those of its agent."""

    def __init__(self, turn: str, handler: Sequence[Block], tools: Mapping[str, Tool]) -> None:
        self.over = False
        self._turn = turn
        self._handler = handler
        self._block: int | None = None
        self._started = False
        self._parts = Parts()
        self._calls = Calls(tools)
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
            case TurnStarted():
                self._started = True
                return self._enter(0)
            case MessageAdded():
                return self._message(item)
            case ToolRequested() if item.block is not None:
                return self._enter(item.block) + self._calls.requested(item)
            case ToolSucceeded() | ToolFailed() | ToolTimedOut() | ToolOutcomeUnknown() | ToolCancelled():
                return self._outcome(item, self._calls.block_of(item.call))
            case ToolRefused():
                return self._outcome(item, item.block)
            case BlockFinished():
                return self._block_finished(item)
            case ModelFailed():
                self._failure = item
                return self._enter(item.block) + self._parts.close()
            case TurnFinished():
                return self._finished(item)
            case TriggerRejected(reason="cancelled"):
                return self._end(Finish("stop"))
            case TriggerRejected():
                return self.fail(refused(item))
            case TurnCancelRequested() if not self._started:  # it left the queue; one that runs still finishes
                return self._end(Finish("stop"))
        return []

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
            case TextDelta() | ReasoningDelta():
                return [] if self._silent else self._parts.frame(frame)

    def _message(self, event: MessageAdded) -> Events:
        events = self._enter(event.block)
        if event.role == "assistant" and event.visible and not self._silent:
            events += self._parts.complete(event.parts)
            for call in event.calls:
                events += self._calls.asked(call)
        if event.model is not None:
            self._said = event.finish_reason
        return events if event.calls else events + self._enter(event.block + 1)

    def _outcome(self, event: ToolOutcome, block: int | None) -> Events:
        if block is None:
            return self._calls.answered(event)
        return self._enter(block) + self._calls.answered(event) + self._enter(block + 1)

    def _block_finished(self, event: BlockFinished) -> Events:
        if event.reason == "max-steps":
            self._said = "max-steps"
        updates = [ResourceUpdate(name, value) for name, value in event.resources.items()]
        return self._enter(event.block) + updates + self._enter(event.block + 1)

    # ---- where the turn stands

    @property
    def _silent(self) -> bool:
        """Whether the open block is one whose answer the protocol hides."""
        block = self._at(self._block)
        return isinstance(block, NextMessage) and block.display == "hidden"

    def _at(self, index: int | None) -> Block | None:
        return self._handler[index] if index is not None and index < len(self._handler) else None

    def _enter(self, index: int) -> Events:
        """Open block `index` and close the one before it, if it is another."""
        if index == self._block:
            return []
        events = self._leave()
        self._block = index
        block = self._at(index)
        if block is not None and block.display != "hidden":
            events.append(
                BlockStart(
                    block_id=self._block_id(index),
                    block_name=block.name,
                    block_type=_TYPES[type(block)],
                    display=block.display,
                    description=block.description,
                    output_to_chat=True if isinstance(block, NextMessage) else None,
                    thread=_thread(block),
                )
            )
        return events

    def _leave(self) -> Events:
        events = self._parts.close()
        index, self._block = self._block, None
        block = self._at(index)
        if index is not None and block is not None and block.display != "hidden":
            events.append(BlockEnd(self._block_id(index)))
        return events

    def _block_id(self, index: int) -> str:
        return f"{self._turn}/{index}"

    # ---- the end

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
        return [*self._leave(), last]


_TYPES: dict[type[Block], str] = {
    AddMessage: "add-message",
    NextMessage: "next-message",
    ToolCall: "tool-call",
    SetResource: "set-resource",
}


def _thread(block: Block) -> str | None:
    """Return the thread that a client has to be told of: absent means main."""
    thread = getattr(block, "thread", "main")
    return None if thread == "main" else thread
