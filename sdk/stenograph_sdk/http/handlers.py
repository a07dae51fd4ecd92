"""Handlers: functions of the application that answer calls between the legs of a turn.

tools={"get-user-account": get_user_account}        or a list of functions made tools by `@tool`

Arguments are checked against the signature. What a handler raises is the call's error: the model reads it.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Self, cast

import msgspec

from stenograph_events import checked_id
from stenograph_sdk.encoding import to_json
from stenograph_sdk.errors import ToolDefinitionError, ToolError
from stenograph_sdk.http.events import ToolCall, ToolResult
from stenograph_sdk.parameters import InvalidArguments, Parameters
from stenograph_sdk.tools import Tool, is_async

Tools = Mapping[str, Callable[..., Any]] | Sequence[Tool]


class Handler:
    """One function under the name of its tool."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name = checked_id(name, "tool")
        self._function = function.function if isinstance(function, Tool) else function
        if not callable(self._function):
            raise ToolDefinitionError(name, f"{self._function!r} cannot be called")
        self._parameters = Parameters(name, self._function, context=ToolCall)
        if self._parameters.from_lifespan:
            raise ToolDefinitionError(name, "lifespans are opened by workers: bind the value with functools.partial")
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
        """Return what became of `call`, run in this thread."""
        try:
            return _succeeded(call, _ended(self._function(**self._arguments(call))))
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

    def beside(self, tools: Iterable[Tool]) -> Self:
        """Return these handlers, and `tools` in the place of those of their names."""
        both = type(self)()
        both._by_name = self._by_name | {tool.name: Handler(tool.name, tool) for tool in tools}
        return both

    async def run(self, calls: Sequence[ToolCall]) -> list[ToolResult]:
        """Return the results of `calls`, which run at the same time."""
        return list(await asyncio.gather(*(self._by_name[call.tool_name].run(call) for call in calls)))


class HandlersHere(Handlers):
    """Handlers of a client that blocks: nothing here suspends."""

    async def run(self, calls: Sequence[ToolCall]) -> list[ToolResult]:
        """Return the results of `calls`: one runs in this thread, several each in its own, at the same time."""
        if len(calls) < 2:
            return [self._by_name[call.tool_name].run_here(call) for call in calls]
        threads = ThreadPoolExecutor(len(calls), thread_name_prefix="handler")
        try:
            running = [threads.submit(copy_context().run, self._by_name[c.tool_name].run_here, c) for c in calls]
            return [one.result() for one in running]
        finally:
            threads.shutdown(wait=False)  # they are done, unless Ctrl-C came: then nobody wants to wait


def _ended(result: Any) -> Any:
    """Return what a function came to. A coroutine gets a loop, in a thread of its own if this one has a loop."""
    if not inspect.iscoroutine(result):
        return result
    if not _in_a_loop():
        return asyncio.run(result)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(copy_context().run, asyncio.run, result).result()


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _succeeded(call: ToolCall, result: Any) -> ToolResult:
    written = msgspec.json.decode(to_json(result))  # what has no JSON is the tool's error, not ours
    return ToolResult(tool_call_id=call.tool_call_id, tool_name=call.tool_name, result=written)


def _failed(call: ToolCall, error: Exception) -> ToolResult:
    known = isinstance(error, ToolError | InvalidArguments)
    said = str(error) if known else f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return ToolResult(tool_call_id=call.tool_call_id, tool_name=call.tool_name, error=said or "it failed")
