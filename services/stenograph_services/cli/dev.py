"""`stenograph dev`: a nats-server, all four services and your agents in one process, to develop against.

    $ stenograph dev --agents agents --port 8420 --nats-port 4222 --data .stenograph

What it stores stays in the data folder: the next start goes on where this one stood. It stands behind the same wall as
in production; `--insecure` lets everybody do everything.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stenograph_services.cli.run import ReadyFile, Which, builds, cancel_on_signals, settings_checked

if TYPE_CHECKING:
    from stenograph_services.cli.dev_wall import DevWall
    from stenograph_services.runtime.config import Settings
    from stenograph_services.runtime.nats_server import NatsServer

NATS_PORT = 4222

AgentsFolder = Annotated[
    Path | None,
    typer.Option(
        "--agents", metavar="DIR", exists=True, file_okay=False, help="Watched; ./agents if it exists and none is given"
    ),
]


def dev(
    agents: AgentsFolder = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="HTTP; 8420 or a free one by default")] = None,
    nats_port: Annotated[int | None, typer.Option(min=0, max=65535, help="4222 or a free one by default")] = None,
    data: Annotated[Path | None, typer.Option(metavar="DIR", help=".stenograph by default")] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log what the services do, not only warnings")
    ] = False,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="No wall: whoever reaches the NATS port may do everything")
    ] = False,
    ready_file: ReadyFile = None,
) -> None:
    """Start everything to develop against: NATS, the services, your agents. Ctrl-C stops it.

    NATS lets in who has a credential; those for you are made in creds/ of the data folder, and the commands here find
    what they need by themselves. What was stored without keys, or with --insecure, stays.

    Example: stenograph dev --agents agents
    """
    import uvloop

    from stenograph_services.runtime.config import load_settings

    folder = agents or (Path("agents") if Path("agents").is_dir() else None)
    with settings_checked(), contextlib.suppress(asyncio.CancelledError):  # stopped before the services were up
        settings = load_settings(data_dir=data, port=port)
        uvloop.run(_develop(settings, folder, nats_port, verbose, insecure, ready_file))


async def _develop(
    settings: "Settings",
    folder: Path | None,
    nats_port: int | None,
    verbose: bool,
    insecure: bool,
    ready_file: Path | None,
) -> None:
    from stenograph_services.cli.dev_wall import OPEN, DevWall, keys_of
    from stenograph_services.runtime.logs import configure
    from stenograph_services.runtime.nats_server import NatsServer

    cancel_on_signals()  # until `serve` listens for them itself
    wall = None if insecure else DevWall(settings.data_dir, settings.tenant, keys_of(settings.data_dir))
    ground = wall.prepare() if wall else OPEN
    server = NatsServer(
        settings.data_dir / "nats",
        port=nats_port or _usual_port(NATS_PORT),
        operator=ground.operator,
        account=ground.account,
    )
    async with server:
        settings = _settled(settings, server, verbose)
        configure(settings, "dev")
        made = await wall.open(server.url) if wall else {}
        chosen = {name for name in settings.model_fields_set if name != "nats_credentials"}
        ours = {"nats_credentials": None} | {name: value for name, value in made.items() if name not in chosen}
        await _Services(settings.model_copy(update=ours), server, folder, ready_file, wall).run()


class _Services:
    """The four services beside the nats-server, and the folder of agents that is watched meanwhile."""

    def __init__(
        self,
        settings: "Settings",
        server: "NatsServer",
        folder: Path | None,
        ready_file: Path | None,
        wall: "DevWall | None",
    ) -> None:
        self.settings = settings
        self.server = server
        self.folder = folder
        self.ready_file = ready_file
        self.wall = wall

    async def run(self) -> None:
        """Run until a signal drains the services; raise what ends them otherwise."""
        from stenograph_services.runtime.service import serve

        ready = asyncio.Event()
        serving = asyncio.create_task(serve(builds(Which.ALL), self.settings, ready=ready.set))
        beside = [asyncio.create_task(self._when_ready(ready)), asyncio.create_task(self._server_ends())]
        try:
            await asyncio.wait({serving, *beside}, return_when=asyncio.FIRST_COMPLETED)
            for task in (serving, *beside):
                if task.done():
                    task.result()
        finally:
            for task in (serving, *beside):
                task.cancel()
            await asyncio.gather(serving, *beside, return_exceptions=True)

    async def _when_ready(self, ready: asyncio.Event) -> None:
        import nats

        from stenograph_services.cli import agent_folder
        from stenograph_services.cli.banner import Banner
        from stenograph_services.runtime.agents import Agents
        from stenograph_services.runtime.connection import connection_options

        await ready.wait()
        nc = await nats.connect(self.settings.nats_url, **connection_options(self.settings, "dev"))
        try:
            agents = Agents(nc)
            banner = Banner(self.settings, self.folder)
            found = agent_folder.files_in(self.folder) if self.folder is not None else {}
            await agent_folder.store_all(agents, self.settings.tenant, found, banner.first)
            banner.show(await agents.list(self.settings.tenant))
            if self.ready_file is not None:
                self.ready_file.write_text(f"{self.settings.nats_url}\n")
            beside: list[Coroutine[Any, Any, Any]] = [asyncio.Event().wait()]
            if self.wall is not None:
                beside.append(self.wall.keep_open(self.settings.nats_url, nc))
            if self.folder is not None:
                beside.append(agent_folder.watch(agents, self.settings.tenant, self.folder, banner.news, stored=found))
            await asyncio.gather(*beside)
        finally:
            await nc.close()

    async def _server_ends(self) -> None:
        from stenograph_services.runtime.nats_server import NatsServerError

        while self.server.running:  # noqa: ASYNC110 - a process that ends tells nobody but who looks
            await asyncio.sleep(0.5)
        raise NatsServerError(f"nats-server ended; its last words are in {self.server.log_path}")


def _settled(settings: "Settings", server: "NatsServer", verbose: bool) -> "Settings":
    """Return the settings with what was open: the server's addresses, a free port, a key, how much is logged."""
    given = settings.model_fields_set
    return settings.model_copy(
        update={
            "nats_url": server.url,
            "nats_monitor_url": server.monitor_url,
            "port": _given_port(settings.port) if "port" in given else _usual_port(settings.port),
            "api_key": settings.api_key or f"dev-{secrets.token_urlsafe(18)}",
            "log_level": "info" if verbose else settings.log_level if "log_level" in given else "warning",
            "log_json": bool(settings.log_json),
        }
    )


def _given_port(port: int) -> int:
    from stenograph_services.runtime.errors import InvalidSetting
    from stenograph_services.runtime.nats_server import free_ports, port_is_free

    if port and not port_is_free(port):
        raise InvalidSetting(f"port {port} is taken: choose another with --port, or give none and a free one is found")
    return port or free_ports(1)[0]


def _usual_port(port: int) -> int:
    from stenograph_services.runtime.nats_server import free_ports, port_is_free

    return port if port_is_free(port) else free_ports(1)[0]
