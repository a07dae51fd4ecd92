"""How a client sees the run of a child agent.

    a model's call of a child agent    worker-input-start, -delta, -ready, worker-start … worker-result
    a block that runs one              worker-start … worker-result
    one whose display is hidden        nothing
    on a screen that reloads           a part of type worker

Its input and its output are kept where the display is `stream`; elsewhere a client is told that it runs, and what it
came to. What clients of version 2.0.0 see instead is said in `wire.versions`. Pure.
"""

from msgspec import Raw

from stenograph_projections.messages import ShownChild
from stenograph_projections.session import Session
from stenograph_projections.transcript import BlockCall, ChildCall, Reply
from stenograph_services.gateway.stream.callees import Callee
from stenograph_services.gateway.stream.tool_events import why_not
from stenograph_services.gateway.wire.stream_events import (
    CalledWorkerResult,
    CalledWorkerStart,
    StreamEvent,
    WorkerInputDelta,
    WorkerInputReady,
    WorkerInputStart,
    WorkerResult,
    WorkerStart,
)
from stenograph_services.gateway.wire.ui_parts import UICalledWorker, UINested, UIWorker, thread_of


def begun(call: str, slug: str, arguments: Raw, callee: Callee, *, by_model: bool) -> list[StreamEvent]:
    """Return what a stream says when child agent `slug` is to run. The run is named by its call."""
    input = arguments if callee.kept else None
    if not by_model:
        return [WorkerStart(call, slug, callee.title, input)]
    asked: list[StreamEvent] = [WorkerInputStart(call, slug, callee.title)]
    if input is not None:
        asked += [WorkerInputDelta(call, bytes(input).decode()), WorkerInputReady(call, input)]
    return [*asked, CalledWorkerStart(call, slug, callee.title, input)]


def alone(worker: str | None, session: Session) -> WorkerStart | None:
    """Return what the stream of `session` says if it is a run that a client asked for, under the id `worker`."""
    return None if worker is None else WorkerStart(worker, session.agent, input=session.input)


def ended(reply: Reply, *, by_model: bool) -> list[StreamEvent]:
    """Return what a stream says when a child agent has answered, or will not."""
    result = CalledWorkerResult if by_model else WorkerResult
    if reply.outcome == "succeeded":
        return [result(reply.call, output=reply.value)]
    return [result(reply.call, error=why_not(reply))]


def part(child: ShownChild, callee: Callee, nested: list[UINested]) -> UIWorker | None:
    """Return what a stored message shows of a run; `nested` is what the child agent itself said and did."""
    if callee.hidden:
        return None
    kind = UICalledWorker if child.by_model else UIWorker
    return kind(
        worker_id=child.call,
        worker_slug=child.agent,
        description=callee.title,
        input=child.arguments if callee.kept else None,
        parts=nested,
        output=child.result if callee.kept else None,
        error=child.error,
        status="running" if child.status == "pending" else child.status,
        thread=thread_of(child.thread),
    )


def as_call(run: ChildCall) -> BlockCall:
    """Return what the full state has of a run that a block began."""
    return BlockCall(run.n, run.at, run.turn, run.call, run.agent, run.arguments)
