"""A running system to break: real servers, each service in a process of its own, a worker, and sessions that talk.

async with Field(server_urls, tmp_path, processes) as field:
    async with field.load(sessions=8):
        …break things…
    await field.check()        every log keeps every rule, no trigger is lost, no turn stays open
"""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import nats
from nats.aio.client import Client as Nats
from tests.support.processes import Process, Processes
from tests.support.wait import until

from stenograph_events import SessionId, TurnId
from stenograph_events.types import TriggerQueued, TriggerRejected, TurnStarted
from stenograph_projections.invariants import Report, Stored, check
from stenograph_projections.snapshot import SnapshotFold
from stenograph_sdk import Client, ToolContext, Worker
from stenograph_sdk.errors import StenographSdkError
from stenograph_services.accounts.keys import new_key
from stenograph_services.accounts.minting import worker
from stenograph_services.accounts.private import write_private
from stenograph_services.protocol import Bundle
from stenograph_services.runtime.agents import Agents
from stenograph_services.runtime.config import Settings, load_settings
from stenograph_services.runtime.eventlog import EventLog
from stenograph_services.runtime.jetstream import api
from stenograph_services.runtime.sealing.master_keys import new_key_file
from stenograph_services.runtime.snapshots import Snapshots
from stenograph_services.runtime.streams import consumers, declare

ACK_WAIT_SECONDS = 1.5
SERVICES = ("orchestrator", "tool-gateway", "projector", "gateway")

PROTOCOL = """\
triggers:
  ask:
    input:
      QUESTION: {type: string}
tools:
  look-up:
    description: Look a thing up
    parameters: {key: {type: string}}
    retry: safe
    timeout: 20s
  book:
    description: Book a thing, once
    parameters: {key: {type: string}}
    retry: never
    timeout: 20s
agent:
  model: scripted/story
  system: system
  tools: [look-up, book]
  agentic: true
  whenBusy: enqueue
handlers:
  ask:
    Add the question:
      block: add-message
      role: user
      prompt: question
      input: [QUESTION]
    Answer:
      block: next-message
"""
SCRIPT = """\
loop: true
turns:
  - - text: Let me look at both.
      calls:
        - tool: look-up
          arguments: {key: a}
        - tool: book
          arguments: {key: b}
      chunks: 4
      chunk_delay_ms: 30
    - text: Here is what I found, word by word, so that it takes a while to say.
      chunks: 8
      chunk_delay_ms: 30
"""
SLOW_SCRIPT = """\
loop: true
turns:
  - - text: This takes so long to say that whoever says it can be stopped in the middle of a word.
      chunks: 30
      chunk_delay_ms: 60
"""
AGENT = Bundle(
    "story",
    '{"slug": "story", "name": "Story", "format": "interactive"}',
    PROTOCOL,
    {"system": "You look things up.", "question": "{{QUESTION}}"},
    {"story": SCRIPT},
)
SLOW_AGENT = Bundle(
    "slow",
    '{"slug": "slow", "name": "Slow", "format": "interactive"}',
    PROTOCOL.replace("scripted/story", "scripted/slow"),
    {"system": "You take your time.", "question": "{{QUESTION}}"},
    {"slow": SLOW_SCRIPT},
)


class Field:
    """The system, which seals as in production. `urls` are its nats-servers; `replicas` of them hold each stream."""

    def __init__(self, urls: list[str], directory: Path, processes: Processes, *, replicas: int = 1) -> None:
        self.urls = urls
        self.effects: list[str] = []
        """What the tool that must not run twice did: the id of each call that it ran."""
        self.acked: dict[str, set[TurnId]] = {}
        """The triggers that the server acknowledged, by session."""
        self.running: dict[str, Process] = {}
        self._processes = processes
        self._credentials = directory / "worker.creds"
        write_private(self._credentials, worker(new_key("account"), "default", ["look-up", "book"], "").text)
        keys = directory / "sealing.key"
        write_private(keys, new_key_file())
        self.env = {
            "STENOGRAPH_SEALING": "on",
            "STENOGRAPH_SEALING_KEY_FILE": str(keys),
            "STENOGRAPH_NATS_URL": ",".join(urls),
            "STENOGRAPH_ACK_WAIT_SECONDS": str(ACK_WAIT_SECONDS),
            "STENOGRAPH_REPLICAS": str(replicas),
            "STENOGRAPH_DATA_DIR": str(directory),
            "STENOGRAPH_PORT": "0",
            "STENOGRAPH_LOG_LEVEL": "debug",
            "STENOGRAPH_SNAPSHOT_IDLE_SECONDS": "0.3",
        }
        """What each process of it is given."""
        self.settings: Settings = load_settings(
            nats_url=",".join(urls),
            ack_wait_seconds=ACK_WAIT_SECONDS,
            replicas=replicas,
            data_dir=directory,
            sealing=True,
            sealing_key_file=keys,
        )

    async def __aenter__(self) -> "Field":
        self.nc: Nats = await nats.connect(
            self.urls, max_reconnect_attempts=-1, reconnect_time_wait=0.1, error_cb=_silent
        )
        await declare(self.nc, self.settings)
        for bundle in (AGENT, SLOW_AGENT):
            await Agents(self.nc).store("default", bundle)
        for name in SERVICES:
            self.start(name)
        for process in self.running.values():
            await process.line("service.started")
        self.log = EventLog(self.nc, self.settings)
        self._worker = self._make_worker()
        self._working = asyncio.create_task(self._worker.run(signals=False))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._worker.stop()
        with contextlib.suppress(StenographSdkError):
            await self._working
        for process in self.running.values():
            process.stop()
        await self.nc.close()

    def start(self, slot: str) -> Process:
        """Start a service in `slot`, such as `projector` or `orchestrator.2`, in the place of one that was killed."""
        service = slot.partition(".")[0]
        process = self._processes.start(slot, "-m", "stenograph_services.cli", "run", service, env=self.env)
        self.running[slot] = process
        return process

    async def held(self, name: str) -> int:
        """Return how many deliveries the service `name` holds un-acked."""
        return sum([info["num_ack_pending"] for info in await self._consumers(name)])

    async def _consumers(self, name: str) -> list[dict[str, Any]]:
        mine = [c for c in consumers(self.settings) if c.who == name.replace("-", " ")]
        return [await api(self.nc, f"CONSUMER.INFO.{c.stream}.{c.name}") for c in mine]

    # ---- load

    @contextlib.asynccontextmanager
    async def load(self, *, sessions: int, agent: str = "story") -> AsyncIterator[list[SessionId]]:
        """Let `sessions` sessions talk until the block ends; their last turns are waited for."""
        stop = asyncio.Event()
        async with Client.connect(",".join(self.urls)) as client:
            client.connection.opened = self.log.seals.opened
            talking = [await self._created(client, agent) for _ in range(sessions)]
            tasks = [asyncio.create_task(self._talk(client, session, stop)) for session in talking]
            try:
                yield talking
            finally:
                stop.set()
                await asyncio.wait_for(asyncio.gather(*tasks), 90)

    async def _created(self, client: Client, agent: str) -> SessionId:
        session = await client.sessions.create(agent)
        self.acked[session.id] = set()
        return session.id

    async def _talk(self, client: Client, session: SessionId, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self.turn(client, session)

    async def turn(self, client: Client, session: SessionId) -> None:
        """Send one trigger until it is acknowledged, then follow its turn to the end."""
        request = str(uuid.uuid4())
        handle = client.session(session)
        while True:
            with contextlib.suppress(StenographSdkError):
                self.acked[session].add(await handle.send("ask", {"QUESTION": "What is it?"}, request=request))
                async for _ in handle.trigger("ask", {"QUESTION": "What is it?"}, request=request):
                    pass
                return

    # ---- what must hold afterwards

    async def check(self) -> Report:
        """Wait until all is quiet, then check every log; return the report over all of them."""
        for name in SERVICES:
            await until(partial(self._idle, name), 60, what=f"{name} holds nothing")
        reports = [await self._checked(session) for session in self.acked]
        report = sum(reports, Report())
        assert report.ok, report.broken[:5]
        assert len(self.effects) == len(set(self.effects)), "a call that must not run twice did"
        return report

    async def _idle(self, name: str) -> bool:
        infos = await self._consumers(name)
        return all(not info["num_ack_pending"] and not info["num_pending"] for info in infos)

    async def _checked(self, session: str) -> Report:
        stored = await self.log.read("default", session)
        report = check([Stored(one.sequence, None, one.data, one.opened) for one in stored], complete=True)
        outcomes = {
            event.turn
            for event in (one.event for one in stored)
            if isinstance(event, TurnStarted | TriggerQueued | TriggerRejected)
        }
        assert self.acked[session] <= outcomes, "an acknowledged trigger has no outcome"
        fold = SnapshotFold()
        for one in stored:
            fold.apply(one.event, one.data, one.sequence)
        await until(lambda: self._snapshot_is(session, fold.head.n), 30, what="the projector caught up")
        restored = await Snapshots(self.nc, self.log.seals).read("default", session, transcript=True)
        assert restored is not None
        assert restored.snapshot.session == fold.session, "the projector's state is not the fold of the log"
        return report

    async def _snapshot_is(self, session: str, n: int) -> bool:
        restored = await Snapshots(self.nc, self.log.seals).read("default", session, transcript=False)
        return restored is not None and restored.snapshot.head.n == n

    def _make_worker(self) -> Worker:
        serves = Worker(",".join(self.urls), name="field", identity=self._credentials, verify=False)

        @serves.tool("look-up", retry="safe")
        async def look_up(key: str) -> dict[str, str]:
            await asyncio.sleep(0.05)
            return {"value": key}

        @serves.tool("book", retry="never")
        async def book(key: str, context: ToolContext) -> dict[str, str]:
            self.effects.append(context.call)
            return {"booked": key}

        return serves


async def retried(work: Callable[[], Awaitable[Any]], timeout: float = 30.0) -> Any:
    """Do `work` until it succeeds: while servers die, the questions of a test go unanswered, too."""

    async def done() -> tuple[Any] | None:
        with contextlib.suppress(nats.errors.Error, OSError):
            return (await work(),)
        return None

    return (await until(done, timeout, what="the server answers"))[0]


async def _silent(_: Exception) -> None:
    """Servers are killed on purpose here."""
