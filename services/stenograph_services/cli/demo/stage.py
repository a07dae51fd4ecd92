"""What the demo plays on: a nats-server, the four services and the worker as processes of their own, and our client."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from stenograph_events.subjects import claim_subject
from stenograph_sdk import Client
from stenograph_services.accounts.folder import KeyFolder
from stenograph_services.cli.connect import DEFAULT_TENANT, Place
from stenograph_services.cli.demo.processes import Process, Processes
from stenograph_services.cli.dev_wall import DevWall, worker_credentials_of
from stenograph_services.cli.reading import Logs
from stenograph_services.protocol import read_folder
from stenograph_services.runtime.agents import AgentEntry, Agents
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.jetstream import NOT_FOUND, JetStreamError, api
from stenograph_services.runtime.nats_server import NatsServer, free_ports
from stenograph_services.runtime.sealing import Seals
from stenograph_services.runtime.snapshots import Snapshots
from stenograph_services.runtime.streams import RES, consumers

ACK_WAIT_SECONDS = 2  # the product's 5 s is kinder to a busy machine; a demo must not make anybody wait
TOOL_SECONDS = 3  # longer than it takes to kill an orchestrator and to start another


class Stage:
    """Everything that runs during the demo. The client is this process's own; all else are other processes."""

    def __init__(
        self, data: Path, server: NatsServer, client: Client, processes: Processes, settings: Settings
    ) -> None:
        self.data = data
        self.server = server
        self.client = client
        self.nc = client.connection.nats
        self.processes = processes
        self.settings = settings
        self.logs = Logs(self.nc, Place(server.url, settings.tenant, data))
        self.orchestrator: Process
        self.projector: Process
        self.worker: Process
        self._orchestrators = 0
        self._projectors = 0

    def start_orchestrator(self) -> Process:
        """Start another orchestrator process; the one before it must be gone."""
        self._orchestrators += 1
        self.orchestrator = self.processes.service(f"orchestrator-{self._orchestrators}", "orchestrator")
        return self.orchestrator

    def start_projector(self) -> Process:
        """Start another projector process; the one before it must be gone."""
        self._projectors += 1
        self.projector = self.processes.service(f"projector-{self._projectors}", "projector")
        return self.projector

    def start_worker(self, tools: Path) -> Process:
        """Start the worker on the customer's file of tools, as `stenograph-worker` does."""
        self.worker = self.processes.start(
            "worker", "-m", "stenograph_sdk.cli", str(tools), ready_line="worker.serving"
        )
        return self.worker

    async def store_agent(self, folder: Path) -> AgentEntry:
        entry, _ = await Agents(self.nc).store(self.settings.tenant, read_folder(folder))
        return entry

    async def held_by_orchestrators(self) -> int:
        """Return how many deliveries the orchestrators hold un-acked, as the server counts them."""
        theirs = [consumer for consumer in consumers(self.settings) if consumer.who == "orchestrator"]
        asked = (api(self.nc, f"CONSUMER.INFO.{consumer.stream}.{consumer.name}") for consumer in theirs)
        return sum(int(info["num_ack_pending"]) for info in await asyncio.gather(*asked))

    async def is_claimed(self, session: str, tool: str, call: str) -> bool:
        """Return whether a worker has written the call's write-once claim, which it does right before it runs it."""
        subject = claim_subject(self.settings.tenant, tool, session, call, 1)
        try:
            await api(self.nc, f"STREAM.MSG.GET.{RES}", {"last_by_subj": subject})
        except JetStreamError as error:
            if error.code in NOT_FOUND:
                return False
            raise
        return True

    async def snapshot(self, session: str) -> bytes | None:
        """Return the bytes of the session's snapshot, if there is one."""
        return await Snapshots(self.nc, Seals(self.nc, self.settings)).plain(self.settings.tenant, session)


@asynccontextmanager
async def open_stage(data: Path) -> AsyncIterator[Stage]:
    """Start nats-server behind its wall, connect to it, and end everything that was started at the end."""
    logs = data / "logs"
    logs.mkdir(parents=True)
    wall = DevWall(data, DEFAULT_TENANT, KeyFolder(data / "keys"))
    ground = wall.prepare()
    async with NatsServer(data / "nats", operator=ground.operator, account=ground.account) as server:
        # Nothing of the caller's own STENOGRAPH_… may change the story, neither here nor in the processes.
        settings = Settings.model_construct(
            nats_url=server.url, nats_monitor_url=server.monitor_url, data_dir=data, ack_wait_seconds=ACK_WAIT_SECONDS,
            **await wall.open(server.url),
        )  # fmt: skip
        processes = Processes(logs, _environment(settings))
        credentials = settings.nats_credentials
        try:
            async with Client.connect(server.url, credentials=credentials, name="stenograph-demo") as client:
                opening = client.connection.spawn(wall.keep_open(server.url, client.connection.nats))
                yield Stage(data, server, client, processes, settings)
                opening.cancel()
        finally:
            await processes.stop_all()


def _environment(settings: Settings) -> dict[str, str]:
    """Return the environment of every process: the caller's, with the settings of the demo and no others."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("STENOGRAPH_")}
    return inherited | {
        "STENOGRAPH_NATS_URL": settings.nats_url,
        "STENOGRAPH_NATS_MONITOR_URL": settings.nats_monitor_url or "",
        "STENOGRAPH_NATS_CREDENTIALS": str(settings.nats_credentials),
        "STENOGRAPH_SIGNING_KEY_FILE": str(settings.signing_key_file),
        "STENOGRAPH_CREDENTIALS": str(worker_credentials_of(settings.data_dir)),
        "STENOGRAPH_REQUIRE_SYNC": "true",
        "STENOGRAPH_SEALING": "off",
        "STENOGRAPH_DATA_DIR": str(settings.data_dir),
        "STENOGRAPH_ACK_WAIT_SECONDS": f"{settings.ack_wait_seconds:g}",
        "STENOGRAPH_PORT": str(free_ports(1)[0]),
        "SUPPORT_CHAT_DELAY_SECONDS": f"{TOOL_SECONDS:g}",
    }
