"""Handlers: functions of the application that answer calls between the legs of a turn.

tools={"get-user-account": get_user_account}        or a list of functions made tools by `@tool`

Arguments are checked against the signature. What a handler raises is the call's error: the model reads it.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import msgspec

from stenograph_events import checked_id
from stenograph_sdk.encoding import to_json
from stenograph_sdk.errors import ToolDefinitionError, ToolError
from stenograph_sdk.http.events import ToolCall, ToolResult
from stenograph_sdk.parameters import InvalidArguments, Parameters
from stenograph_sdk.tools import Tool, is_async

Tools = Mapping[str, Callable[..., Any]] | Iterable[Tool]


class Handler:
    """One function under the name of its tool."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name = checked_id(name, "tool")
        self._function = function.function if isinstance(function, Tool) else function
        if not callable(self._function):
            raise ToolDefinitionError(name, f"{self._function!r} cannot be called")
        self._parameters = Parameters(name, self._function, context=ToolCall)
        self._is_async = is_async(self._function)

    async def run(self, call: ToolCall) -> ToolResult:
        """Return what became of `call`; a function that is not async runs in a thread."""
        try:
            arguments = self._arguments(call)
            if self._is_async:
                result = await cast("Awaitable[Any]", self._function(**arguments))
            else:
                result = await asyncio.to_thread(self._function, **arguments)
            return _succeeded(call, result)
        except Exception as error:
            return _failed(call, error)

    def run_here(self, call: ToolCall) -> ToolResult:
        """Return what became of `call`, without a loop of the caller's."""
        try:
            result = self._function(**self._arguments(call))
            return _succeeded(call, asyncio.run(result) if inspect.iscoroutine(result) else result)
        except Exception as error:
            return _failed(call, error)

    def _arguments(self, call: ToolCall) -> dict[str, Any]:
        arguments = self._parameters.convert(msgspec.Raw(msgspec.json.encode(call.args)))
        if self._parameters.context_name:
            arguments[self._parameters.context_name] = call
        return arguments


class Handlers:
    """The handlers of one client, or of one session."""

    def __init__(self, tools: Tools = ()) -> None:
        named = tools.items() if isinstance(tools, Mapping) else [(tool.name, tool) for tool in tools]
        self._by_name = {name: Handler(name, function) for name, function in named}

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    async def run(self, calls: Sequence[ToolCall]) -> list[ToolResult]:
        """Return the results of `calls`, which run at the same time."""
        return list(await asyncio.gather(*(self._by_name[call.tool_name].run(call) for call in calls)))

    def run_here(self, calls: Sequence[ToolCall]) -> list[ToolResult]:
        """Return the results of `calls`, which run at the same time, in threads if there are several."""
        if len(calls) == 1:
            return [self._by_name[calls[0].tool_name].run_here(calls[0])]
        with ThreadPoolExecutor(max(1, len(calls))) as threads:
            return list(threads.map(lambda call: self._by_name[call.tool_name].run_here(call), calls))


def _succeeded(call: ToolCall, result: Any) -> ToolResult:
    written = msgspec.json.decode(to_json(result))  # what has no JSON is the tool's error, not ours
    return ToolResult(tool_call_id=call.tool_call_id, tool_name=call.tool_name, result=written)


def _failed(call: ToolCall, error: Exception) -> ToolResult:
    known = isinstance(error, ToolError | InvalidArguments)
    said = str(error) if known else f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return ToolResult(tool_call_id=call.tool_call_id, tool_name=call.tool_name, error=said or "it failed")
