"""The processes that a measurement is made of.

A part prints `ready` once it is. A loading part then waits for a line on its input, loads, and prints a `Load` as JSON.
"""

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

import msgspec

from bench.measure import Load, Result, count_operations, cpu_seconds, result_of

ROOT = Path(__file__).parents[1]
READY_SECONDS = 30.0
STOP_SECONDS = 10.0


class Part:
    """One Python process, `python -m <module> <arguments>`."""

    def __init__(self, *module_and_arguments: str) -> None:
        self._command = module_and_arguments
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *self._command, stdin=pipe, stdout=pipe, cwd=ROOT
        )
        await self.line("ready", READY_SECONDS)
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
        line = (await asyncio.wait_for(self.process.stdout.readline(), timeout)).decode().strip()
        if not line.startswith(beginning):
            raise RuntimeError(f"{' '.join(self._command)} was to print {beginning!r} and printed {line!r}")
        return line

    async def load(self, timeout: float) -> Load:
        """Tell a loading part to begin, and return what it saw."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"go\n")
        return msgspec.json.decode(await self.line("{", timeout), type=Load)


async def measured(parts: list[Part], loader: Part, server: int, monitor_url: str, seconds: float) -> Result:
    """Run `loader` against `parts`; return the result with the processor time of all of them and of the server."""
    async with AsyncExitStack() as running:
        for part in (*parts, loader):
            await running.enter_async_context(part)
        pids = [server, *(part.process.pid for part in (*parts, loader))]
        counted, used = await count_operations(monitor_url), cpu_seconds(pids)
        load = await loader.load(seconds + 60)
        used, after = cpu_seconds(pids) - used, await count_operations(monitor_url)
        after.subtract(counted)
    return result_of(load, used, after)
