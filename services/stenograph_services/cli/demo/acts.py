"""The story, act by act. Each act is a step whose promise is checked; a broken one ends the demo and names the step."""

import asyncio
from pathlib import Path

from stenograph_events import Head, StoredEvent, decode
from stenograph_projections.invariants import Stored
from stenograph_projections.snapshot import decode as decode_snapshot
from stenograph_sdk.session import Session
from stenograph_services.cli.demo import checks, rebuilding
from stenograph_services.cli.demo.conversation import play
from stenograph_services.cli.demo.narrator import Narrator
from stenograph_services.cli.demo.promises import BrokenPromise, must, step
from stenograph_services.cli.demo.stage import ACK_WAIT_SECONDS, TOOL_SECONDS, Stage
from stenograph_services.cli.demo.strikes import KillWhileStreaming, KillWhileToolRuns
from stenograph_services.cli.output import line_width, print_lines
from stenograph_services.cli.story import Story
from stenograph_services.cli.timeline import Timeline

AGENT = "support-chat"
OTHERS = 60  # sessions of other customers, so that there is something to rebuild
CUSTOMER = {"COMPANY_NAME": "Acme", "PRODUCT_NAME": "Acme Cloud", "USER_ID": "user-123"}


class Demo:
    """The acts share the stage, the session that they are about, and what they learn on the way."""

    def __init__(self, stage: Stage, narrator: Narrator, folder: Path, tamper: int | None) -> None:
        self._stage = stage
        self._narrator = narrator
        self._folder = folder
        self._tamper = tamper
        self._session: Session
        self._known: Head

    async def play(self) -> None:
        """Play all acts; raise `BrokenPromise` naming the step whose promise is not kept."""
        async with step("start"):
            await self._start()
        async with step("kill while a response streams"):
            await self._kill_while_streaming()
        async with step("kill while a tool runs"):
            await self._kill_while_tool_runs()
        async with step("rebuild"):
            await self._rebuild()
        async with step("verify"):
            await self._verify()
        async with step("timeline"):
            await self._timeline()
        async with step("stop"):
            await self._stop()

    async def _start(self) -> None:
        stage, narrator = self._stage, self._narrator
        narrator.act("Start everything, each part a process of its own")
        narrator.say(f"nats-server    pid {stage.server.pid}, syncs every write before it acknowledges it")
        services = [stage.start_orchestrator(), stage.processes.service("tool-gateway"), stage.start_projector()]
        services.append(stage.processes.service("gateway"))
        for service in services:
            await service.ready()
            narrator.say(f"{service.name:<14} pid {service.pid}")
        worker = await stage.start_worker(self._folder / "tools.py").ready()
        narrator.say(f"{worker.name:<14} pid {worker.pid}, serves the customer's tools over its own connection")
        entry = await stage.store_agent(self._folder)
        narrator.say(f"agent {entry.slug} is stored as version {entry.version}; a new session is pinned to it")
        narrator.say(
            f"demo settings: a silent delivery comes again after {ACK_WAIT_SECONDS} s (STENOGRAPH_ACK_WAIT_SECONDS)"
        )
        await asyncio.gather(*(stage.client.sessions.create(AGENT, CUSTOMER) for _ in range(OTHERS)))
        self._session = await stage.client.sessions.create(AGENT, CUSTOMER)
        narrator.kept(f"{OTHERS + 1} sessions are open; this is the story of {self._session.id}")

    async def _kill_while_streaming(self) -> None:
        self._narrator.act("kill -9 the orchestrator while a model's response streams")
        strike = KillWhileStreaming(self._stage, self._narrator, self._session.id)
        heard = await play(self._session, "What plan am I on?", self._narrator, strike)
        self._narrator.kept(checks.completed(heard))
        self._narrator.kept(checks.taken_over(heard, strike.after))
        self._narrator.kept(checks.one_message_for_each_step(heard))

    async def _kill_while_tool_runs(self) -> None:
        self._narrator.act("kill -9 the orchestrator while a tool runs")
        self._narrator.say(f"demo delay: opening a ticket takes {TOOL_SECONDS} s (SUPPORT_CHAT_DELAY_SECONDS)")
        strike = KillWhileToolRuns(self._stage, self._narrator, self._session.id)
        heard = await play(self._session, "Yes, please open a ticket.", self._narrator, strike)
        self._narrator.kept(checks.completed(heard))
        self._narrator.kept(checks.called_once(heard, self._stage.worker.said()))
        self._narrator.kept(checks.one_message_for_each_step(heard))

    async def _rebuild(self) -> None:
        stage, narrator = self._stage, self._narrator
        narrator.act("Delete what is derived, and derive it again from the log")
        events = {str(session): len(await stage.logs.read(session)) for session in await stage.logs.sessions()}
        before = await rebuilding.written(stage, events)
        self._remember_head(before.snapshots[self._session.id])
        old = stage.projector
        await stage.processes.stop(old)
        await rebuilding.delete(stage)
        narrator.strike(f"{old.name} is stopped; all {len(events)} snapshots and the session index are deleted")
        new = stage.start_projector()
        narrator.say(f"{new.name}, pid {new.pid}, begins with empty stores")
        await rebuilding.show_progress(stage, events, narrator.console)
        await new.ready()
        after = await rebuilding.written(stage, events)
        for name, written in ((old.name, before), (new.name, after)):
            snapshots, rows = written.hashes
            narrator.say(f"sha-256 by {name}: snapshots {snapshots[:24]}…  index {rows[:24]}…")
        rebuilding.same(before, after)
        narrator.kept("byte for byte the same")

    async def _verify(self) -> None:
        self._narrator.act("Verify the log")
        if self._tamper is not None:
            self._narrator.say(f"--tamper: one byte of event {self._tamper} is changed in what is verified")
        self._narrator.kept(checks.verified(await self._log(), self._known))
        self._narrator.kept(checks.ended(await self._events(), 2))

    async def _timeline(self) -> None:
        self._narrator.act("The story of the session, as `stenograph sessions log` shows it")
        story, timeline = Story(), Timeline(line_width())
        lines = [timeline.head()]
        for event in await self._events():
            lines += timeline.lines(story.tell(event))
        print_lines(lines)

    async def _stop(self) -> None:
        self._narrator.act("Stop everything")
        codes = await self._stage.processes.stop_all()
        bad = {name: code for name, code in codes.items() if code}
        must(not bad, f"every process must drain and end with 0 on SIGTERM, and these did not: {bad}")
        self._narrator.kept(f"{len(codes)} processes drained and ended in order")

    def _remember_head(self, snapshot: bytes) -> None:
        """Keep where the running projector saw the log end: later, only that shows a changed or missing last event."""
        decoded = decode_snapshot(snapshot)
        if decoded is None:
            raise BrokenPromise("the snapshot of the session cannot be read")
        self._known = decoded.head

    async def _log(self) -> list[Stored]:
        """Return the session's log as it is stored; with `--tamper N`, event N with one byte changed."""
        stored = await self._stage.logs.read(self._session.id)
        if self._tamper is not None:
            must(1 <= self._tamper <= len(stored), f"there is no event {self._tamper}: the log has {len(stored)}")
            stored[self._tamper - 1] = tampered(stored[self._tamper - 1])
        return stored

    async def _events(self) -> list[StoredEvent]:
        return [decode(one.opened or one.data) for one in await self._stage.logs.read(self._session.id)]


def tampered(stored: Stored) -> Stored:
    """Return `stored` with one byte of its body changed.

    It is changed in what verification reads: in the store itself JetStream's own checksum would drop the message.
    """
    data = bytearray(stored.data)
    data[len(data) // 2] ^= 1
    return stored._replace(data=bytes(data))
