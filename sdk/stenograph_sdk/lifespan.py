"""What handlers need and a worker opens once: a pool of connections, a client, a model in memory.

    @lifespan
    async def database() -> AsyncIterator[Database]:
        async with Database.connect("postgres://…") as connected:
            yield connected

    @tool("get-user-account", retry="safe")
    async def get_user_account(userId: str, db: Annotated[Database, FromLifespan]) -> dict[str, str]: ...

Opened in order before the first tool is registered, closed in reverse after the last answer is stored. A handler gets
the value by its type; the model knows nothing of such a parameter.
"""

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from typing import Any, get_origin

from stenograph_sdk.errors import LifespanFailed, ToolDefinitionError

log = logging.getLogger("stenograph_sdk")


class FromLifespan:
    """Marks a parameter, `Annotated[Database, FromLifespan]`, that a lifespan fills."""


class Lifespan:
    """A function that opens a value, yields it, and closes it. Async or not; without parameters."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.name = getattr(function, "__name__", type(function).__name__)
        if inspect.isasyncgenfunction(function):
            function = asynccontextmanager(function)
        elif inspect.isgeneratorfunction(function):
            function = contextmanager(function)
        self._function = function

    def __call__(self) -> Any:
        """Return a context manager, async or not, as for a test of a handler's own."""
        return self._function()

    async def enter(self) -> "Opened":
        """Open the value. Raises `LifespanFailed`."""
        try:
            context = self._function()
            if isinstance(context, AbstractAsyncContextManager):
                return Opened(self, context, await context.__aenter__())
            if isinstance(context, AbstractContextManager):
                return Opened(self, context, context.__enter__())
        except Exception as error:
            raise LifespanFailed(self.name, "did not start", f"{type(error).__name__}: {error}") from error
        found = type(context).__name__
        raise LifespanFailed(self.name, "did not start", f"it must be a context manager, or yield once, not {found}")


class Opened:
    """A value that is open."""

    def __init__(self, lifespan: Lifespan, context: Any, value: Any) -> None:
        self.lifespan = lifespan
        self.value = value
        self._context = context

    async def close(self) -> None:
        """Close the value. What ended the worker is no error of the value's, so it is not told of it."""
        if isinstance(self._context, AbstractAsyncContextManager):
            await self._context.__aexit__(None, None, None)
        else:
            self._context.__exit__(None, None, None)


def lifespan(function: Callable[[], Any]) -> Lifespan:
    """Make a function that yields once a lifespan, for `stenograph-worker FILE.py` and for `Worker(lifespan=…)`."""
    return Lifespan(function)


def lifespans(given: "Lifespan | Callable[[], Any] | Sequence[Lifespan | Callable[[], Any]]") -> tuple[Lifespan, ...]:
    """Return one or several lifespans, or functions that are none yet, in order."""
    several = given if isinstance(given, Sequence) else (given,)
    return tuple(one if isinstance(one, Lifespan) else Lifespan(one) for one in several)


@asynccontextmanager
async def open_all(wanted: Iterable[Lifespan], stop: asyncio.Event) -> "AsyncIterator[list[Any] | None]":
    """Open each of `wanted` and yield the values, or None if `stop` came first; close all at the end, whatever happens.

    Raises `LifespanFailed` for one that does not start, and, if nothing else went wrong, for one that does not close.
    """
    entered: list[Opened] = []
    failed: LifespanFailed | None = None
    try:
        yield await _entered(wanted, entered, stop)
    finally:
        for opened in reversed(entered):
            try:
                await opened.close()
            except Exception as error:
                failed = LifespanFailed(opened.lifespan.name, "did not close", f"{type(error).__name__}: {error}")
                log.error("lifespan.not_closed lifespan=%s error=%s", opened.lifespan.name, type(error).__name__)
    if failed is not None:
        raise failed


async def _entered(wanted: Iterable[Lifespan], entered: list[Opened], stop: asyncio.Event) -> list[Any] | None:
    """In this very task: what is opened may only be closed where it was opened."""
    stopping = asyncio.create_task(stop.wait())
    opening = asyncio.timeout(None)

    def interrupt(_: object) -> None:
        opening.reschedule(0.0)

    stopping.add_done_callback(interrupt)
    try:
        async with opening:
            for one in wanted:
                entered.append(await one.enter())
                log.info("lifespan.started lifespan=%s", one.name)
    except TimeoutError:
        if not opening.expired():
            raise
        return None
    finally:
        stopping.remove_done_callback(interrupt)
        stopping.cancel()
    return [one.value for one in entered]


def values_for(tool: str, wanted: Mapping[str, Any], values: Sequence[Any]) -> dict[str, Any]:
    """Return the value for each parameter of `wanted`, by its type; raise `ToolDefinitionError` if it is not one."""
    return {name: _value(tool, name, kind, values) for name, kind in wanted.items()}


def _value(tool: str, name: str, kind: Any, values: Sequence[Any]) -> Any:
    fits = [value for value in values if _is_a(value, kind)]
    exactly = [value for value in fits if type(value) is kind]
    if len(fits) == 1 or len(exactly) == 1:
        return (exactly or fits)[0]
    there = ", ".join(sorted(type(value).__name__ for value in values)) or "none"
    how_many = "several lifespans give one" if fits else "no lifespan gives one"
    raise ToolDefinitionError(tool, f"parameter {name!r} wants a {_name(kind)}, and {how_many} (values: {there})")


def _is_a(value: Any, kind: Any) -> bool:
    """Return whether `value` is of type `kind`; of one that cannot be asked for, such as a Protocol, every value is."""
    try:
        return isinstance(value, get_origin(kind) or kind)
    except TypeError:
        return True


def _name(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind))
