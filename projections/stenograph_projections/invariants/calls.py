"""Rules about messages and calls: a call is asked for, requested and answered once, and only then the model goes on."""

from collections.abc import Iterator

from stenograph_events import StoredEvent, ToolOutcome, answers_call
from stenograph_events.types import (
    ApprovalRequested,
    MessageAdded,
    ModelFailed,
    SessionCreated,
    ToolAnswered,
    ToolCancelled,
    ToolFailed,
    ToolOutcomeUnknown,
    ToolRefused,
    ToolRequested,
    ToolResolved,
    ToolSucceeded,
    ToolTimedOut,
    TurnFinished,
)
from stenograph_projections.invariants.log import Case, Log

_Result = ToolSucceeded | ToolFailed | ToolTimedOut | ToolOutcomeUnknown | ToolResolved


def one_answer(log: Log) -> Iterator[Case]:
    """A model's answer stands once for each turn, block and step."""
    seen: set[tuple[str | None, int, int]] = set()
    for event in log.events:
        if isinstance(event, MessageAdded) and event.model is not None:
            place = (event.turn, event.block, event.step)
            again = f"turn {event.turn}, block {event.block}, step {event.step} has an answer already"
            yield event.n, again if place in seen else None
            seen.add(place)


def asked_before(log: Log) -> Iterator[Case]:
    """A call is asked for once, by a message of its turn or by a block, before anything else happens to it."""
    asked: dict[str, tuple[str | None, str]] = {}
    served: dict[str, str] = {}  # what a child agent's tools are called where its parent has them served
    for event in log.events:
        match event:
            case SessionCreated() if event.parent is not None:
                served = event.parent.tools
            case MessageAdded():
                for call in event.calls:
                    yield event.n, f"call {call.call} is asked for again" if call.call in asked else None
                    asked.setdefault(call.call, (event.turn, call.tool))
            case ToolRequested(checks=str(checked)):
                known = checked in asked
                yield event.n, None if known else f"call {event.call} checks call {checked}, which nothing asks for"
                asked.setdefault(event.call, (event.turn, event.tool))
            case ToolRequested(block=int()) | ToolRefused(block=int()) | ApprovalRequested(block=int()):
                asked.setdefault(event.call, (event.turn, event.tool))
            case ToolRequested() | ToolRefused() | ToolAnswered() | ApprovalRequested():
                turn, tool = asked.get(event.call, (None, ""))
                known = turn == event.turn and event.tool in (tool, served.get(tool))
                yield event.n, None if known else f"no message of its turn asks {event.tool} for call {event.call}"
            case ToolCancelled():
                known = event.call in asked and asked[event.call][0] == event.turn
                yield event.n, None if known else f"nothing in its turn asks for call {event.call}"


def attempts(log: Log) -> Iterator[Case]:
    """The attempts of a call are requested as 1, 2, 3 …, and none once it succeeded, or was closed without a result."""
    last: dict[str, int] = {}
    closed: set[str] = set()
    for event in log.events:
        if isinstance(event, ToolRequested):
            expected = last.get(event.call, 0) + 1
            wrong = f"attempt {event.attempt} of call {event.call} is requested, not attempt {expected}"
            late = f"call {event.call} is requested after it was closed"
            yield event.n, late if event.call in closed else wrong if event.attempt != expected else None
            last[event.call] = event.attempt
        elif isinstance(event, ToolSucceeded | ToolRefused | ToolCancelled | ToolAnswered | ToolResolved):
            closed.add(event.call)


def own_answers(log: Log) -> Iterator[Case]:
    """A tool of our own answers a call that nobody else was asked to answer."""
    requested: set[str] = set()
    for event in log.events:
        if isinstance(event, ToolRequested):
            requested.add(event.call)
        elif isinstance(event, ToolAnswered):
            asked = f"{event.tool} answers call {event.call}, which was requested already"
            yield event.n, asked if event.call in requested else None


def result_after_request(log: Log) -> Iterator[Case]:
    """A result answers the latest requested attempt of its call, or its approval, in the same turn."""
    requested: dict[str, tuple[str | None, int]] = {}
    for event in log.events:
        if isinstance(event, ToolRequested):
            requested[event.call] = (event.turn, event.attempt)
        elif isinstance(event, ApprovalRequested):
            requested[event.call] = (event.turn, 0)  # what nobody decides on in time is answered as attempt 0
        elif isinstance(event, _Result):
            known = requested.get(event.call) == (event.turn, event.attempt)
            yield event.n, None if known else f"attempt {event.attempt} of call {event.call} is not what was requested"


def one_result(log: Log) -> Iterator[Case]:
    """A call is answered at most once for each attempt."""
    answered: set[str] = set()
    for event in log.events:
        if isinstance(event, ToolRequested):
            answered.discard(event.call)
        elif isinstance(event, ToolOutcome) and answers_call(event):
            yield event.n, f"call {event.call} is answered already" if event.call in answered else None
            answered.add(event.call)


def answered_first(log: Log) -> Iterator[Case]:
    """Every call is answered before a model is heard again in its turn, and before the turn's end."""
    waiting: dict[str, str | None] = {}
    for event in log.events:
        if isinstance(event, ToolRequested | ApprovalRequested):
            waiting[event.call] = event.turn
        elif isinstance(event, ToolOutcome) and answers_call(event):
            if waiting.pop(event.call, None):
                yield event.n, None
        elif _goes_on(event):
            for call in [call for call, turn in waiting.items() if turn == event.turn]:
                yield event.n, f"call {call} is not answered yet"
        if isinstance(event, MessageAdded):
            waiting |= {call.call: event.turn for call in event.calls}


def _goes_on(event: StoredEvent) -> bool:
    by_model = isinstance(event, MessageAdded) and event.model is not None
    return by_model or isinstance(event, ModelFailed | TurnFinished)
