"""Tools: functions of yours that an agent may call.

    @tool("get-user-account", retry="safe")
    async def get_user_account(userId: str) -> dict[str, str]:
        return {"plan": "pro"}

    @tool("create-support-ticket")  # retry="never": at most once
    async def create_support_ticket(summary: str, urgent: bool = False, *, call: ToolContext) -> str:
        return await tickets.create(summary, urgent, idempotency_key=call.call)

A function that is not async runs in a thread. Its docstring is the tool's description; `lifespan` tells how it gets at
what is opened once for all calls.
"""

import asyncio
import contextvars
import copy
import inspect
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from datetime import datetime
from functools import partial
from threading import Event
from typing import Any, ParamSpec, Self, TypeVar, cast

import msgspec

from stenograph_events import CallId, SessionId, TenantId, TurnId, checked_id
from stenograph_events.types import ToolRequested
from stenograph_events.values import Retry
from stenograph_sdk.errors import ToolDefinitionError
from stenograph_sdk.lifespan import values_for
from stenograph_sdk.parameters import Parameters, described
from stenograph_sdk.progress import Reporter

P = ParamSpec("P")
R = TypeVar("R")


class ToolContext(msgspec.Struct, frozen=True, dict=True):  # what is no field is neither compared nor encoded
    """Which call a tool runs for. A parameter with this annotation receives it; the model does not see it.

    `call` is the same for every attempt, so it is the right idempotency key towards other systems.
    """

    call: CallId
    attempt: int
    tool: str
    tenant: TenantId
    session: SessionId
    turn: TurnId | None
    deadline_at: datetime

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for the call any more: its turn was cancelled, or its deadline has passed.

        An async function is cancelled then (`asyncio.CancelledError`); one that runs in a thread has to look here.
        """
        stop: Event | None = self.__dict__.get("stop")
        return stop is not None and stop.is_set()

    def progress(self, text: str = "", *, done: float | None = None, total: float | None = None) -> None:
        """Let those who watch the session see how far the call is: "3 of 10 pages", done=3, total=10.

        From any thread, as often as you like: the newest is shown, a line of 200 characters, about twice a second.
        Nothing is stored, and what nobody sees is lost; the result says everything. It is content: say
        no secrets; those that the protocol declares are masked.
        """
        reporter: Reporter | None = self.__dict__.get("reporter")
        if reporter is not None:
            reporter.say(text, done, total)


class Tool:
    """A function under the name by which agents ask for it. Calling it calls the function.

    `parameters` is the JSON schema of its arguments, `result` that of what it declares to return, None if nothing;
    `concurrency` how many calls of it run at once in one worker.
    """

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        *,
        retry: Retry = "never",
        parameters: dict[str, Any] | None = None,
        concurrency: int | None = None,
        description: str | None = None,
        result: dict[str, Any] | None = None,
    ) -> None:
        self.name = checked_id(name, "tool")
        self.function = function
        self.retry = retry
        self.concurrency = concurrency
        self._given: dict[str, Any] = {}
        self.is_async = is_async(function)
        if generates(function):
            raise ToolDefinitionError(name, "it yields: a tool returns its result, whole")
        self._read = Parameters(name, function, context=ToolContext)
        self.description = described(function) if description is None else description
        self.result = self._read.result if result is None else result
        self.parameters = parameters if parameters is not None else self._read.schema
        if retry not in ("safe", "never"):
            raise ToolDefinitionError(name, f"retry is 'safe' or 'never', not {retry!r}")
        if concurrency is not None and concurrency < 1:
            raise ToolDefinitionError(name, f"concurrency must be at least 1, not {concurrency}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    @property
    def from_lifespan(self) -> tuple[str, ...]:
        """The parameters that a lifespan fills."""
        return tuple(self._read.from_lifespan)

    def given(self, values: Sequence[Any]) -> Self:
        """Return the tool with what lifespans opened. Raises `ToolDefinitionError` if that is not what it wants."""
        filled = copy.copy(self)
        filled._given = values_for(self.name, self._read.from_lifespan, values)
        return filled

    async def run(
        self, request: ToolRequested, threads: Executor, stop: Event | None = None, reporter: Reporter | None = None
    ) -> Any:
        """Return what the function returns for `request`; raise `InvalidArguments`, or what the function raises.

        `stop` is set when nobody waits for the call any more; it shows in the function's `ToolContext`, by which
        `reporter` hears how far it is.
        """
        if missing := [name for name in self.from_lifespan if name not in self._given]:
            raise ToolDefinitionError(self.name, f"nothing was opened for parameter {missing[0]!r}: give it a lifespan")
        arguments = self._read.convert(request.arguments) | self._given
        if self._read.context_name:
            arguments[self._read.context_name] = context_of(request, stop or Event(), reporter)
        if self.is_async:
            return await cast("Awaitable[Any]", self.function(**arguments))
        within = contextvars.copy_context()
        call = partial(within.run, partial(self.function, **arguments))
        return await asyncio.get_running_loop().run_in_executor(threads, call)


def tool(
    name: str,
    *,
    retry: Retry = "never",
    parameters: dict[str, Any] | None = None,
    concurrency: int | None = None,
) -> Callable[[Callable[..., Any]], Tool]:
    """Make a function a tool, for `stenograph-worker FILE.py` and for `Worker.add`.

    `retry="safe"` says that running it twice for one call does no harm. With "never" it runs at most once for each
    attempt, and a call whose outcome nobody knows is said to be so. Parameters come from the signature, through
    msgspec, unless a JSON schema is given. Raises `ToolDefinitionError`, and `InvalidId` for the name.
    """
    return lambda function: Tool(name, function, retry=retry, parameters=parameters, concurrency=concurrency)


def is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def generates(function: Callable[..., Any]) -> bool:
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def context_of(request: ToolRequested, stop: Event, reporter: Reporter | None) -> ToolContext:
    context = ToolContext(
        request.call, request.attempt, request.tool, request.tenant, request.session, request.turn, request.deadline_at
    )
    context.__dict__.update(stop=stop, reporter=reporter)
    return context
