"""Calls of the running turn: what a request and an answer do to them.

    a model's call     needed  →  open  →  done        the model is asked again when all of its step are done
    one to be approved needed  →  approval  →  needed  →  open  →  done      see `approvals`
    one tried again                needed  →  open  →  needed  →  open  →  done
    an unknown outcome                          open  →  …  →  done          see `effects`
    a block's call               open  →  the block is over, and its output variable holds the result
    a summariser's               open  →  the turn holds the summary, for `thread.compacted` to take

What is answered without having been requested, refused or by a tool of our own, goes from needed to done.
"""

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from stenograph_events import ToolOutcome
from stenograph_events.types import (
    ToolAnswered,
    ToolFailed,
    ToolOutcomeUnknown,
    ToolRefused,
    ToolRequested,
    ToolResolved,
    ToolSucceeded,
    ToolTimedOut,
)
from stenograph_events.values import EMPTY_OBJECT, Compaction
from stenograph_projections.effects import (
    check_requested,
    checked,
    kept_arguments,
    left_unknown,
    resolved_value,
    to_be_tried_again,
)
from stenograph_projections.state import PendingCall, Session, Summary, Turn, running_turn


def requested(session: Session, event: ToolRequested) -> Session:
    """Return the session in which the call waits for its answer."""
    turn = running_turn(session, event)
    child = event.child.session if event.child is not None else None
    call = PendingCall(
        event.call, event.tool, "open", kept_arguments(event), None, event.attempt, event.retry, event.deadline_at,
        event.block, event.output, child, event.compacts, event.client,
        on_unknown=event.on_unknown, checks=event.checks, attempts=event.attempts,
    )  # fmt: skip
    if event.checks is not None:
        moved = check_requested(turn, event.checks, call)
    elif event.compacts is not None:  # the position stays: whose thread is too long asks its model when it is shorter
        moved = replace(turn, calls=(call,))
    elif event.block is not None:
        others = [other for other in turn.calls if other.call != event.call]
        moved = replace(turn, block=event.block, step=0, block_over=False, calls=(*others, call))
    else:
        moved = replace(turn, calls=tuple([_opened(known, call) for known in turn.calls]))
    return replace(session, updated_at=event.at, turn=moved)


def _opened(known: PendingCall, call: PendingCall) -> PendingCall:
    """A call keeps the name that its model knows: a parent may serve the tool of a child agent under another one."""
    if known.call != call.call:
        return known
    return call if known.tool == call.tool else replace(call, tool=known.tool, served=call.tool)


def answered(session: Session, event: ToolOutcome) -> Session:
    """Return the session in which the call waits for nothing more."""
    turn = running_turn(session, event)
    call = _pending(turn, event)
    if isinstance(event, ToolFailed | ToolTimedOut) and event.again:
        return to_be_tried_again(session, turn, event.call, event.at)
    if isinstance(event, ToolOutcomeUnknown) and event.then is not None:
        return left_unknown(session, turn, event)
    if call is not None and call.checks is not None:
        return checked(session, turn, call, event)
    if call is not None and call.compacts is not None:
        return replace(session, updated_at=event.at, turn=_summarised(turn, call, call.compacts, event))
    value = _value(event)
    if isinstance(event, ToolRefused):
        block, output = event.block, event.output  # a call that a block made is refused without being requested
    else:
        block, output = (call.block, call.output) if call is not None else (None, None)
    if block is None:
        return _model_answered(session, turn, event, value)
    over = replace(turn, block=block, step=0, calls=(), block_over=True)
    variables = session.variables if output is None else {**session.variables, output: value}
    return replace(session, updated_at=event.at, turn=over, variables=variables)


def _model_answered(session: Session, turn: Turn, event: ToolOutcome, value: Raw) -> Session:
    """The model that asked reads the answer when it is asked again."""
    calls = tuple([_done(call) if call.call == event.call else call for call in turn.calls])
    size = session.size(turn.thread).plus(_size(event, value))
    noted = event.todos if isinstance(event, ToolAnswered) else None
    return replace(
        session,
        updated_at=event.at,
        turn=replace(turn, calls=calls),
        sizes={**session.sizes, turn.thread: size},
        todos=session.todos if noted is None else noted,
    )


def _pending(turn: Turn, event: ToolOutcome) -> PendingCall | None:
    for call in turn.calls:
        if call.call == event.call:
            return call
    return None


def _done(call: PendingCall) -> PendingCall:
    return PendingCall(
        call.call, call.tool, "done", EMPTY_OBJECT, None, call.attempt, call.retry, call.deadline_at,
        call.block, call.output, call.child, served=call.served,
    )  # fmt: skip


def _value(event: ToolOutcome) -> Raw:
    """Return what the output variable of a call takes: the result, where it lies, or why there is none."""
    match event:
        case ToolSucceeded():
            return event.result if event.result_ref is None else _encoded(event.result_ref)
        case ToolAnswered():
            return event.result
        case ToolResolved():
            return resolved_value(event)
        case ToolFailed() | ToolRefused():
            return _encoded({"error": event.error})
        case _:
            return _encoded({"error": str(type(event).__struct_config__.tag)})


def _size(event: ToolOutcome, value: Raw) -> int:
    """Return how many bytes a model reads of an answer: of one that lies in BLOB too, all of it."""
    if isinstance(event, ToolSucceeded) and event.result_ref is not None:
        return event.result_ref.size
    return len(memoryview(value))


def _summarised(turn: Turn, call: PendingCall, of: Compaction, event: ToolOutcome) -> Turn:
    """A thread that no child agent could sum up is read whole: the model's provider says if that is too much."""
    text = _summary(event)
    if not text:
        return replace(turn, calls=(), not_compacted=call.block)
    return replace(turn, calls=(), summary=Summary(of, text, call.call))


def _summary(event: ToolOutcome) -> str | None:
    """Return the text that a summariser answered with, or its JSON; None if it is too large for a summary, or null."""
    if not isinstance(event, ToolSucceeded) or event.result_ref is not None:
        return None
    value = msgspec.json.decode(event.result)
    return value if isinstance(value, str) or value is None else bytes(event.result).decode()


def _encoded(value: object) -> Raw:
    return Raw(msgspec.json.encode(value))
