"""Real processes for tests: started from a module, watched through their log, killed by pid, all gone at the end.

orchestrator = processes.start("orchestrator", "-m", "stenograph_services.cli", "run", "orchestrator")
await orchestrator.line("service.ready")
orchestrator.kill()
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
from tests.support.wait import until

STOP_SECONDS = 10.0


class Process:
    """One Python process and its log."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal, or nothing while the process lives."""
        return self._process.poll()

    def output(self) -> str:
        """Return what the process has written so far."""
        return self.log.read_text(errors="replace")

    async def line(self, text: str, timeout: float = 20.0) -> str:
        """Return the first line of the log that contains `text`, as soon as it is there."""
        return await until(lambda: self._find(text), timeout, what=f"{self.name} says {text!r}")

    async def answers(self, url: str, timeout: float = 20.0) -> None:
        """Return when a GET of `url` answers 200."""

        async def ok() -> bool:
            self._must_live()
            try:
                return (await http.get(url)).status_code == httpx.codes.OK
            except httpx.HTTPError:
                return False

        async with httpx.AsyncClient(trust_env=False, timeout=5.0) as http:
            await until(ok, timeout, what=f"{self.name} answers {url}")

    async def exit(self, timeout: float = 20.0) -> int:
        """Return the exit code as soon as the process has ended by itself."""
        await until(lambda: self.returncode is not None, timeout, what=f"{self.name} ends")
        return self._process.wait()

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """SIGTERM, wait, and return the exit code; SIGKILL if it does not go."""
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def _find(self, text: str) -> str:
        found = next((line for line in self.output().splitlines() if text in line), "")
        if not found:
            self._must_live()
        return found

    def _must_live(self) -> None:
        assert self.returncode is None, f"{self.name} ended with {self.returncode}:\n{self.output()[-3000:]}"


class Processes:
    """The processes of one test, with their logs in `directory`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._started: list[Process] = []

    def start(self, name: str, *arguments: str, env: Mapping[str, str] | None = None) -> Process:
        """Start `python *arguments`; a second start under the same name gets a log of its own."""
        log = self.directory / f"{name}-{len(self._started) + 1}.log"
        with log.open("wb") as out:
            started = subprocess.Popen(
                [sys.executable, "-u", *arguments], stdout=out, stderr=out, env={**os.environ, **(env or {})}
            )
        process = Process(name, started, log)
        self._started.append(process)
        return process

    def stop_all(self) -> None:
        for process in reversed(self._started):
            process.stop()
