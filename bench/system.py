"""Our side: Stenograph with each service in a process of its own, on a server of its own.

    client, worker   the SDK
    orchestrator, tool-gateway, projector, gateway
    nats-server      the one that the bench started

The processor time of all seven counts. A model server, where there is one, is not ours and does not.
"""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import nkeys
from nats.aio.client import Client

from bench.measure import Result
from bench.parts import Part, measured
from bench.system_parts import IDENTITY, MODULE, SIGNERS
from stenograph_events import DEFAULT_TENANT
from stenograph_events.signatures import Signer
from stenograph_services.accounts import minting
from stenograph_services.accounts.keys import new_key
from stenograph_services.accounts.private import write_private
from stenograph_services.protocol import read_folder
from stenograph_services.runtime import logs
from stenograph_services.runtime.agents import Agents
from stenograph_services.runtime.config import Settings, load_settings
from stenograph_services.runtime.nats_server import NatsServer
from stenograph_services.runtime.sealing.master_keys import new_key_file
from stenograph_services.runtime.streams import declare

AGENTS = Path(__file__).parent / "agents"
SCRIPTED, THREE_CALLS, OVER_HTTP = "lookup", "lookup-three", "lookup-http"
SPEAKER, SILENT, GREETER = "speaker", "silent", "greeter"
SERVICES = ("tool-gateway", "projector", "gateway", "orchestrator")


async def run_turns(server: NatsServer, *, seconds: float, clients: int) -> Result:
    """Return what turns cost with `clients` of them running at once; the model answers at once."""
    return await _run_turns(server, seconds, clients, SCRIPTED, {})


async def run_secure_turns(server: NatsServer, *, seconds: float, clients: int) -> Result:
    """As `run_turns`, with what protects a session switched on.

    Each request is signed, and verified by its worker; all that is stored is sealed. The client opens what it reads.
    """
    seed = bytes(nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_CLUSTER)).decode()
    key = server.directory / "signing.nk"
    key.touch(mode=0o600)
    key.write_text(seed)
    sealing, credentials = server.directory / "sealing.key", server.directory / "worker.creds"
    write_private(sealing, new_key_file())
    write_private(credentials, minting.worker(new_key("account"), DEFAULT_TENANT, ["lookup"], "").text)
    protection = {
        "STENOGRAPH_SIGNING_KEY_FILE": str(key),
        "STENOGRAPH_SEALING": "on",
        "STENOGRAPH_SEALING_KEY_FILE": str(sealing),
        SIGNERS: Signer(seed).public,
        IDENTITY: str(credentials),
    }
    return await _run_turns(server, seconds, clients, SCRIPTED, protection)


async def run_turns_over_http(server: NatsServer, *, seconds: float, clients: int) -> Result:
    """As `run_turns`, with a model behind HTTP that answers at once, asked as any provider is."""
    arguments = ("--arguments", '{"key": "value"}')
    async with Part("tests.support.openai_server", *arguments, ready="http://") as model:
        return await _run_turns(server, seconds, clients, OVER_HTTP, {"OPENAI_BASE_URL": model.said})


async def run_appends(server: NatsServer, *, seconds: float, writers: int) -> Result:
    """Return what it costs to append one 500-byte event with `writers` sessions written at once."""
    async with prepared(server):
        writer = Part(MODULE, "writer", server.url, str(seconds), str(writers), environment=_environment(server))
        return await measured([], writer, server.pid, server.monitor_url, seconds)


def process(role: str, server: NatsServer, environment: Mapping[str, str] | None = None) -> Part:
    """Return a service, or the worker, which keeps its data beside that of `server`."""
    return Part(MODULE, role, server.url, environment=_environment(server) | dict(environment or {}))


def settings_for(server: NatsServer) -> Settings:
    """Return the settings of a process at `server`."""
    data = server.directory / "data"
    return load_settings(nats_url=server.url, nats_monitor_url=server.monitor_url, data_dir=data, log_level="warning")


@asynccontextmanager
async def prepared(server: NatsServer) -> AsyncIterator[Client]:
    """Declare the streams and store the agents; yield a connection."""
    settings = settings_for(server)
    logs.configure(settings, "bench")
    client = await nats.connect(server.url)
    try:
        await declare(client, settings)
        for name in (SCRIPTED, THREE_CALLS, OVER_HTTP, SPEAKER, SILENT, GREETER):
            await Agents(client).store(DEFAULT_TENANT, read_folder(AGENTS / name))
        yield client
    finally:
        await client.close()


async def _run_turns(
    server: NatsServer, seconds: float, clients: int, agent: str, environment: Mapping[str, str]
) -> Result:
    async with prepared(server):
        parts = [process(role, server, environment) for role in (*SERVICES, "worker")]
        client = Part(MODULE, "client", server.url, str(seconds), str(clients), agent, environment=environment)
        return await measured(parts, client, server.pid, server.monitor_url, seconds)


def _environment(server: NatsServer) -> dict[str, str]:
    settings = settings_for(server)
    return {
        "STENOGRAPH_DATA_DIR": str(settings.data_dir),
        "STENOGRAPH_NATS_MONITOR_URL": server.monitor_url,
        "STENOGRAPH_LOG_LEVEL": settings.log_level,
    }
