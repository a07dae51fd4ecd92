"""kill -9 of everything while calls wait for a person: they stand, nothing runs before, and each runs once if let."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

import pytest
from tests.faults.field import AGENT, PROTOCOL, SERVICES, Field, retried
from tests.support.children import STEPS, child_bundle
from tests.support.processes import Processes
from tests.support.wait import until

from stenograph_events import ApprovalDecision, StoredEvent, TurnId, type_of
from stenograph_events.types import ApprovalGranted, ApprovalRequested, ToolRequested, ToolTimedOut, TurnFinished
from stenograph_sdk import Client, HttpClient, NotDecided
from stenograph_sdk.session import Session
from stenograph_services.protocol import Bundle
from stenograph_services.runtime.agents import Agents
from stenograph_services.runtime.jetstream import api
from stenograph_services.runtime.nats_server import NatsServer

GUARD = "retry: never\n    approval: always"


def guarded(slug: str, guard: str) -> Bundle:
    """Return the agent of the field with a person before the tool that must not run twice."""
    settings = json.dumps({"slug": slug, "name": slug, "format": "interactive"})
    return Bundle(slug, settings, PROTOCOL.replace("retry: never", guard), AGENT.prompts, AGENT.scripts)


CLERK = child_bundle(
    "clerk",
    "turns:\n  - - calls: [{tool: book, arguments: {key: b}}]\n    - text: Booked.\n",
    "tools:\n  book: {description: Book, parameters: {key: {type: string}}, retry: never}\n"
    + STEPS.replace("    thread: main\n", "    thread: main\n    tools: [book]\n", 1),
)
"""A child agent that books, and says nothing of people: its parent does."""

DELEGATING = Bundle(
    "delegating",
    '{"slug": "delegating", "name": "Delegating", "format": "interactive"}',
    PROTOCOL.replace("retry: never", GUARD).partition("handlers:")[0]
    + """\
workers:
  clerk: {description: Books things, tools: {book: book}}
handlers:
  ask:
    Delegate:
      block: run-worker
      worker: clerk
      input: {TOPIC: QUESTION}
""",
    AGENT.prompts,
    AGENT.scripts,
)


class Waiting(NamedTuple):
    """A call that waits for a person."""

    session: Session
    turn: TurnId
    asked: ApprovalRequested

    async def events(self) -> list[StoredEvent]:
        return [event async for event in self.session.events()]

    async def end(self) -> list[StoredEvent]:
        """Return the log as soon as the turn is over."""

        async def ended() -> list[StoredEvent]:
            events = await self.events()
            return events if any(isinstance(e, TurnFinished) and e.turn == self.turn for e in events) else []

        return await until(ended, 30, what=f"turn {self.turn} is over")

    async def stands(self) -> bool:
        """Return whether it waits still, and was never requested."""
        waits = [one.digest for one in await self.session.approvals()] == [self.asked.digest]
        return waits and not requests(await self.events(), self)


class System(NamedTuple):
    """The field, its server, and a client of it."""

    server: NatsServer
    field: Field
    processes: Processes
    client: Client

    async def waits(self, agent: str = "guarded") -> Waiting:
        """Return a call that waits for a person, in the session that is made or in that of its child agent."""
        session = await self.client.sessions.create(agent)
        self.field.acked[session.id] = {await session.send("ask", {"QUESTION": "May I?"})}

        async def asked() -> ApprovalRequested | None:
            found = next(iter(await session.approvals()), None)
            if found is None:
                return None
            events = [event async for event in self.client.session(found.session).events()]
            return next(event for event in events if isinstance(event, ApprovalRequested))

        question = await until(asked, what="a person is asked")
        turn = TurnId(str(question.turn))
        self.field.acked[question.session] = {turn}
        return Waiting(self.client.session(question.session), turn, question)

    async def server_dies(self) -> None:
        """Kill the nats-server and return when it is back."""
        await self.server.kill()
        await self.server.restart()
        await retried(partial(api, self.field.nc, "INFO"))

    async def serves(self, name: str) -> None:
        """Return when the service that runs in the place of `name` serves."""
        await self.field.running[name].line("service.started")

    async def stored(self, stream: str, subjects: str) -> int:
        """Return how many messages `stream` holds on `subjects`."""
        info = await api(self.field.nc, f"STREAM.INFO.{stream}", {"subjects_filter": subjects})
        return sum((info["state"].get("subjects") or {}).values())

    # ---- how a person lets a call run

    async def over_nats(self, call: Waiting) -> None:
        await call.session.approve(call.asked.call, digest=call.asked.digest, name="ann")

    async def over_http(self, call: Waiting) -> None:
        said = json.loads(await self.field.running["gateway"].line("http.listening"))
        async with HttpClient.connect(f"http://127.0.0.1:{said['port']}") as http:
            await http.session(call.session.id).approve(call.asked.call, digest=call.asked.digest)

    async def at_a_terminal(self, call: Waiting) -> None:
        words = ("approvals", "grant", call.session.id, call.asked.call[:8], "--as", "bob")
        command = self.processes.start("cli", "-m", "stenograph_services.cli", *words, env=self.field.env)
        assert await command.exit() == 0, command.output()


@pytest.fixture(scope="module")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    directory = tmp_path_factory.mktemp("approvals")
    processes = Processes(directory)
    try:
        async with NatsServer(directory / "nats") as server, Field([server.url], directory, processes) as field:
            for slug, guard in (("guarded", GUARD), ("short", f"{GUARD}\n    approvalTimeout: 2s")):
                await Agents(field.nc).store("default", guarded(slug, guard))
            for bundle in (CLERK, DELEGATING):
                await Agents(field.nc).store("default", bundle)
            async with Client.connect(server.url) as client:
                client.connection.opened = field.log.seals.opened
                yield System(server, field, processes, client)
    finally:
        processes.stop_all()


def requests(events: list[StoredEvent], call: Waiting) -> list[ToolRequested]:
    return [event for event in events if isinstance(event, ToolRequested) and event.call == call.asked.call]


async def assert_ran_once(system: System, call: Waiting) -> None:
    """Nothing ran before somebody decided, and what they agreed to ran once."""
    events = await call.end()
    (granted,) = [event for event in events if isinstance(event, ApprovalDecision)]
    (request,) = requests(events, call)
    assert (type_of(granted), granted.digest) == ("approval.granted", call.asked.digest)
    assert request.n > granted.n
    assert request.arguments == call.asked.arguments
    assert system.field.effects.count(call.asked.call) == 1


async def test_calls_wait_over_the_death_of_each_service_and_run_once_for_whoever_lets_them(system: System):
    ways: tuple[Callable[[Waiting], Awaitable[None]], ...] = (
        system.over_nats, system.over_http, system.at_a_terminal, system.over_nats
    )  # fmt: skip
    calls = [await system.waits(agent) for agent in ("guarded", "guarded", "guarded", "delegating")]

    for victim in SERVICES:
        system.field.running[victim].kill()
        system.field.start(victim)  # it comes back while the next one dies
        assert all([await call.stands() for call in calls]), f"after the death of {victim}"
    await asyncio.gather(*(system.serves(name) for name in SERVICES))
    await system.server_dies()
    assert all([await call.stands() for call in calls]), "after the death of the server"
    assert system.field.effects == []
    await asyncio.gather(*(way(call) for way, call in zip(ways, calls, strict=True)))

    for call in calls:
        await assert_ran_once(system, call)
    report = await system.field.check()
    assert report.rules["approved-first"] >= len(calls)


async def test_no_grant_is_lost_that_was_acknowledged_before_or_while_it_was_acted_on(system: System):
    during, before = [await system.waits() for _ in range(3)], [await system.waits() for _ in range(3)]

    granting = [asyncio.create_task(system.over_nats(call)) for call in during]
    await asyncio.wait(granting, return_when=asyncio.FIRST_COMPLETED)
    system.field.running["orchestrator"].kill()
    kept = await system.stored("TRIG", "trig.control.>")
    granting += [asyncio.create_task(system.over_nats(call)) for call in before]
    await until(lambda: _stored_more(system, kept + len(before)), what="the grants are acknowledged")
    await system.server_dies()
    system.field.start("orchestrator")
    await asyncio.gather(*granting)

    for call in (*during, *before):
        await assert_ran_once(system, call)
    await system.field.check()


async def test_what_nobody_decides_expires_also_while_no_tool_gateway_lives(system: System):
    timed = await system.waits("short")
    await until(lambda: _timer_is_set(system, timed), what="its timer is stored")
    system.field.running["tool-gateway"].kill()
    untimed = await system.waits("short")
    await until(lambda: datetime.now(UTC) > untimed.asked.deadline_at, what="the time of both is up")

    stood = [await call.stands() for call in (timed, untimed)]
    system.field.start("tool-gateway")
    logs = [await call.end() for call in (timed, untimed)]

    assert stood == [True, True]
    for call, events in zip((timed, untimed), logs, strict=True):
        (late,) = [event for event in events if isinstance(event, ToolTimedOut)]
        assert (late.call, late.attempt) == (call.asked.call, 0)
        assert not [event for event in events if isinstance(event, ApprovalGranted)]
        assert call.asked.call not in system.field.effects
        with pytest.raises(NotDecided, match="does not wait any more"):
            await system.over_nats(call)
    await system.field.check()


async def _stored_more(system: System, count: int) -> bool:
    return await system.stored("TRIG", "trig.control.>") >= count


async def _timer_is_set(system: System, call: Waiting) -> bool:
    return await system.stored("TIM", f"tim.set.*.{call.session.id}.>") > 0
