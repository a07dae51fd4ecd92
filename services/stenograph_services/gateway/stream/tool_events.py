"""A call, its progress and its outcome as the events of a stream. Pure."""

import msgspec
from msgspec import Raw

from stenograph_events.frames import ToolProgress as Frame
from stenograph_projections.transcript import Reply
from stenograph_services.gateway.stream.callees import Callee
from stenograph_services.gateway.wire.stream_events import (
    StreamEvent,
    ToolInputAvailable,
    ToolInputDelta,
    ToolInputEnd,
    ToolInputStart,
    ToolOutputAvailable,
    ToolOutputError,
    ToolProgress,
)


def asked(call: str, tool: str, callee: Callee, arguments: Raw) -> list[StreamEvent]:
    """Return what shows a call whose arguments are known."""
    return [
        ToolInputStart(call, tool, callee.title, callee.display),
        ToolInputDelta(call, bytes(arguments).decode()),
        ToolInputEnd(call),
        ToolInputAvailable(call, tool, arguments),
    ]


def progressed(frame: Frame) -> StreamEvent:
    """Return what shows how far a call is."""
    return ToolProgress(frame.call, text=frame.text or None, done=frame.done, total=frame.total)


def answered(reply: Reply) -> list[StreamEvent]:
    """Return what shows the outcome of a call."""
    if reply.outcome == "succeeded":
        return [ToolOutputAvailable(reply.call, reply.value)]
    return [ToolOutputError(reply.call, why_not(reply))]


def why_not(reply: Reply) -> str:
    """Return why a call did not succeed."""
    return msgspec.json.decode(reply.value, type=str)
