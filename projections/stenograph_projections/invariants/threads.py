"""Rules about threads and answers: what a model may say, in which thread, and when a summary takes the place of it."""

from collections.abc import Iterator

from stenograph_events.types import (
    MessageAdded,
    ModelFailed,
    SessionCreated,
    ThreadCompacted,
    ThreadStarted,
    ToolRequested,
    ToolSucceeded,
    TurnFinished,
    TurnStarted,
)
from stenograph_events.values import Compaction, TextPart
from stenograph_projections.invariants.log import Case, Log
from stenograph_projections.typed import is_json


def steps(log: Log) -> Iterator[Case]:
    """The answers of a block count up from step 0, and an attempt fails at the step that comes next."""
    given: dict[tuple[str | None, int], int] = {}
    for event in log.events:
        if isinstance(event, ModelFailed) or (isinstance(event, MessageAdded) and event.model is not None):
            place = (event.turn, event.block)
            expected = given.get(place, 0)
            yield event.n, None if event.step == expected else f"it is step {event.step}, where step {expected} is next"
            if isinstance(event, MessageAdded):
                given[place] = event.step + 1


def typed_answers(log: Log) -> Iterator[Case]:
    """An answer of a declared type is one JSON value or is rejected, and no other answer is rejected."""
    for event in log.events:
        if not isinstance(event, MessageAdded):
            continue
        if event.rejected is not None:
            yield event.n, None if event.response_type else "an answer is rejected that has no type to be of"
        elif event.response_type is not None and not event.calls:
            text = "".join(part.text for part in event.parts if isinstance(part, TextPart))
            yield event.n, None if is_json(text) else f"the answer is to be a {event.response_type} and is no JSON"


def asked_again(log: Log) -> Iterator[Case]:
    """After a rejected answer the model is asked again in the same block, or its turn is not completed."""
    rejected: dict[str | None, int] = {}
    for event in log.events:
        match event:
            case MessageAdded():
                if (block := rejected.pop(event.turn, None)) is not None:
                    goes_on = event.model is not None and event.block == block
                    yield (
                        event.n,
                        None if goes_on else f"block {event.block} follows a rejected answer of block {block}",
                    )
                if event.rejected is not None:
                    rejected[event.turn] = event.block
            case TurnFinished() if event.turn in rejected:
                yield event.n, "the turn is completed by a rejected answer" if event.outcome == "completed" else None


def started_threads(log: Log) -> Iterator[Case]:
    """A thread is started by the handler of its turn, and a child agent's model speaks in no other thread."""
    triggers: dict[str | None, str] = {}
    started: set[str] = set()
    is_child = False
    for event in log.events:
        match event:
            case SessionCreated():
                is_child = event.parent is not None
            case TurnStarted():
                triggers[event.turn] = event.trigger
            case ThreadStarted():
                known = triggers.get(event.turn) == event.trigger
                yield event.n, None if known else f"handler {event.trigger!r} is not that of turn {event.turn}"
                started.add(event.thread)
            case MessageAdded(model=str()) if is_child:
                yield event.n, None if event.thread in started else f"thread {event.thread!r} was not started"


def summed_up(log: Log) -> Iterator[Case]:
    """A summary takes the place of what its call was to sum up: events that were there when it was asked for."""
    asked: dict[str, Compaction] = {}
    answered: set[str] = set()
    for event in log.events:
        match event:
            case ToolRequested(compacts=Compaction() as compaction):
                asked[event.call] = compaction
                early = compaction.through < event.n
                yield event.n, None if early else f"event {compaction.through} is to be summed up before it is there"
            case ToolSucceeded():
                answered.add(event.call)
            case ThreadCompacted():
                wanted = asked.pop(event.call, None) if event.call in answered else None
                same = wanted == Compaction(event.thread, event.through)
                what = f"thread {event.thread!r} up to event {event.through}"
                yield event.n, None if same else f"no summary of {what} came from call {event.call}"
