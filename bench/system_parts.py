"""Stenograph's processes in a measurement: each service as in production, a worker, and a client that loads them.

python -m bench.system_parts orchestrator|tool-gateway|projector|gateway|worker URL
python -m bench.system_parts client URL SECONDS AT-ONCE
"""

import asyncio
import sys
from pathlib import Path

import msgspec
import uvloop

from bench.floor_parts import load
from bench.measure import Load
from stenograph_sdk import Client, Worker

MODULE = "bench.system_parts"
AGENT = "lookup"
AGENTS = Path(__file__).parent / "agents"
SERVICES = ("orchestrator", "tool-gateway", "projector", "gateway")
VALUE = {"value": "y" * 300}


async def service(name: str, url: str) -> None:
    from importlib import import_module

    from stenograph_services.runtime import logs
    from stenograph_services.runtime.config import load_settings
    from stenograph_services.runtime.service import serve

    settings = load_settings(nats_url=url, port=0, log_level="warning")
    logs.configure(settings, name)
    build = import_module(f"stenograph_services.{name.replace('-', '_')}.app").build
    await serve([build], settings, ready=lambda: print("ready", flush=True))


async def worker(url: str) -> None:
    worker = Worker(url, concurrency=256)

    @worker.tool("lookup", retry="safe")
    async def lookup(key: str) -> dict[str, str]:
        return VALUE

    running = asyncio.create_task(worker.run())
    await asyncio.sleep(1.0)
    print("ready", flush=True)
    await running


async def client(url: str, seconds: float, at_once: int) -> Load:
    async with Client.connect(url) as client:
        sessions = [await client.sessions.create(AGENT) for _ in range(at_once)]

        async def ask(i: int) -> None:
            await sessions[i].ask("ask", {"QUESTION": "What is the value?"})

        return await load(ask, seconds, at_once)


async def main(role: str, url: str, *load_of_it: str) -> None:
    if load_of_it:
        print(msgspec.json.encode(await client(url, float(load_of_it[0]), int(load_of_it[1]))).decode(), flush=True)
    elif role == "worker":
        await worker(url)
    else:
        await service(role, url)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
