"""Readers whose connections break at random, while services are killed: each has its turn exactly once in the end.

Some only watch, and one of each turn drives it: it triggers, and answers a call of its client in a second leg.
"""

import asyncio
import contextlib
import json
import os
import random
from collections import Counter
from pathlib import Path

import httpx
import pytest
from rich.progress import Progress
from tests.faults.field import PROTOCOL, Field
from tests.faults.reading import Driver, Gateway, Reader, Turn, Viewer
from tests.faults.retold import FramesOf, assert_whole
from tests.support.processes import Process, Processes
from tests.support.wait import until

from stenograph_events import SessionId, TurnId
from stenograph_events.types import TurnFinished
from stenograph_services.protocol import Bundle
from stenograph_services.runtime.agents import Agents
from stenograph_services.runtime.nats_server import NatsServer

SOAK = os.environ.get("STENOGRAPH_SOAK") == "1"
REPORTS = Path(__file__).parents[2] / "reports"
SESSIONS = 4
VIEWERS = 2
TURNS = 10
"""Of a session, before the next one takes its place."""

ORCHESTRATORS = "orchestrators killed in an answer that a reader had begun to hear"
GATEWAYS = "gateways killed while they told a driver and a viewer"

SCRIPT = """\
loop: true
turns:
  - - reasoning: Whom could I ask, and what, so that it takes a while to find out?
      text: Let me look one of them up, and ask you about the other one, in so many words that it takes a while.
      calls:
        - tool: look-up
          arguments: {key: a}
        - tool: ask-user
          arguments: {key: b}
      chunks: 12
      chunk_delay_ms: 32
    - text: Here is what I found, word by word, so that whoever listens has the time to go away and to come back.
      chunks: 24
      chunk_delay_ms: 32
"""
ASKING = Bundle(
    "asking",
    '{"slug": "asking", "name": "Asking", "format": "interactive"}',
    PROTOCOL.replace("scripted/story", "scripted/asking").replace("book", "ask-user"),
    {"system": "You look things up.", "question": "{{QUESTION}}"},
    {"asking": SCRIPT},
)


class Reading:
    """Sessions that are talked to and watched over one gateway, and what came of that so far."""

    def __init__(self, field: Field, progress: Progress, reconnects: int) -> None:
        self.gateway = Gateway(field.running["gateway"])
        self.readers: list[Reader] = []
        self.counted: Counter[str] = Counter()
        self._field = field
        self._wanted = reconnects
        self._progress = progress
        self._shown = progress.add_task("reconnects", total=reconnects)

    async def go_on(self, http: httpx.AsyncClient, kills: int) -> None:
        """Let them talk and be watched until there were as many reconnects as wanted, and so many kills of each."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for _ in range(SESSIONS):
                group.create_task(self.talk(http, stop))
            await self.kill(kills)
            await self._came_to(self._wanted)
            stop.set()

    @property
    def reconnects(self) -> int:
        return sum(reader.reconnects for reader in self.readers)

    async def talk(self, http: httpx.AsyncClient, stop: asyncio.Event) -> None:
        """Let one session after the other talk."""
        while not stop.is_set():
            session = await self._created(http)
            acked = self._field.acked[session] = set()
            for _ in range(TURNS):
                acked.add(await self._turn(session, http))
                if stop.is_set():
                    return

    async def _created(self, http: httpx.AsyncClient) -> SessionId:
        async def created() -> SessionId | None:
            with contextlib.suppress(httpx.HTTPError):  # the gateway was killed just now
                answer = await http.post(f"{self.gateway.url}/api/agent-sessions", json={"agentId": "asking"})
                return SessionId(answer.json()["sessionId"]) if answer.is_success else None
            return None

        return await until(created, 30, what="a session")

    async def _turn(self, session: SessionId, http: httpx.AsyncClient) -> TurnId:
        turn = Turn(session)
        readers = [Driver(turn), *(Viewer(turn) for _ in range(VIEWERS))]
        self.readers += readers
        await asyncio.gather(*(reader.read(self.gateway, http) for reader in readers))
        self._progress.update(self._shown, completed=self.reconnects)
        return TurnId(turn.id)

    # ---- kills

    async def kill_orchestrator(self) -> None:
        """Kill an orchestrator in the middle of an answer that a reader has heard the beginning of."""
        slot = random.choice(("orchestrator", "orchestrator.2"))
        victim = self._field.running[slot]
        await victim.line("service.started", 60)
        await until(lambda: self._is_heard(victim), 30, what=f"{slot} says something")
        victim.kill()
        self._field.start(slot)
        self.counted[ORCHESTRATORS] += self._is_heard(victim)  # it logs an answer before that is stored

    def _is_heard(self, orchestrator: Process) -> bool:
        speaking = _speaking(orchestrator)
        return any(
            reader.turn.id in speaking and any("." in one.id for one in reader.told) for reader in self._latest()
        )

    def _latest(self) -> list[Reader]:
        return self.readers[-10 * SESSIONS * VIEWERS :]

    async def kill_gateway(self, ready: Process) -> None:
        """Kill the gateway while it tells a driver and a viewer something; `ready` takes over as soon as it is."""
        killed = self.gateway.process
        await ready.line("service.started", 60)
        self.gateway.doomed = True
        reading = await until(self._reading, 30, what="somebody drives a turn and somebody watches one")
        before = {reader: reader.connections for reader in reading}
        killed.kill()
        await self.gateway.use(ready)

        def noticed() -> bool:
            return all(reader.over or reader.connections > before[reader] for reader in reading)

        await until(noticed, 30, what="all have noticed")
        self.counted[GATEWAYS] += 1  # it was dead before any of them could leave by itself

    def _reading(self) -> list[Reader]:
        reading = [reader for reader in self._latest() if reader.reading and not reader.over]
        return reading if {type(reader) for reader in reading} == {Driver, Viewer} else []

    async def _came_to(self, reconnects: int) -> None:
        await until(lambda: self.reconnects >= reconnects, 600, what=f"{reconnects} reconnects")

    async def kill(self, kills: int) -> None:
        """Kill so many orchestrators and so many gateways that were at work, all along the way."""
        for i in range(3 * kills):
            missing = kills - min(self.counted[name] for name in (ORCHESTRATORS, GATEWAYS))
            if not missing:
                return
            ready = self._field.start("gateway")  # which takes as long as a hundred reconnects
            await self._came_to(self._wanted * (i + 1) // (kills + 2))
            await self.kill_orchestrator()
            await self.kill_gateway(ready)

    # ---- what must hold afterwards

    async def check(self, frames: FramesOf) -> None:
        """Check what each reader was told, against the frames that the server kept and against the log."""
        for session in self._field.acked:
            events = [one.event for one in await self._field.log.read("default", session)]
            ends = {event.turn: event.outcome for event in events if isinstance(event, TurnFinished)}
            for reader in (one for one in self.readers if one.turn.session == session):
                abandoned = assert_whole(reader, frames.heard[reader.turn.id], events)
                assert ends[TurnId(reader.turn.id)] == "completed", "a turn was cancelled that its driver came back to"
                self.counted["readers"] += 1
                self.counted[f"reconnects of {'drivers' if isinstance(reader, Driver) else 'viewers'}"] += (
                    reader.reconnects
                )
                self.counted["reconnects"] += reader.reconnects
                self.counted[f"connections of {type(reader).__name__.lower()}s broken by kills"] += reader.killed
                self.counted["readers that saw an attempt taken over"] += abandoned > 0
                self.counted["frames told"] += sum("." in one.id for one in reader.told)
        self.counted["turns"] = len(self.readers) // (1 + VIEWERS)
        self.counted["frames kept"] = sum(map(len, frames.heard.values()))


def _speaking(orchestrator: Process) -> set[str]:
    """Return the turns that it has started, and whose model has not answered yet."""
    turns: dict[str, str] = {}
    whole = [line for line in orchestrator.output().splitlines(keepends=True) if line.endswith("}\n")]
    for line in map(json.loads, whole):
        match line:
            case {"event": "turn.started", "session": session, "turn": turn}:
                turns[session] = turn
            case {"event": "model.answered" | "answer.dropped" | "delivery.superseded", "session": session}:
                turns.pop(session, None)
    return set(turns.values())


async def reconnected(tmp_path: Path, processes: Processes, reconnects: int, kills: int) -> Counter[str]:
    """Let readers come back so often, while so many of each service are killed; return what there was."""
    async with NatsServer(tmp_path / "nats") as server, Field([server.url], tmp_path, processes) as field:
        await Agents(field.nc).store("default", ASKING)
        field.start("orchestrator.2")
        frames = await FramesOf.all(field.nc)
        with Progress(disable=not SOAK) as progress:
            reading = Reading(field, progress, reconnects)
            await reading.gateway.use(reading.gateway.process)
            async with httpx.AsyncClient(
                timeout=20, trust_env=False, limits=httpx.Limits(max_connections=None)
            ) as http:
                await reading.go_on(http, kills)
        await reading.check(frames)
        await field.check()
    return reading.counted


@pytest.mark.timeout(120)
async def test_readers_that_come_back_500_times_have_every_frame_once_while_services_die(
    tmp_path: Path, processes: Processes
):
    counted = await reconnected(tmp_path, processes, 500, 2)

    assert_counted(counted, 500, 2)


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_readers_that_come_back_10000_times_have_every_frame_once_while_services_die(
    tmp_path: Path, processes: Processes
):
    counted = await reconnected(tmp_path, processes, 10_000, 20)

    REPORTS.mkdir(exist_ok=True)
    (REPORTS / "reconnects.json").write_text(json.dumps(counted, indent=2) + "\n")
    assert_counted(counted, 10_000, 20)


def assert_counted(counted: Counter[str], reconnects: int, kills: int) -> None:
    assert counted["reconnects"] >= reconnects
    assert counted["reconnects of drivers"] > reconnects // 10
    assert counted[ORCHESTRATORS] >= kills
    assert counted[GATEWAYS] >= kills
    assert counted["connections of drivers broken by kills"]
    assert counted["connections of viewers broken by kills"]
    assert counted["readers that saw an attempt taken over"] >= kills
