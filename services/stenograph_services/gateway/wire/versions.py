"""The two shapes of what clients read, and the one place that knows the difference.

    X-Octavus-Sdk-Version: 4    the full shape, as everything else in the gateway makes it
    without the header          the shape of version 2.0.0, which refuses what it does not know

    full                                          2.0.0
    worker-input-start … worker-start             tool-input-start … tool-input-available, of a model's call
    worker-result                                 tool-output-available, or tool-output-error, of a model's call
    the other events of workers, todo-update,     –
    usage
    lastMessageId, display of a call              –
    display: title                                display: description
    errorType: unsupported_error                  errorType: provider_error
    a part of type worker                         a tool-call if a model asked for it, else an operation
    a part of type todo or step-start             –
    a part of type operation, in the full state   –
    status: cancelled                             status: error
    the sender of a message                       –
    one message of the full state for each turn   one for each response of a model

An event that is not said keeps its number, so the ids of a stream mean the same in both shapes. Pure.
"""

from collections.abc import Iterable
from enum import Enum
from itertools import groupby
from typing import Annotated

from fastapi import Depends, Header
from msgspec.structs import replace

from stenograph_events.values import EMPTY_OBJECT, Sender
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.gateway.wire.chat_parts import ChatMessage, ChatPart, Step
from stenograph_services.gateway.wire.stream_events import (
    BlockStart,
    CalledWorkerResult,
    CalledWorkerStart,
    Start,
    StreamError,
    StreamEvent,
    TodoUpdate,
    ToolInputAvailable,
    ToolInputDelta,
    ToolInputEnd,
    ToolInputStart,
    ToolOutputAvailable,
    ToolOutputError,
    ToolRequest,
    Unsaid,
    Usage,
    WorkerInputDelta,
    WorkerInputReady,
    WorkerInputStart,
)
from stenograph_services.gateway.wire.ui_parts import (
    UICalledWorker,
    UIOperation,
    UIPart,
    UIStepStart,
    UITodo,
    UIToolCall,
    UIWorker,
)

HEADER = "X-Octavus-Sdk-Version"
FULL_SINCE = 4  # the number that clients of 4.0 and later send; those before send none

UNSAID = Unsaid()


class Wire(Enum):
    """A shape, by the oldest version of the client that reads it."""

    FIRST = "2.0.0"
    FULL = "4.0"

    def events(self, events: list[StreamEvent]) -> list[StreamEvent]:
        """Return `events` as the client reads them, one for each."""
        return events if self is Wire.FULL else [_event(event) for event in events]

    def parts(self, parts: Iterable[UIPart]) -> list[UIPart]:
        """Return the parts of a message on a screen as the client reads them."""
        if self is Wire.FULL:
            return list(parts)
        return [read for part in parts if (read := _part(part)) is not None]

    def messages(self, steps: Iterable[Step]) -> list[ChatMessage]:
        """Return the messages of the full state as the application reads them."""
        return _turns(steps) if self is Wire.FULL else [_single(step.message) for step in steps]

    def sender(self, sender: Sender | None) -> Sender | None:
        """Return who said a message, as the client reads it: 2.0.0 knows of nobody."""
        return sender if self is Wire.FULL else None


def wire_of(version: str | None) -> Wire:
    """Return the shape that a client of wire version `version` reads; raise `Refusal` if that is no number."""
    if version is None:
        return Wire.FIRST
    if not (version.isascii() and version.isdecimal() and len(version) <= 9):
        raise Refusal(
            400, f"{HEADER} is a number, such as 4, not {version[:80]!r}; leave it out for the shape of 2.0.0"
        )
    return Wire.FULL if int(version) >= FULL_SINCE else Wire.FIRST


_DESCRIPTION = "The version of the wire that the client reads: 4 or more for that of 4.0, nothing for that of 2.0.0"


async def _asked(
    x_octavus_sdk_version: Annotated[str | None, Header(description=_DESCRIPTION, examples=["4"])] = None,
) -> Wire:
    return wire_of(x_octavus_sdk_version)


AskedWire = Annotated[Wire, Depends(_asked)]
"""The shape that a request asks for."""


# ---- what 2.0.0 reads


def _event(event: StreamEvent) -> StreamEvent:
    match event:
        case Start(last_message_id=str()):
            return replace(event, last_message_id=None)
        case BlockStart(worker_id=None, display="title"):
            return replace(event, display="description")
        case StreamError(worker_id=None, error_type="unsupported_error"):
            return replace(event, error_type="provider_error")
        case ToolInputStart(worker_id=None):
            return replace(event, display=None)
        case ToolRequest():
            return replace(event, tool_calls=[replace(call, worker_id=None) for call in event.tool_calls])
        case TodoUpdate() | Usage():
            return UNSAID
    return event if event.worker_id is None else _of_worker(event)


def _of_worker(event: StreamEvent) -> StreamEvent:
    """Return what a run that a model asked for is to a client that knows calls alone. All else of it is not said."""
    match event:
        case WorkerInputStart():
            return ToolInputStart(event.worker_id, event.worker_slug, event.description)
        case WorkerInputDelta():
            return ToolInputDelta(event.worker_id, event.delta)
        case WorkerInputReady():
            return ToolInputEnd(event.worker_id)
        case CalledWorkerStart():
            return ToolInputAvailable(event.worker_id, event.worker_slug, event.input or EMPTY_OBJECT)
        case CalledWorkerResult(error=str(error)):
            return ToolOutputError(event.worker_id, error)
        case CalledWorkerResult(output=output) if output is not None:
            return ToolOutputAvailable(event.worker_id, output)
    return UNSAID


def _part(part: UIPart) -> UIPart | None:
    match part:
        case UIStepStart() | UITodo():
            return None
        case UICalledWorker():
            return UIToolCall(
                tool_call_id=part.worker_id,
                tool_name=part.worker_slug,
                display_name=part.description,
                args=part.input or EMPTY_OBJECT,
                result=part.output,
                error=part.error,
                status=_status(part.status),
                thread=part.thread,
            )
        case UIWorker():
            return UIOperation(
                operation_id=part.worker_id,
                name=part.description or part.worker_slug,
                operation_type="run-worker",
                status="running" if part.status == "running" else "done",
                thread=part.thread,
            )
        case UIToolCall():
            return replace(part, display=None, status=_status(part.status))
    return part


def _status(status: str) -> str:
    return "error" if status == "cancelled" else status


def _single(message: ChatMessage) -> ChatMessage:
    known = [part for part in message.parts if part.todo is None and part.operation is None]
    parts = [replace(part, worker=None) if part.worker else part for part in known]
    return replace(message, parts=parts, sender=None)


# ---- what later versions read of the full state


def _turns(steps: Iterable[Step]) -> list[ChatMessage]:
    """Return the messages, those of one answer as one. It is known by its first, as on a screen."""
    answers = groupby(enumerate(steps), key=_answer)
    return [_joined([step for _, step in answer]) for _, answer in answers]


def _answer(numbered: tuple[int, Step]) -> tuple[str, int]:
    """Return what is the same for all that belongs to one message."""
    n, step = numbered
    return (step.turn, -1) if step.message.role == "assistant" else (step.turn, n)


def _joined(answer: list[Step]) -> ChatMessage:
    first = answer[0].message
    parts: list[ChatPart] = []
    for step in answer:
        if step.begins:
            parts.append(_STEP_START)
        parts += map(_alone, step.message.parts)
    return replace(
        first,
        parts=parts,
        content="".join(step.message.content for step in answer),
        visible=any(step.message.visible for step in answer),
        tool_calls=None,  # these three are parts
        reasoning=None,
        reasoning_signature=None,
    )


_STEP_START = ChatPart(type="step-start", visible=True)


def _alone(part: ChatPart) -> ChatPart:
    """Return a run of a child agent as such, not as the call that it answers as well."""
    return part if part.worker is None else replace(part, type="worker", tool_call=None)
