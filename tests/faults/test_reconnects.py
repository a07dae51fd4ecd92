"""Readers whose connections break at random, while services are killed: each has its turn exactly once in the end."""

import asyncio
import json
import os
import random
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.faults.field import Field
from tests.support.processes import Process, Processes
from tests.support.wait import until

from stenograph_events import SessionId, decode
from stenograph_events.types import (
    Event,
    MessageAdded,
    TurnFinished,
    TurnStarted,
)
from stenograph_events.values import TextPart
from stenograph_services.runtime.nats_server import NatsServer

SOAK = os.environ.get("STENOGRAPH_SOAK") == "1"
READERS = 8
TALKING = 3


class Viewer:
    """One reader of one turn, over as many connections as it takes. It knows its last id, as a browser does."""

    def __init__(self, session: str, turn: str) -> None:
        self.session, self.turn = session, turn
        self.parts: dict[str, str] = {}
        self.ended: list[str] = []
        self.reconnects = 0
        self._last: str | None = None
        self._deltas: set[str] = set()

    async def read(self, address: "Address") -> None:
        """Read to the end of the turn."""
        while not self.ended:
            try:
                async with httpx.AsyncClient(base_url=address.url, timeout=10, trust_env=False) as http:
                    await self._leg(http, random.randint(1, 6))
            except (httpx.HTTPError, OSError):
                await address.back()
            self.reconnects += 1

    async def _leg(self, http: httpx.AsyncClient, events: int) -> None:
        """Read `events` of the stream that are new, then drop the connection."""
        path = f"/api/agent-sessions/{self.session}/observe"
        headers = {"Last-Event-ID": self._last} if self._last else {}
        async with http.stream("GET", path, params={"executionId": self.turn}, headers=headers) as response:
            if response.status_code >= 500:
                raise httpx.ReadError("the services are not there yet")
            assert response.status_code == 200, (await response.aread(), self._last)
            id: str | None = None
            async for line in response.aiter_lines():
                if line.startswith("id: "):
                    id = line[4:]
                elif line.startswith("data: {"):
                    self._take(id, json.loads(line[6:]))
                    events -= id is not None
                    id = None
                if not events or self.ended:
                    return

    def _take(self, id: str | None, event: dict[str, Any]) -> None:
        if event["type"] == "error" and id is None:
            raise httpx.ReadError("the gateway ends the stream, not the turn")
        if id is not None:
            assert id not in self._deltas, f"{id} came twice"
            self._deltas.add(id)
            self._last = id
        if event["type"] == "text-start":
            self.parts.setdefault(event["id"], "")
        elif event["type"] == "text-delta":
            self.parts[event["id"]] += event["delta"]
        elif event["type"] in ("finish", "error"):
            self.ended.append(event["type"])

    def check(self, messages: list[str]) -> None:
        """Each message of the log is a part, in order; what else there is was begun by an attempt that died."""
        parts = iter(self.parts.values())
        assert all(message in parts for message in messages), (list(self.parts.values()), messages)


class Address:
    """Where the gateway is: one that was killed comes back on another port."""

    def __init__(self, gateway: Process) -> None:
        self.url = ""
        self._up = asyncio.Event()
        self.gateway = gateway

    async def find(self) -> None:
        line = await self.gateway.line("http.listening")
        self.url = f"http://127.0.0.1:{_port(line)}"
        self._up.set()

    async def back(self) -> None:
        """Return when the gateway is there (again)."""
        await self._up.wait()

    async def kill(self, field: Field) -> None:
        self._up.clear()
        self.gateway.kill()
        self.gateway = field.start("gateway")
        await self.find()


def _port(line: str) -> int:
    if line.startswith("{"):
        return int(json.loads(line)["port"])
    return int(next(word for word in line.split() if word.startswith("port=")).removeprefix("port="))


async def reconnected(field: Field, reconnects: int) -> int:
    """Let readers follow turns of talking sessions until they came back so often; return how often that was."""
    address = Address(field.running["gateway"])
    await address.find()
    done: list[Viewer] = []
    async with field.load(sessions=TALKING) as sessions:
        watching = [
            asyncio.create_task(_watch(field, address, sessions[i % TALKING], done, reconnects)) for i in range(READERS)
        ]
        await _came_to(done, reconnects // 3, watching)
        field.running["orchestrator"].kill()
        field.start("orchestrator")
        await _came_to(done, 2 * reconnects // 3, watching)
        await address.kill(field)
        await asyncio.gather(*watching)
    for viewer in done:
        viewer.check(await _messages(field, viewer))
    return sum(viewer.reconnects for viewer in done)


async def _came_to(done: list[Viewer], reconnects: int, watching: list[asyncio.Task[None]]) -> None:
    async def came() -> bool:
        return sum(viewer.reconnects for viewer in done) >= reconnects or any(task.done() for task in watching)

    await until(came, 3600 if SOAK else 100, what=f"{reconnects} reconnects")


async def _watch(field: Field, address: Address, session: SessionId, done: list[Viewer], reconnects: int) -> None:
    """Follow one turn of `session` after the other."""
    seen: set[str] = set()
    while sum(viewer.reconnects for viewer in done) < reconnects:
        events = [decode(one.data) for one in await field.log.read("default", session)]
        turn = next((event.turn for event in reversed(events) if isinstance(event, TurnStarted)), None)
        if turn is None or turn in seen:
            await asyncio.sleep(0.02)
            continue
        seen.add(turn)
        done.append(Viewer(session, turn))
        await done[-1].read(address)


async def _messages(field: Field, viewer: Viewer) -> list[str]:
    """Return the texts that the log has of a turn, in order."""
    events: list[Event] = [decode(one.data) for one in await field.log.read("default", viewer.session)]
    mine = [event for event in events if event.turn == viewer.turn]
    assert isinstance(mine[-1], TurnFinished)
    said = [event for event in mine if isinstance(event, MessageAdded) and event.role == "assistant"]
    texts = ["".join(part.text for part in event.parts if isinstance(part, TextPart)) for event in said]
    return [text for text in texts if text]


@pytest.mark.timeout(3600 if SOAK else 120)
async def test_readers_that_come_back_have_every_frame_once_while_services_die(tmp_path: Path, processes: Processes):
    wanted = 10_000 if SOAK else 500
    async with NatsServer(tmp_path / "nats") as server, Field([server.url], tmp_path, processes) as field:
        counted = await reconnected(field, wanted)
        await field.check()

    assert counted >= wanted
