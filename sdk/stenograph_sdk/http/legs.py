"""One turn over HTTP: leg after leg, until it is over or waits for somebody else. Pure: who owns a socket drives it.

    legs = Legs(session, handlers, trigger_body("user-message", {…}))
    while legs.body is not None:
        …POST legs.body; for each line of the answer: yield from legs.take(line)
        yield from legs.answered(…the results of legs.calls…)

After `tool-request` the server closes the leg. Calls with a handler are answered here; if some have none, the turn
waits, and whoever has their results resumes it.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from stenograph_events.values import OfferedTool, Sender
from stenograph_sdk.encoding import to_json
from stenograph_sdk.http.errors import StreamBroken
from stenograph_sdk.http.events import (
    ClientToolRequest,
    Finish,
    OtherEvent,
    Start,
    StreamError,
    StreamEvent,
    ToolCall,
    ToolOutputAvailable,
    ToolOutputError,
    ToolRequest,
    ToolResult,
    decode_event,
)
from stenograph_sdk.http.handlers import Handlers

AnyStreamEvent = StreamEvent | OtherEvent


def trigger_body(
    name: str, input: dict[str, Any] | None, tools: Sequence[OfferedTool] = (), sender: Sender | None = None
) -> bytes:
    body: dict[str, Any] = {"triggerName": name, "input": input or {}}
    if tools:
        body["dynamicToolSchemas"] = [
            {"name": tool.name, "description": tool.description, "inputSchema": tool.parameters} for tool in tools
        ]
    if sender is not None:
        body["sender"] = sender
    return to_json(body)


def resume_body(execution: str | None, results: Iterable[ToolResult]) -> bytes:
    return to_json({"executionId": execution, "toolResults": [_result(one) for one in results]})


class Legs:
    """The state between the legs of one turn. `body` is what the next leg posts, None when there is none."""

    def __init__(self, session: str, handlers: Handlers, body: bytes) -> None:
        self.body: bytes | None = body
        self.turn: str | None = None
        self._session = session
        self._handlers = handlers
        self._requested: tuple[ToolCall, ...] = ()
        self._over = False

    @property
    def calls(self) -> Sequence[ToolCall]:
        """The calls of the last leg that have a handler."""
        return [call for call in self._requested if call.tool_name in self._handlers]

    def take(self, line: str) -> Iterator[AnyStreamEvent]:
        """Yield the event of one line of the answer, if it holds one that is the application's."""
        if not line.startswith("data: ") or line == "data: [DONE]":
            return
        event = decode_event(line[6:])
        match event:
            case ToolRequest():
                self._requested = event.tool_calls
                return
            case Finish(finish_reason="tool-calls") if self._requested:
                return
            case Start():
                self.turn = event.execution_id
            case Finish() | StreamError():
                self._over = True
        yield event

    def answered(self, results: Sequence[ToolResult]) -> Iterator[AnyStreamEvent]:
        """End a leg with the results of `calls`: yield what they show, and set the body of the next leg, if any.

        Raises `StreamBroken` if the leg ended without saying how the turn goes on.
        """
        requested, self._requested = self._requested, ()
        self.body = None
        if self._over:
            return
        if not requested:
            raise StreamBroken(self._session, self.turn, "it ended without a finish")
        for result in results:
            yield _shown(result)
        known = {result.tool_call_id for result in results}
        missing = tuple(call for call in requested if call.tool_call_id not in known)
        if missing:
            turn = self.turn or ""
            yield ClientToolRequest(execution_id=turn, tool_calls=missing, results=tuple(results))
            yield Finish(finish_reason="client-tool-calls", execution_id=turn)
        else:
            self.body = resume_body(self.turn, results)


def _shown(result: ToolResult) -> StreamEvent:
    if result.error is not None:
        return ToolOutputError(tool_call_id=result.tool_call_id, error=result.error)
    return ToolOutputAvailable(tool_call_id=result.tool_call_id, output=result.result)


def _result(result: ToolResult) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(result)
    return fields if result.error is not None else fields | {"result": result.result}
