"""`stenograph run orchestrator`: one service as in production, until SIGTERM; `run all` is all four in one process.

    $ stenograph run tool-gateway --nats-url nats://10.0.0.7:4222 --monitor-url http://10.0.0.7:8222 --require-sync
    {"event": "service.started", "service": "tool-gateway", "nats": "nats://10.0.0.7:4222", …}

Settings come from STENOGRAPH_… variables; flags stand over them. A wrong one ends with exit code 78, anything else
that keeps a service from starting with 1, both with one line that says why.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stenograph_services.cli.output import Failure

if TYPE_CHECKING:
    from stenograph_services.runtime.config import Settings
    from stenograph_services.runtime.service import Build


class Which(StrEnum):
    """The services by name, and all of them."""

    ORCHESTRATOR = "orchestrator"
    TOOL_GATEWAY = "tool-gateway"
    PROJECTOR = "projector"
    GATEWAY = "gateway"
    ALL = "all"


NatsUrl = Annotated[str | None, typer.Option("--nats-url", metavar="URL", help="[env: STENOGRAPH_NATS_URL]")]
MonitorUrl = Annotated[
    str | None,
    typer.Option("--monitor-url", metavar="URL", help="Its monitoring endpoint [env: STENOGRAPH_NATS_MONITOR_URL]"),
]
RequireSync = Annotated[
    bool, typer.Option("--require-sync", help="Refuse to start unless the server syncs every write before its ack")
]
DataFolder = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="The session index [env: STENOGRAPH_DATA_DIR]")
]
Host = Annotated[str | None, typer.Option(help="Where the gateway listens [env: STENOGRAPH_HOST]")]
Port = Annotated[int | None, typer.Option(help="[env: STENOGRAPH_PORT]")]
ReadyFile = Annotated[
    Path | None, typer.Option(metavar="PATH", help="Write the process id to this file once work is being taken")
]


def run(
    service: Annotated[Which, typer.Argument(show_default=False)],
    nats_url: NatsUrl = None,
    monitor_url: MonitorUrl = None,
    require_sync: RequireSync = False,
    data: DataFolder = None,
    host: Host = None,
    port: Port = None,
    log_level: Annotated[str | None, typer.Option(help="[env: STENOGRAPH_LOG_LEVEL]")] = None,
    ready_file: ReadyFile = None,
) -> None:
    """Run one service, as in production, or all four in one process.

    What it stores of sessions is encrypted, each with a key of its own, under the keys of the file that
    STENOGRAPH_SEALING_KEY_FILE names: `stenograph tenants init` makes it, sealing.key. It does not start without them,
    unless STENOGRAPH_SEALING=off says that everything may lie readable.

    Example: STENOGRAPH_SEALING_KEY_FILE=/etc/stenograph/keys/sealing.key stenograph run gateway
    """
    from stenograph_services.runtime.config import load_settings
    from stenograph_services.runtime.logs import configure
    from stenograph_services.runtime.sealing import MasterKeys

    with settings_checked():
        settings = load_settings(
            nats_url=nats_url,
            nats_monitor_url=monitor_url,
            require_sync=require_sync or None,
            data_dir=data,
            host=host,
            port=port,
            log_level=log_level,
        )
        if settings.sealing is None:
            settings = settings.model_copy(update={"sealing": True})
        MasterKeys.of(settings)
        configure(settings, "stenograph" if service is Which.ALL else service)
        _serve(builds(service), settings, ready=lambda: _say_ready(ready_file))


class Misconfigured(Failure):
    """A setting is wrong. EX_CONFIG of sysexits.h tells a supervisor that trying again will not help."""

    exit_code = 78


@contextmanager
def settings_checked() -> Iterator[None]:
    """Turn an `InvalidSetting`, whoever finds it, into the exit code that says so."""
    from stenograph_services.runtime.errors import InvalidSetting

    try:
        yield
    except InvalidSetting as error:
        raise Misconfigured(str(error)) from error


def builds(which: Which) -> "list[Build]":
    """Return how to make the services of `which`, importing no others."""
    names = [name for name in Which if name is not Which.ALL] if which is Which.ALL else [which]
    return [import_module(f"stenograph_services.{name.replace('-', '_')}.app").build for name in names]


def _serve(made: "Sequence[Build]", settings: "Settings", *, ready: Callable[[], None]) -> None:
    import uvloop

    from stenograph_services.runtime.service import serve

    uvloop.run(serve(made, settings, ready=ready))


def _say_ready(ready_file: Path | None) -> None:
    if ready_file is not None:
        ready_file.write_text(f"{os.getpid()}\n")


def cancel_on_signals() -> None:
    """Let SIGTERM and Ctrl-C cancel this task, so that what it started ends with it."""
    task = asyncio.current_task()
    assert task is not None, "this runs inside a task"
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
