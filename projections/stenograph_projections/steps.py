"""Steps of the running turn: what a message, a model's failure and the end of a block do to its position."""

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from stenograph_events.types import (
    BlockFinished,
    MessageAdded,
    ModelFailed,
    ThreadCompacted,
    ThreadStarted,
)
from stenograph_events.values import TextPart
from stenograph_projections.spending import NOTHING_SPENT, spent_by
from stenograph_projections.state import PendingCall, Session, StartedThread, ThreadSize, Turn, running_turn
from stenograph_projections.typed import is_json


def message_added(session: Session, event: MessageAdded) -> Session:
    """Return the session after a message: a block's is over with it, a model's when it wants nothing more."""
    turn = running_turn(session, event)
    by_model = event.model is not None
    spent = spent_by(event) if by_model else NOTHING_SPENT
    calls = tuple([PendingCall(c.call, c.tool, "needed", c.arguments, c.malformed) for c in event.calls])
    moved = Turn(
        turn.id,
        turn.trigger,
        turn.input,
        turn.started,
        event.block,
        event.step + 1 if by_model else 0,
        not calls and event.rejected is None,
        calls,
        turn.cancelling,
        rejected=event.rejected,
        not_compacted=turn.not_compacted,
        exceeded=turn.exceeded,
        exceeded_at=turn.exceeded_at,
        spent=turn.spent.plus(spent),
        raised=turn.raised,
        started_at=turn.started_at,
        thread=event.thread,
        tools=turn.tools,
        sender=turn.sender,
        traceparent=turn.traceparent,
    )
    before = session.deliveries_before
    if by_model:  # whoever got this answer made progress: the crash count begins anew at its delivery
        before += max(0, event.attempt - turn.failures - 1)  # an earlier delivery may answer after a later one failed
    return replace(
        session,
        updated_at=event.at,
        turn=moved,
        variables=session.variables if event.output is None else _variables(session, event, event.output),
        deliveries_before=before,
        spent=session.spent.plus(spent),
        sizes={**session.sizes, event.thread: _size(session, event)},
    )


def _variables(session: Session, event: MessageAdded, output: str) -> dict[str, Raw]:
    """Return the variables after an answer. One that was rejected, or cancelled half-way, sets none."""
    if event.calls or event.rejected is not None or event.finish_reason == "cancelled":
        return session.variables
    text = "".join([part.text for part in event.parts if isinstance(part, TextPart)])
    if event.response_type is None:
        return {**session.variables, output: Raw(msgspec.json.encode(text))}
    return {**session.variables, output: Raw(text.encode())} if is_json(text) else session.variables


def _size(session: Session, event: MessageAdded) -> ThreadSize:
    """Return how much a model reads of the thread now: what its provider counted, or what stands there beyond it."""
    if event.usage is not None and event.model is not None:
        return ThreadSize(event.usage.input_tokens + event.usage.output_tokens)
    more = 0
    for part in event.parts:
        if isinstance(part, TextPart):
            more += _bytes(part.text)
    for call in event.calls:
        more += len(memoryview(call.arguments))
    return session.size(event.thread).plus(more)


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def model_failed(session: Session, event: ModelFailed) -> Session:
    """Return the session after an attempt that failed: nothing is said, but it may have cost something."""
    turn = running_turn(session, event)
    begun = turn.block == event.block and not turn.block_over
    failure = f"{event.error}: {event.detail}"
    spent = spent_by(event)
    failed = replace(
        turn,
        block=event.block,
        block_over=False,
        step=turn.step if begun else 0,
        calls=turn.calls if begun else (),
        failures=turn.failures + 1,
        first_failure=turn.first_failure or failure,
        last_failure=failure,
        may_retry=event.retryable,
        streamed=event.streamed,
        backup_failed=turn.backup_failed or event.backup,
        spent=turn.spent.plus(spent),
    )
    return replace(session, updated_at=event.at, turn=failed, spent=session.spent.plus(spent))


def block_finished(session: Session, event: BlockFinished) -> Session:
    """Return the session after the block, with the variables and resources that it set."""
    return replace(
        session,
        updated_at=event.at,
        turn=_over(running_turn(session, event), event.block),
        variables={**session.variables, **event.variables},
        resources={**session.resources, **event.resources},
    )


def thread_started(session: Session, event: ThreadStarted) -> Session:
    """Return the session in which the thread holds nothing yet, and asks its model as the block says."""
    started = StartedThread(event.trigger, event.block, event.system, event.settings)
    return replace(
        session,
        updated_at=event.at,
        turn=_over(running_turn(session, event), event.block),
        threads={**session.threads, event.thread: started},
        sizes={name: size for name, size in session.sizes.items() if name != event.thread},
    )


def thread_compacted(session: Session, event: ThreadCompacted) -> Session:
    """Return the session in which the model can be asked: its thread is shorter, and what failed is tried anew."""
    turn = tried_anew(running_turn(session, event))
    return replace(
        session,
        updated_at=event.at,
        turn=replace(turn, summary=None),
        sizes={**session.sizes, event.thread: ThreadSize(0, _bytes(event.summary))},
    )


def _over(turn: Turn, block: int) -> Turn:
    return replace(tried_anew(turn), block=block, block_over=True, calls=(), step=0, rejected=None)


def tried_anew(turn: Turn) -> Turn:
    """Return `turn` without the failures of its model: what comes next is a first attempt."""
    if not turn.failures:
        return turn
    return replace(
        turn,
        failures=0,
        last_failure=None,
        may_retry=True,
        streamed=False,
        backup_failed=False,
        first_failure=None,
    )
