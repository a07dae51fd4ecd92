"""Several things that are told at once, as one: a turn, and the child agents that run in it.

    the parent    tool.requested{child} ───────────────────────── tool.succeeded    turn.finished
    the child                            frames, events … its end

Each keeps its own order. All that is told of a child stands behind the request for it and before its outcome.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, Protocol

from stenograph_events import ToolOutcome
from stenograph_events.types import ToolRequested
from stenograph_services.gateway.turns.live import Told

ROOM = 100  # items that wait for whoever takes them


class Run(Protocol):
    """What is told of one child agent."""

    def events(self) -> AsyncGenerator[Told, None]:
        """Yield what it shows, for as long as somebody asks."""

    async def settled(self, outcome: ToolOutcome) -> None:
        """Return when all is told that it had done when `outcome` answered for it."""

    def end(self) -> Told | None:
        """Return what closes what was told, None if nothing has to be closed."""


Begin = Callable[[ToolRequested], Run | None]
"""Returns the run that a request begins, None if nothing is told of one."""


async def woven(items: AsyncGenerator[Told, None], begin: Begin) -> AsyncGenerator[Told, None]:
    """Yield `items`, and between them what the runs show that they begin. Until the first one nothing is in between."""
    async with aclosing(items):
        async for item in items:
            yield item
            if isinstance(item, ToolRequested) and (run := begin(item)):
                async with aclosing(_Weave(begin).items(item, run, items)) as rest:
                    async for told in rest:
                        yield told
                return


class _Weave:
    def __init__(self, begin: Begin) -> None:
        self._begin = begin
        self._queue: asyncio.Queue[Told | Exception | None] = asyncio.Queue(ROOM)
        self._runs: dict[str, tuple[Run, asyncio.Task[None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def items(
        self, request: ToolRequested, first: Run, parent: AsyncGenerator[Told, None]
    ) -> AsyncGenerator[Told, None]:
        """Yield what is left of `parent`, whose `request` began the `first` run, and what the runs show."""
        self._start(request, first)
        self._spawn(self._follow(parent))
        try:
            while (told := await self._queue.get()) is not None:
                if isinstance(told, Exception):
                    raise told
                yield told
        finally:
            await _end(*self._tasks)

    async def _follow(self, parent: AsyncGenerator[Told, None]) -> None:
        try:
            async for item in parent:
                if isinstance(item, ToolOutcome) and item.call in self._runs:
                    await self._settle(item)
                await self._queue.put(item)
                if isinstance(item, ToolRequested) and (run := self._begin(item)):
                    self._start(item, run)
            await self._queue.put(None)
        except Exception as error:
            await self._queue.put(error)

    def _start(self, request: ToolRequested, run: Run) -> None:
        self._runs[request.call] = run, self._spawn(self._show(run))

    async def _show(self, run: Run) -> None:
        async with aclosing(run.events()) as events:
            async for told in events:
                await self._queue.put(told)

    async def _settle(self, outcome: ToolOutcome) -> None:
        run, task = self._runs.pop(outcome.call)
        await run.settled(outcome)
        await _end(task)
        if last := run.end():
            await self._queue.put(last)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
