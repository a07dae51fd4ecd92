"""From the events and frames of one turn to the events of its stream. Pure.

    turn.started        block-start
    frame text          text-start, text-delta
    message.added       text-delta (what the frames lacked), text-end, tool-input-start, -delta, -end, -available
    frame tool.progress tool-progress
    tool.succeeded      tool-output-available
    turn.finished       block-end, finish

The stream begins with `start` and ends with `finish` or `error`, whatever happens in between. One that is a later leg
of its turn tells only what came after the leg before it.
"""

from collections.abc import Mapping, Sequence

import msgspec

from stenograph_events import StoredEvent, answers_call
from stenograph_events.frames import (
    AnyFrame,
    ApprovalRefused,
    CallDelta,
    ReasoningDelta,
    TextDelta,
    ToolProgress,
    TriggerUnanswered,
)
from stenograph_events.types import (
    BlockFinished,
    BudgetExceeded,
    Event,
    MessageAdded,
    ModelFailed,
    ThreadStarted,
    ToolAnswered,
    ToolCancelled,
    ToolFailed,
    ToolOutcome,
    ToolOutcomeUnknown,
    ToolRefused,
    ToolRequested,
    ToolResolved,
    ToolSucceeded,
    ToolTimedOut,
    TriggerRejected,
    TurnCancelRequested,
    TurnFinished,
    TurnStarted,
)
from stenograph_events.values import (
    Compaction,
    FilePart,
    Part,
    ReasoningPart,
    TextPart,
)
from stenograph_projections.messages import content_type
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.gateway.stream.bill import Bill
from stenograph_services.gateway.stream.callees import Callee
from stenograph_services.gateway.stream.calls import Calls
from stenograph_services.gateway.stream.child_places import ChildPlaces, OfChild
from stenograph_services.gateway.stream.cursor import Cursor, place_of
from stenograph_services.gateway.stream.endings import error_of, exceeded, failed, finish_reason, refused, unsaid
from stenograph_services.gateway.stream.legs import FIRST_LEG, Leg, Pending, WaitsBelow
from stenograph_services.gateway.stream.parts import Parts
from stenograph_services.gateway.stream.position import Position
from stenograph_services.gateway.wire.stream_events import (
    Finish,
    ResourceUpdate,
    Start,
    StreamError,
    StreamEvent,
    ToolRequest,
    WorkerResult,
    WorkerStart,
)
from stenograph_services.protocol.agent import Block

Events = list[StreamEvent]


class TurnStream:
    """One leg of the stream of a turn. `handler` holds the blocks of its trigger, `callees` what its agent may call.

    Events whose number is under `since` are told again: a budget that was exceeded then was raised meanwhile, and what
    waited for a person is decided.
    `worker`: an agent of format worker runs alone; told first, and under its id what the run came to and consumed.
    `cursor`: up to where the client has it all; the items are told from the beginning, to stand where that was.
    `parts`: what the ids of its parts begin with.
    """

    def __init__(
        self,
        turn: str,
        handler: Sequence[Block],
        callees: Mapping[str, Callee],
        *,
        since: int = 0,
        leg: Leg = FIRST_LEG,
        start: Start | None = None,
        worker: WorkerStart | None = None,
        cursor: Cursor | None = None,
        parts: str = "p",
    ) -> None:
        self.over = False
        self._last: StoredEvent | AnyFrame | None = None
        self._n = 0  # the last event that was shown
        self._children = ChildPlaces(cursor)
        self._cursor = cursor
        self._start = start or Start(turn)
        self._since = since
        self._leg = leg
        self._pending = Pending()
        self._worker = worker
        self._bill = Bill()
        self._started = False
        self._position = Position(turn, handler)
        self._parts = Parts(f"{parts}{leg.after}-" if leg.after else parts)
        self._calls = Calls(callees)
        self._aside: set[str] = set()  # calls that no model and no block made: summaries and checks
        self._said: str | None = None  # how the last response of a model ended
        self._failure: ModelFailed | None = None

    def open(self) -> Events:
        """Return what every stream begins with, even before anybody knows what becomes of the trigger."""
        return [self._start]

    def show(self, item: StoredEvent | AnyFrame | OfChild | WaitsBelow) -> Events:
        """Return what `item`, the next one of the turn, adds to the stream; nothing once it is over."""
        if self.over:
            return []
        if isinstance(item, WaitsBelow):
            self._pending.see_below(item)
            return self._hold(self._n)
        if isinstance(item, OfChild):
            return item.events if self._calls.shows(item.call) else []
        if isinstance(item, ToolProgress):  # it has no place in the stream: nobody comes back to it
            return self._calls.progressed(item)
        self._last = item
        events = self._show(item)
        return events if self._cursor is None else self._cursor.unread(item, events)

    @property
    def may_wait_for_children(self) -> bool:
        """Whether there are child agents that its turn may wait for."""
        return self._calls.may_run

    @property
    def may_tell_of_children(self) -> bool:
        """Whether there are child agents that it could tell of."""
        return self._calls.may_follow

    def tells_of(self, request: ToolRequested) -> bool:
        """Return whether it tells what the child agent does that `request` asks for: not if a leg before told it."""
        is_run = request.child is not None and request.compacts is None
        return is_run and request.n > self._leg.after and self._calls.follows(request.tool)

    def id_of(self, item: StoredEvent | AnyFrame | OfChild | WaitsBelow) -> str:
        """Return the id by which a client that has all of `item`, the one that was shown last, may come back."""
        if isinstance(item, OfChild):
            return self._children.id_of(item, self._own())
        return self._children.beside(self._own())

    def _own(self) -> str:
        """Return how far a client that has everything is in the turn itself: never behind where it was."""
        last, known = self._last, self._cursor
        if last is None or (known is not None and place_of(last) < known.place):
            return "" if known is None else known.own
        return str(last.n) if isinstance(last, Event) else f"{last.frame_id}.{self._parts.characters}"

    def _show(self, item: StoredEvent | AnyFrame) -> Events:
        if not isinstance(item, Event):
            return self._frame(item)
        self._n = item.n
        self._pending.see(item)
        self._children.see(item)
        events = self._event(item)
        if self._leg.after and item.n <= self._leg.after:
            events = []  # the legs before told it
        return events if self.over or item.n < self._leg.after else events + self._pause(item.n)

    def fail(self, refusal: Refusal) -> Events:
        """End the stream with an error; nothing if it is over."""
        return [] if self.over else self._end(error_of(refusal))

    def _event(self, item: StoredEvent) -> Events:
        match item:
            case MessageAdded():
                self._bill.see(item)
                return self._message(item)
            case ToolRequested():
                return self._requested(item)
            case ToolSucceeded() | ToolFailed() | ToolTimedOut() | ToolOutcomeUnknown() | ToolCancelled():
                return self._outcome(item, self._calls.block_of(item.call))
            case ToolResolved():
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
                self._bill.see(item)
                return self._model_failed(item)
            case _:
                return self._turning(item)

    def _pause(self, n: int) -> Events:
        """End the leg if the turn waits for its client, or for a person; its block stays open for the client."""
        if held := self._hold(n):
            return held
        if not self._pending.paused:
            return []
        if not self._leg.ends_with(self._pending.open.values()):
            self._parts.begin_leg(n)  # what the next leg says is the same part to whoever follows several
            return []
        self.over = True
        return [*self._parts.close(), ToolRequest(self._pending.calls()), Finish("tool-calls")]

    def _hold(self, n: int) -> Events:
        """End the leg if the turn waits for people alone. How child agents stand is known as of now, not as of `n`."""
        if not self._pending.held or n < (self._leg.head if self._pending.held_below else self._since):
            return []
        return self._end(unsaid(self._pending.questions))

    # ---- what is said

    def _frame(self, frame: AnyFrame) -> Events:
        match frame:
            case TriggerUnanswered():
                return self.fail(Refusal(404, frame.detail))
            case CallDelta():
                # The id of a call is known once its message is in the log: calls are shown from there.
                return self._parts.follow(frame.after, frame.attempt, frame.k)
            case ApprovalRefused() | ToolProgress():
                return []  # the one is for whoever decided, the other was shown
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
            case ToolRequested(compacts=Compaction()) | ToolRequested(checks=str()):
                self._aside.add(event.call)
                return []
            case ToolRequested(block=int(block)):
                return self._enter(block) + self._calls.requested(event)
        return []

    def _outcome(self, event: ToolOutcome, block: int | None) -> Events:
        if event.call in self._aside or not answers_call(event):
            return []
        answer = [] if event.call in self._leg.answered else self._calls.answered(event)
        return answer if block is None else self._enter(block) + answer + self._enter(block + 1)

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
                return [*([self._worker] if self._worker else []), *self._enter(0)]
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
                return self._end(Finish(finish_reason(self._said)), event)
            case "cancelled":
                return self._end(Finish("stop"), event)
            case "failed":
                return self._end(failed(event, self._failure), event)

    def _end(self, last: Finish | StreamError, finished: TurnFinished | None = None) -> Events:
        self.over = True
        ended = [*self._parts.close(), *self._position.leave()]
        if finished is None or self._worker is None:
            return [*ended, last]
        used = [self._bill.usage()] if isinstance(last, Finish) else []
        return [*ended, _result(self._worker.worker_id, finished, last), last, *used]


def _result(worker: str, finished: TurnFinished, last: Finish | StreamError) -> WorkerResult:
    if finished.outcome == "completed":
        return WorkerResult(worker, output=finished.output)
    return WorkerResult(worker, error=last.message if isinstance(last, StreamError) else "the run was cancelled")


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
