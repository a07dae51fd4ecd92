"""Real processes for tests: started from a module, watched through their log, killed by pid, all gone at the end.

orchestrator = processes.start("orchestrator", "-m", "stenograph_services.cli", "run", "orchestrator")
await orchestrator.line("service.ready")
orchestrator.kill()

They are born by fork from a process that has imported what services are made of: a service costs a second of processor
time to import, and the tests start some 200. What they run is `python -m …` all the same, with their own arguments,
environment and output.
"""

import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

import httpx
from tests.support.wait import until

STOP_SECONDS = 10.0

_births = multiprocessing.get_context("forkserver")
_births.set_forkserver_preload(["tests.support.preloaded"])


class Process:
    """One Python process and its log."""

    def __init__(self, name: str, process: BaseProcess, log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal, or nothing while the process lives."""
        return self._process.exitcode

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
        return self._ended()

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._process.kill()
        self._process.join()

    def stop(self) -> int:
        """SIGTERM, wait, and return the exit code; SIGKILL if it does not go."""
        self.resume()
        self._process.terminate()
        self._process.join(STOP_SECONDS)
        if self.returncode is None:
            self.kill()
        return self._ended()

    def send(self, number: signal.Signals) -> None:
        """Send a signal, to whoever still lives."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def pause(self) -> None:
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        self.send(signal.SIGCONT)

    def _ended(self) -> int:
        assert self.returncode is not None
        return self.returncode

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
        log.touch()
        given = (arguments, str(log), os.getcwd(), {**os.environ, **(env or {})})
        started = _births.Process(target=_live, args=given, name=name, daemon=True)
        started.start()
        process = Process(name, started, log)
        self._started.append(process)
        return process

    def stop_all(self) -> None:
        for process in reversed(self._started):
            process.stop()


def _live(arguments: Sequence[str], log: str, directory: str, environment: dict[str, str]) -> None:
    """Be `python -u *arguments`, in the process that was just born."""
    output = os.open(log, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    for written in (sys.stdout, sys.stderr):
        written.reconfigure(write_through=True)  # type: ignore[union-attr]
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    match arguments:
        case ["-m", module, *rest]:
            sys.modules.pop(module, None)  # or runpy warns that it was imported
            sys.argv = [module, *rest]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case ["-c", code, *rest]:
            sys.argv = ["-c", *rest]
            exec(code, {"__name__": "__main__"})
        case [script, *rest]:
            sys.argv = [script, *rest]
            runpy.run_path(script, run_name="__main__")
