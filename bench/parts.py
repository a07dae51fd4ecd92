"""The processes that a measurement is made of.

A part prints `ready` once it is. A loading part then waits for a line on its input, loads, and prints a `Load` as JSON.
"""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from bench.measure import Load, Result, count_operations, cpu_seconds, result_of

ROOT = Path(__file__).parents[1]
READY_SECONDS = 30.0
STOP_SECONDS = 10.0

A = TypeVar("A")


class PartFailed(Exception):
    """A part did not do what it was to do. What it wrote to stderr says why."""


class Part:
    """One Python process, `python -m <module> <arguments>`, with `environment` over ours.

    Its first line, which must begin with `ready`, is kept in `said`.
    """

    def __init__(
        self, *module_and_arguments: str, environment: Mapping[str, str] | None = None, ready: str = "ready"
    ) -> None:
        self.said = ""
        self._command = module_and_arguments
        self._environment = os.environ | dict(environment or {})
        self._ready = ready
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *self._command, stdin=pipe, stdout=pipe, cwd=ROOT, env=self._environment
        )
        try:
            self.said = await self.line(self._ready, READY_SECONDS)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), STOP_SECONDS)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._process is not None, "enter the part first"
        return self._process

    async def line(self, beginning: str, timeout: float) -> str:
        """Return the next line that the part prints; fail if it ends, or prints something else."""
        assert self.process.stdout is not None
        try:
            line = (await asyncio.wait_for(self.process.stdout.readline(), timeout)).decode().strip()
        except TimeoutError as error:
            raise PartFailed(f"{self} printed nothing for {timeout:g} s; it was to print {beginning!r}") from error
        if not line.startswith(beginning):
            raise PartFailed(f"{self} was to print {beginning!r} and printed {line!r}")
        return line

    def __str__(self) -> str:
        return f"python -m {' '.join(self._command)}"

    async def load(self, timeout: float) -> Load:
        """Tell a loading part to begin, and return what it saw."""
        return await self.ask("go", Load, timeout)

    async def ask(self, question: object, answer: type[A], timeout: float) -> A:
        """Write `question` as a line of JSON, and return the line of JSON that the part answers with."""
        assert self.process.stdin is not None
        self.process.stdin.write(msgspec.json.encode(question) + b"\n")
        return msgspec.json.decode(await self.line("{", timeout), type=answer)


async def start(parts: Sequence[Part], running: AsyncExitStack) -> None:
    """Start `parts` at once, and return when all are ready; `running` ends them. Raises `PartFailed`."""
    tasks = [asyncio.create_task(running.enter_async_context(part)) for part in parts]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def measured(parts: Sequence[Part], loader: Part, server: int, monitor_url: str, seconds: float) -> Result:
    """Run `loader` against `parts`; return the result with the processor time of all of them and of the server."""
    async with AsyncExitStack() as running:
        await start(parts, running)
        await running.enter_async_context(loader)
        pids = [server, *(part.process.pid for part in (*parts, loader))]
        counted, used = await count_operations(monitor_url), cpu_seconds(pids)
        load = await loader.load(seconds + 60)
        used, after = cpu_seconds(pids) - used, await count_operations(monitor_url)
        after.subtract(counted)
    return result_of(load, used, after)
