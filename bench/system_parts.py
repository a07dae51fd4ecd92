"""Stenograph's processes in a measurement: each service as in production, a worker, and what loads them.

python -m bench.system_parts orchestrator|tool-gateway|projector|gateway|worker URL
python -m bench.system_parts client URL SECONDS AT-ONCE AGENT
python -m bench.system_parts writer URL SECONDS AT-ONCE
"""

import asyncio
import os
import sys
from datetime import UTC, datetime
from importlib import import_module
from itertools import count

import msgspec
import nats
import uvloop
from faststream.nats import NatsBroker

from bench.floor_parts import EVENT_BYTES, load
from bench.measure import Load
from stenograph_events import DEFAULT_TENANT, EMPTY, Head, new_id, new_session_id, seal
from stenograph_events.chain import digest
from stenograph_events.types import MessageAdded
from stenograph_events.values import TextPart
from stenograph_sdk import Client, Worker
from stenograph_services.runtime import logs
from stenograph_services.runtime.config import Settings, load_settings
from stenograph_services.runtime.eventlog import EventLog
from stenograph_services.runtime.sealing import Seals
from stenograph_services.runtime.service import Service, serve

MODULE = "bench.system_parts"
IDENTITY = "BENCH_IDENTITY"  # the credentials of a worker whose requests and answers are sealed
SIGNERS = "BENCH_SIGNERS"  # the keys by which the worker knows the platform, if it is to look
TOOL_RESULT = {"value": "y" * 300}
SESSIONS = 16  # the fewest that turns are played in: what a turn costs in one that grows and grows is W4's matter
TRIGGER, INPUT = "ask", {"QUESTION": "What is the value?"}


async def service(name: str, url: str) -> None:
    settings = load_settings(nats_url=url, port=0)
    logs.configure(settings, name)
    build = import_module(f"stenograph_services.{name.replace('-', '_')}.app").build
    built: list[Service] = []

    def building(broker: NatsBroker, settings: Settings) -> Service:
        built.append(build(broker, settings))
        return built[0]

    await serve([building], settings, ready=lambda: _say_ready(getattr(built[0], "port", "")))


async def worker(url: str) -> None:
    signers, identity = os.environ.get(SIGNERS, "").split(), os.environ.get(IDENTITY)
    worker = Worker(url, concurrency=256, signers=signers, identity=identity)

    @worker.tool("lookup", retry="safe")
    async def lookup(key: str) -> dict[str, str]:
        return TOOL_RESULT

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(worker.run())
        await worker.serving.wait()
        _say_ready()


async def client(url: str, seconds: float, at_once: int, agent: str) -> Load:
    async with Client.connect(url) as client:
        seals = Seals(client.connection.nats, load_settings(nats_url=url))
        client.connection.opened, client.connection.closed = seals.opened, seals.closed_body
        sessions = [await client.sessions.create(agent) for _ in range(max(at_once, SESSIONS))]
        played = count()

        async def ask(i: int) -> None:
            own = sessions[i::at_once]
            await own[next(played) % len(own)].ask(TRIGGER, INPUT)

        return await load(ask, seconds, at_once)


async def writer(url: str, seconds: float, at_once: int) -> Load:
    settings = load_settings(nats_url=url)
    log = EventLog(await nats.connect(url), settings)
    events = [_event() for _ in range(at_once)]
    heads = [EMPTY] * at_once

    async def write(i: int) -> None:
        (stored,) = await log.append(DEFAULT_TENANT, events[i].session, heads[i], [events[i]])
        heads[i] = Head(stored.sequence, stored.event.n, digest(stored.data))

    return await load(write, seconds, at_once)


def _event() -> MessageAdded:
    """Return a message of a session of its own, about `EVENT_BYTES` long when it is sealed."""

    def message(text: str) -> MessageAdded:
        return MessageAdded(
            id=new_id(),
            at=datetime.now(UTC),
            tenant=DEFAULT_TENANT,
            session=new_session_id(),
            role="user",
            parts=(TextPart(text),),
            block=0,
        )

    _, data = seal(message(""), Head(1, 1, "a" * 64))
    return message("y" * (EVENT_BYTES - len(data)))


def _say_ready(port: object = "") -> None:
    """Say that we serve; a gateway says at which port."""
    print("ready", port, flush=True)


async def main(role: str, url: str, *load_of_it: str) -> None:
    if load_of_it:
        seconds, at_once = float(load_of_it[0]), int(load_of_it[1])
        loading = client(url, seconds, at_once, load_of_it[2]) if role == "client" else writer(url, seconds, at_once)
        print(msgspec.json.encode(await loading).decode(), flush=True)
    elif role == "worker":
        await worker(url)
    else:
        await service(role, url)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
