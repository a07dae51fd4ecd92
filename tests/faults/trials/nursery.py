"""Where processes of a trial are born: everything is imported once, so that a birth costs milliseconds, not a second.

    $ python -m tests.faults.trials.nursery
    → {"role":"worker","name":"7","control":"/tmp/x/control","server_lock":"/tmp/x/nats/nats-server.lock", …}

Each line on its input becomes a process by fork. It is the service as `stenograph run` has it, or a worker with the
SDK, wrapped where it may die (`places`). What is armed comes to it over `control` before it begins.
"""

import asyncio
import gc
import os
import signal
import socket
import sys
from importlib import import_module
from pathlib import Path

import msgspec
import uvloop
from tests.faults.trials.dying import Fate
from tests.faults.trials.ledger import take_effect
from tests.faults.trials.places import Role, wrap
from tests.faults.trials.scenes import TOOLS, UNHEARD

from stenograph_events.values import Retry
from stenograph_sdk import ToolContext, Worker
from stenograph_services.runtime import logs
from stenograph_services.runtime.config import load_settings
from stenograph_services.runtime.service import serve

BUILDS = {name: import_module(f"stenograph_services.{name.replace('-', '_')}.app").build
          for name in ("tool-gateway", "orchestrator", "projector")}  # fmt: skip


class Birth(msgspec.Struct, frozen=True):
    """Who is to be born, and where."""

    role: Role
    name: str
    url: str
    control: str
    server_lock: str
    ledger: str
    log: str
    environment: dict[str, str]
    recorded: str = ""


def main() -> None:
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin.buffer:
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os._exit(_live(msgspec.json.decode(line, type=Birth)))


def _live(birth: Birth) -> int:
    output = os.open(birth.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.update(birth.environment)
    control = socket.socket(socket.AF_UNIX)
    control.connect(birth.control)
    fate = Fate(control, Path(birth.server_lock), Path(birth.recorded) if birth.recorded else None)
    fate.say(born=birth.name, pid=os.getpid())
    fate.hear_first()
    fate.listen()
    if birth.role != "projector":
        wrap(birth.role, fate)
    if birth.role == "worker":
        uvloop.run(_work(birth, fate))
    else:
        settings = load_settings()
        logs.configure(settings, birth.role)
        uvloop.run(serve([BUILDS[birth.role]], settings, ready=lambda: fate.say(ready=birth.name)))
    return 0


async def _work(birth: Birth, fate: Fate) -> None:
    worker = Worker(birth.url, name=f"worker-{birth.name}", concurrency=64)
    for tools in (TOOLS, UNHEARD):
        for retry, tool in tools.items():
            _serve_tool(worker, tool, retry, Path(birth.ledger), fate)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(worker.run())
        await worker.serving.wait()
        fate.say(ready=birth.name)


def _serve_tool(worker: Worker, tool: str, retry: Retry, ledger: Path, fate: Fate) -> None:
    @worker.tool(tool, retry=retry)
    async def act(lingers: float, *, context: ToolContext) -> dict[str, bool]:
        fate.passing("worker/effect/before", context.session)
        take_effect(ledger, context)
        fate.passing("worker/effect/after", context.session)
        await asyncio.sleep(lingers)
        return {"done": True}


if __name__ == "__main__":
    main()
