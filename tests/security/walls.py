"""A server in operator mode, with services and two tenants on it, as an operator would set them up.

async with walled(directory) as wall:
    acme = await wall.worker("acme", ["get-account"])       # the path of a credentials file
    log = await wall.session("acme", script)
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import nats
from nats.aio.client import Client as Nats
from nats.aio.subscription import Subscription
from tests.support.agents import bundle
from tests.support.nats import processed
from tests.support.wait import until

from stenograph_events import EMPTY, Event, SessionId, TenantId, decode, new_id, new_session_id
from stenograph_events.subjects import control_subject, trigger_subject
from stenograph_events.types import SessionCreated, TurnStarted
from stenograph_events.wire import Cancel, Trigger
from stenograph_sdk import Worker
from stenograph_sdk.credentials import said_by
from stenograph_services.accounts import changes
from stenograph_services.accounts.folder import KeyFolder
from stenograph_services.accounts.private import write_private
from stenograph_services.accounts.records import ClientScope
from stenograph_services.gateway import app as gateway
from stenograph_services.orchestrator import app as orchestrator
from stenograph_services.runtime.agents import AgentEntry, Agents
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.connection import connection_options
from stenograph_services.runtime.eventlog import EventLog
from stenograph_services.runtime.jetstream import publish
from stenograph_services.runtime.nats_server import NatsServer
from stenograph_services.runtime.service import Running
from stenograph_services.tool_gateway import app as tool_gateway

E = TypeVar("E", bound=Event)

TENANTS = ("acme", "bolt")


class Wall:
    """The server, its keys, and a connection of the platform's."""

    def __init__(
        self, server: NatsServer, folder: KeyFolder, settings: Settings, platform: Nats, gateway: Running
    ) -> None:
        self.server = server
        self.gateway = gateway
        self.folder = folder
        self.platform = platform
        self.log = EventLog(platform, settings)
        self._files = 0

    async def client(self, tenant: str, expires: timedelta | None = None, **scope: Any) -> Path:
        """Return the file of a new credential for clients."""
        made = ClientScope(**scope)
        minted = await changes.client_credentials(self.folder, self.server.url, tenant, made, "c-1", expires)
        return self.file(minted.text)

    async def worker(self, tenant: str, tools: list[str], expires: timedelta | None = None) -> Path:
        """Return the file of a new credential."""
        minted = await changes.worker_credentials(self.folder, self.server.url, tenant, tools, "w-1", expires)
        return self.file(minted.text)

    def file(self, text: str) -> Path:
        """Return a file of its own that holds a credential."""
        self._files += 1
        path = self.folder.directory / f"{self._files}.creds"
        write_private(path, text)
        return path

    async def session(self, tenant: str, script: str, **bundled: Any) -> "Session":
        """Return a session of an agent of its own, which plays `script`."""
        return await self.session_of(tenant, await self.agent(tenant, script, **bundled))

    async def agent(self, tenant: str, script: str, **bundled: Any) -> AgentEntry:
        """Return a new agent, which plays `script`."""
        agent, _ = await Agents(self.platform).store(tenant, bundle(f"agent-{new_id()[:8]}", script, **bundled))
        return agent

    async def session_of(self, tenant: str, agent: AgentEntry, **secrets: str) -> "Session":
        """Return a session of `agent` with `secrets` for its input, made without a gateway."""
        session = Session(self, tenant, new_session_id())
        key = await self.log.seals.for_secrets(tenant, session.id, 1) if secrets else None
        input = {name: key.secret(value) for name, value in secrets.items()} if key else {}
        created = SessionCreated(
            id=new_id(), at=datetime.now(UTC), tenant=TenantId(tenant), session=session.id,
            agent=agent.slug, agent_version=agent.version, input=msgspec.Raw(msgspec.json.encode(input)),
        )  # fmt: skip
        await self.log.append(tenant, session.id, EMPTY, [created])
        return session


class Session:
    """A session of one tenant, as the platform sees it."""

    def __init__(self, wall: Wall, tenant: str, id: SessionId) -> None:
        self.wall = wall
        self.tenant = tenant
        self.id = id

    async def trigger(self, **input: Any) -> None:
        body = msgspec.json.encode(Trigger(request=new_id(), input=msgspec.Raw(msgspec.json.encode(input))))
        await publish(self.wall.platform, trigger_subject(self.tenant, self.id, "user-message"), body)

    async def all(self, kind: type[E]) -> list[E]:
        """Return the events of a kind."""
        stored = await self.wall.log.read(self.tenant, self.id)
        return [event for event in (decode(one.plain) for one in stored) if isinstance(event, kind)]

    async def cancel(self) -> None:
        """Cancel the turn that runs."""
        started = await self.until(TurnStarted)
        body = msgspec.json.encode(Cancel(str(started.turn)))
        await publish(self.wall.platform, control_subject(self.tenant, self.id, "cancel"), body)

    async def until(self, kind: type[E]) -> E:
        """Return the first event of a kind, as soon as it is in the log."""

        async def found() -> E | None:
            return next(iter(await self.all(kind)), None)

        return await until(found, what=kind.__name__)


@asynccontextmanager
async def walled(
    directory: Path, listeners: str = "", ca: Path | None = None, *, sealing: bool = False, keys: bool = False
) -> AsyncIterator[Wall]:
    """Start a server with the platform's services, which hold the platform's credentials and no key.

    `listeners` is more of the server's configuration, `ca` what signed its certificate, if it has one. With `sealing`
    what is said lies sealed; with `keys` it could, and secrets do.
    """
    folder = KeyFolder(directory / "keys")
    folder.make()
    async with NatsServer(directory / "nats", operator=f"{folder.server_config.read_text()}{listeners}") as server:
        settings = Settings(
            nats_url=server.url,
            nats_credentials=folder.platform_credentials,
            nats_ca=ca,
            data_dir=directory,
            ack_wait_seconds=1.0,
            tool_timeout_seconds=600,  # longer than all of a file's tests take
            signing_key_file=folder.signers.key_file,
            sealing=sealing,
            sealing_key_file=folder.sealing_keys if sealing or keys else None,
            port=0,
        )
        services = [Running(build, settings) for build in (orchestrator.build, tool_gateway.build, gateway.build)]
        for service in services:
            await service.start()
        platform = await nats.connect(server.url, **connection_options(settings, "test"))
        for tenant in TENANTS:
            await changes.create(folder, server.url, tenant)
        try:
            yield Wall(server, folder, settings, platform, services[-1])
        finally:
            await platform.close()
            for service in reversed(services):
                await service.stop()


@asynccontextmanager
async def serving(worker: Worker) -> AsyncIterator[Worker]:
    """Run `worker` until it serves every tool, and stop it in the end."""
    task = asyncio.create_task(worker.run(signals=False))
    ready = asyncio.create_task(worker.serving.wait())
    done, _ = await asyncio.wait({task, ready}, timeout=15, return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    try:
        assert done, "the worker does not serve"
        yield worker
    finally:
        worker.stop()
        await task


class Guest:
    """A plain connection with a credential, all that reaches it, and what the server forbids it."""

    nc: Nats

    def __init__(self) -> None:
        self.forbidden: list[str] = []
        self.received: list[bytes] = []
        self.closed = asyncio.Event()
        self._heard: list[Subscription] = []

    @classmethod
    async def connect(cls, url: str, credentials: Path) -> "Guest":
        guest = cls()
        guest.nc = await nats.connect(
            url, user_credentials=str(credentials), inbox_prefix=said_by(credentials).inbox_prefix or "_INBOX",
            error_cb=guest._note, closed_cb=guest._end, allow_reconnect=False, connect_timeout=5,
        )  # fmt: skip
        return guest

    async def listen(self, subject: str) -> None:
        async def hear(message: Any) -> None:
            self.received.append(message.subject.encode() + b" " + message.data)

        self._heard.append(await self.nc.subscribe(subject, cb=hear))

    async def publish(self, subject: str, body: bytes, reply: str) -> None:
        """Publish also where nats-py would not: to wildcards, which the server takes for plain letters."""
        await self.nc._send_command(f"PUB {subject} {reply} {len(body)}\r\n".encode() + body + b"\r\n")

    async def answered(self) -> None:
        """Return when all that the server says to what was sent stands in `forbidden` and `received`."""
        await processed(self.nc)
        await until(lambda: not any(one.pending_msgs for one in self._heard), what="every message is heard")

    async def _note(self, error: Exception) -> None:
        self.forbidden.append(str(error))

    async def _end(self) -> None:
        self.closed.set()
