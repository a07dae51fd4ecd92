"""How a client sees the run of a child agent. Version 2.0.0 of its protocol knows no workers, so it is told of

    a model's call of a child agent    a call of a tool that has the child agent's name
    a block that runs one              the block's start and end; on a screen that reloads an operation
    one whose display is hidden        nothing

The full state has both as tool calls.

A version of the client that knows workers differs here, and nowhere else. Pure.
"""

from msgspec import Raw

from stenograph_events.values import EMPTY_OBJECT
from stenograph_projections.messages import ShownChild
from stenograph_projections.transcript import BlockCall, ChildCall, Reply
from stenograph_services.gateway import tool_events
from stenograph_services.gateway.callees import Callee
from stenograph_services.gateway.stream_events import StreamEvent
from stenograph_services.gateway.ui_parts import UIOperation, UIToolCall, thread_of


def begun(call: str, slug: str, arguments: Raw, callee: Callee, *, by_model: bool) -> list[StreamEvent]:
    """Return what a stream says when child agent `slug` is to run."""
    return tool_events.asked(call, slug, callee.title, arguments) if by_model else []


def ended(reply: Reply, *, by_model: bool) -> list[StreamEvent]:
    """Return what a stream says when a child agent has answered, or will not."""
    return tool_events.answered(reply) if by_model else []


def part(child: ShownChild, callee: Callee) -> UIToolCall | UIOperation | None:
    """Return what a stored message shows of a run."""
    if callee.hidden:
        return None
    if not child.by_model:
        return UIOperation(
            operation_id=child.call,
            name=callee.title or child.agent,
            operation_type="run-worker",
            status="done" if child.status in ("done", "error") else "running",
            thread=thread_of(child.thread),
        )
    return UIToolCall(
        tool_call_id=child.call,
        tool_name=child.agent,
        display_name=callee.title,
        args=child.arguments if callee.kept else EMPTY_OBJECT,
        result=child.result if callee.kept else None,
        error=child.error,
        status=child.status,
        thread=thread_of(child.thread),
    )


def as_call(run: ChildCall) -> BlockCall:
    """Return what the full state has of a run that a block began."""
    return BlockCall(run.n, run.at, run.turn, run.call, run.agent, run.arguments)
