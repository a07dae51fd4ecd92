"""The processes of the demo: each service and the worker is one of its own, with its log in a file.

<data>/logs/orchestrator-1.log    what that process said
<data>/logs/orchestrator-1.ready  there when it takes work
"""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from stenograph_services.cli.demo.promises import BrokenPromise, until

START_SECONDS = 35.0  # alone two; five processes that import everything on a busy machine take ten times as long
STOP_SECONDS = 15.0
CLI = ("-m", "stenograph_services.cli")


class Process:
    """One process. `ready` says that it takes work: a file that it writes, or a line of its log."""

    def __init__(
        self, name: str, arguments: Sequence[str], logs: Path, env: Mapping[str, str], ready_line: str
    ) -> None:
        self.name = name
        self.log = logs / f"{name}.log"
        self._ready_file = logs / f"{name}.ready"
        self._ready_line = ready_line
        given = [*arguments] if ready_line else [*arguments, "--ready-file", str(self._ready_file)]
        with self.log.open("wb") as out:
            # A session of its own: Ctrl-C ends the demo, and the demo ends its processes in order.
            self._popen = subprocess.Popen(
                [sys.executable, *given], stdout=out, stderr=out, env=env, start_new_session=True
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    def said(self) -> str:
        """Return everything the process has written."""
        return self.log.read_text(errors="replace")

    async def ready(self) -> "Process":
        """Return when the process takes work; raise `BrokenPromise` with its last words if it ends before."""
        await until(self._is_ready, f"{self.name} does not get ready; its log is {self.log}", START_SECONDS)
        return self

    async def kill(self) -> None:
        """`kill -9`, and wait until it is gone."""
        self._popen.kill()
        code = await asyncio.to_thread(self._popen.wait)
        if code != -signal.SIGKILL:
            raise BrokenPromise(f"{self.name} ended with {code} before it could be killed")

    async def stop(self) -> int:
        """SIGTERM; return the exit code once it has drained, or after a SIGKILL if it takes too long."""
        if self._popen.poll() is None:
            self._popen.terminate()
        try:
            return await asyncio.to_thread(self._popen.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            return await asyncio.to_thread(self._popen.wait)

    async def _is_ready(self) -> bool:
        if (code := self._popen.poll()) is not None:
            last = self.said().strip().splitlines()[-1:] or ["nothing"]
            raise BrokenPromise(f"{self.name} ended with exit code {code}; its last words: {last[0]}")
        return self._ready_line in self.said() if self._ready_line else self._ready_file.exists()


class Processes:
    """Starts processes, and ends all of them at the end, the last one started first."""

    def __init__(self, logs: Path, env: Mapping[str, str]) -> None:
        self._logs = logs
        self._env = env
        self._alive: dict[str, Process] = {}

    def start(self, name: str, *arguments: str, ready_line: str = "") -> Process:
        """Start `python *arguments` and return at once; see `Process.ready`."""
        process = self._alive[name] = Process(name, arguments, self._logs, self._env, ready_line)
        return process

    def service(self, name: str, which: str | None = None, *flags: str) -> Process:
        """Start a service as `stenograph run` does."""
        return self.start(name, *CLI, "run", which or name, *flags)

    async def kill(self, process: Process) -> None:
        """`kill -9` one of them."""
        del self._alive[process.name]
        await process.kill()

    async def stop(self, process: Process) -> None:
        """Stop one of them in order; raise `BrokenPromise` if it does not end well."""
        del self._alive[process.name]
        if code := await process.stop():
            raise BrokenPromise(f"{process.name} was asked to stop and ended with exit code {code}; see {process.log}")

    async def stop_all(self) -> dict[str, int]:
        """Stop all that are left, and return their exit codes by name."""
        left, self._alive = list(self._alive.values()), {}
        codes = await asyncio.gather(*(process.stop() for process in reversed(left)))
        return {process.name: code for process, code in zip(reversed(left), codes, strict=True)}
