"""One conversation with everything in it, and what of it lies on disk afterwards."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from tests.support.agents import bundle
from tests.support.children import child_bundle
from tests.support.services import TENANT, Stage
from tests.support.wait import until

from stenograph_events.types import TurnFinished
from stenograph_sdk import Worker
from stenograph_services.accounts.keys import new_key
from stenograph_services.accounts.minting import worker
from stenograph_services.accounts.private import write_private
from stenograph_services.gateway import app as gateway
from stenograph_services.projector import app as projector
from stenograph_services.runtime.agents import Agents
from stenograph_services.runtime.nats_server import NatsServer

CANARIES = {
    "input": "canary-input-5Qz",
    "message": "canary-message-7Wk",
    "model": "canary-model-9Rt",
    "arguments": "canary-arguments-2Lp",
    "result": "canary-result-4Vn",
    "large result": "canary-large-8Hd",
    "failure": "canary-failure-1Jx",
    "child": "canary-child-6Bm",
    "child's input": "canary-topic-3Gs",
    "file": "canary-file-0Fy",
    "file's type": "image/canary-9ty",
}
API_KEY = "the key of the settings"

TOOLS = """\
get-account:
  description: Look it up
  parameters: {userId: {type: string}}
  retry: safe
get-all:
  description: Look all up
  parameters: {userId: {type: string}}
  retry: safe
break:
  description: Fails
  parameters: {userId: {type: string}}
  retry: never
"""
SCRIPT = """\
turns:
  - - calls:
        - {{tool: get-account, arguments: {{userId: {arguments}}}}}
        - {{tool: get-all, arguments: {{userId: {arguments}}}}}
        - {{tool: break, arguments: {{userId: {arguments}}}}}
        - {{tool: researcher, arguments: {{TOPIC: {topic}}}}}
    - text: {model}
loop: true
"""


@asynccontextmanager
async def system(server: NatsServer, directory: Path, **settings: Any) -> AsyncIterator[Stage]:
    """Yield all four services, with what they store in `directory`."""
    quick = {"snapshot_idle_seconds": 0.1, "snapshot_events": 4, "port": 0, "api_key": API_KEY}
    async with Stage(server.url, directory, **quick, **settings) as stage:
        for build in (projector.build, gateway.build):
            await stage.start(build)
        yield stage


@asynccontextmanager
async def serving(stage: Stage, directory: Path) -> AsyncIterator[None]:
    """Let a worker serve the tools, with the keys of a credential."""
    file = directory / "worker.creds"
    write_private(file, worker(new_key("account"), TENANT, ["get-account", "get-all", "break"], "").text)
    serves = Worker(stage.settings.nats_url, tenant=TENANT, identity=file, verify=False)

    @serves.tool("get-account", retry="safe")
    def get_account(userId: str) -> dict[str, str]:
        assert userId == CANARIES["arguments"]
        return {"plan": CANARIES["result"]}

    @serves.tool("get-all", retry="safe")
    def get_all(userId: str) -> list[str]:
        return [CANARIES["large result"]] * 20_000

    @serves.tool("break")
    def fail(userId: str) -> None:
        raise RuntimeError(CANARIES["failure"])

    running = asyncio.create_task(serves.run(signals=False))
    await asyncio.wait_for(serves.serving.wait(), 10)
    try:
        yield
    finally:
        serves.stop()
        await running


async def converse(stage: Stage, directory: Path) -> str:
    """Have the conversation, and return its session once everything of it is stored."""
    topic, says = escaped(CANARIES["child's input"]), f"turns: [[{{text: {escaped(CANARIES['child'])}}}]]\nloop: true"
    agents = Agents(stage.nc)
    await agents.store(TENANT, child_bundle("researcher", says))
    script = SCRIPT.format(arguments=escaped(CANARIES["arguments"]), topic=topic, model=escaped(CANARIES["model"]))
    top = "workers: {researcher: {description: Finds out}}\ninput:\n  ABOUT: {type: string}"
    names = "get-account, get-all, break"
    made = bundle("whole", script, tools=TOOLS, offered=names, agent="workers: [researcher]", top=top)
    await agents.store(TENANT, made)
    async with serving(stage, directory):
        session = await stage.client.sessions.create("whole", {"ABOUT": CANARIES["input"]})
        await upload(stage, session.id)
        told = [item async for item in session.trigger("user-message", {"TEXT": CANARIES["message"]})]
    assert isinstance(told[-1], TurnFinished)
    assert told[-1].outcome == "completed"

    async def saved() -> bool:
        info = await stage.nc.jetstream().stream_info("KV_SNAP")
        return (info.state.messages or 0) >= 2

    await until(saved, what="the snapshots of both sessions are stored")
    return session.id


async def upload(stage: Stage, session: str) -> None:
    """Upload a file of two pieces as an application does, and download the end of it."""
    service: Any = stage.running("gateway").service
    kind, body = CANARIES["file's type"], CANARIES["file"].encode() * 40_000
    wish = {"filename": "cat.png", "mediaType": kind, "size": len(body)}
    headers = {"Authorization": f"Bearer {API_KEY}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{service.port}", headers=headers, timeout=30) as http:
        links = await http.post("/api/files/upload-urls", json={"sessionId": session, "files": [wish]})
        [link] = links.json()["files"]
        put = await http.put(link["uploadUrl"], content=body, headers={"Content-Type": kind})
        got = await http.get(link["downloadUrl"], headers={"Range": "bytes=-15"})
    assert (put.status_code, got.status_code, got.content) == (200, 206, CANARIES["file"].encode())


def escaped(canary: str) -> str:
    """Return what YAML reads as `canary`: an agent's own files are no part of a conversation, and lie readable."""
    return '"' + canary.replace("c", r"\x63", 1) + '"'


def found_in(directory: Path) -> dict[str, list[str]]:
    """Return in which files of `directory` each canary stands, those without any left out."""
    found: dict[str, list[str]] = {}
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            for what, canary in CANARIES.items():
                if canary.encode() in data:
                    found.setdefault(what, []).append(str(path.relative_to(directory)))
    return found
