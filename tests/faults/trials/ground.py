"""The ground of trials: one nats-server, one process of each service and one worker, reborn as soon as they die.

async with Ground(tmp_path) as ground:
    await ground.arm(plan, session)
    …talk, and wait for `ground.struck[session]`…
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar, get_args

import msgspec
import nats.errors
from nats.aio.msg import Msg
from tests.faults.trials.dying import Armed
from tests.faults.trials.ledger import Effect, effects
from tests.faults.trials.nursery import Birth
from tests.faults.trials.places import Role
from tests.faults.trials.points import Plan
from tests.faults.trials.scenes import agents, slug
from tests.support.wait import until

from stenograph_events import DEFAULT_TENANT, EMPTY, Event, SessionId, StoredEvent, decode, new_id, new_session_id
from stenograph_events.subjects import Pattern, parse_event
from stenograph_events.types import SessionCreated
from stenograph_sdk import Client
from stenograph_sdk.line import Line
from stenograph_services.runtime.agents import Agents
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.eventlog import EventLog
from stenograph_services.runtime.jetstream import api
from stenograph_services.runtime.nats_server import NatsServer
from stenograph_services.runtime.streams import consumers, declare

ROLES: tuple[Role, ...] = get_args(Role)
ACK_WAIT_SECONDS = 1.0
LOOK_SECONDS = 1.0  # what the server tells of live may be lost with it: look all the same

E = TypeVar("E", bound=Event)


class Death(NamedTuple):
    """Who died, and when."""

    at: float
    who: str


class Living:
    """A process that was born, or is about to be."""

    def __init__(self, role: Role) -> None:
        self.role = role
        self.pid = 0
        self.ready = asyncio.Event()
        self.control: asyncio.StreamWriter | None = None


class Ground:
    """The running system, and what died in it."""

    def __init__(self, directory: Path, recorded: Path | None = None) -> None:
        self.directory = directory
        self.server = NatsServer(directory / "nats")
        self.settings = Settings(nats_url=self.server.url, ack_wait_seconds=ACK_WAIT_SECONDS, data_dir=directory)
        self.deaths: list[Death] = []
        self.struck = defaultdict[str, asyncio.Future[float]](lambda: asyncio.get_running_loop().create_future())
        """When somebody died, by the session whose trial it was."""
        self.living: dict[Role, Living] = {}
        self._armed: dict[str, tuple[Role, Armed, asyncio.Event]] = {}
        self._names: dict[str, Living] = {}
        self._stirred: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._recorded = recorded
        self._tasks: set[asyncio.Task[Any]] = set()
        self._restarting = asyncio.Lock()
        self._stopping = False
        self._victims = defaultdict[str, asyncio.Lock](asyncio.Lock)

    async def __aenter__(self) -> Self:
        await self.server.start()
        self._server_pid = self.server.pid
        self.nc = Line()
        outliving: dict[str, Any] = {"max_reconnect_attempts": -1, "reconnect_time_wait": 0.1, "error_cb": _silent}
        await self.nc.connect(self.server.url, **outliving)
        await declare(self.nc, self.settings)
        self.versions = {}
        for bundle in agents():
            agent, _ = await Agents(self.nc).store(DEFAULT_TENANT, bundle)
            self.versions[agent.slug] = agent.version
        self.log = EventLog(self.nc, self.settings)
        await self.nc.subscribe(Pattern.LIVE, cb=self._heard)
        self._client = Client.connect(self.server.url)
        self.client = await self._client.__aenter__()
        self._control = await asyncio.start_unix_server(self._born, self.directory / "control")
        self._nursery = subprocess.Popen(  # noqa: ASYNC220  once, before anything is measured
            [sys.executable, "-m", "tests.faults.trials.nursery"], stdin=subprocess.PIPE, cwd=Path(__file__).parents[3]
        )
        for role in ROLES:
            self._bear(role)
        for living in self.living.values():
            await until(living.ready.is_set, 60, what=f"the {living.role} serves")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping = True
        for living in self.living.values():
            if living.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(living.pid, signal.SIGKILL)
        assert self._nursery.stdin is not None
        self._nursery.stdin.close()
        await asyncio.to_thread(self._nursery.wait)
        self._control.close()
        for task in self._tasks:
            task.cancel()
        await self._client.__aexit__(None, None, None)
        await self.nc.close()
        await self.server.stop()

    @property
    def ledger(self) -> Path:
        return self.directory / "ledger"

    def effects(self) -> dict[str, list[Effect]]:
        return effects(self.ledger)

    # ---- who dies

    async def arm(self, plan: Plan, session: str) -> None:
        """Let whoever passes the point of `plan` for `session` strike; return when that is certain to happen."""
        armed = Armed(plan.point.place, session, plan.passes, plan.point.server)
        heard = asyncio.Event()
        self._armed[session] = (plan.point.role, armed, heard)
        self._tell(plan.point.role, armed)
        await asyncio.wait_for(heard.wait(), 30)

    @contextlib.asynccontextmanager
    async def let_alone(self, plan: Plan) -> AsyncIterator[None]:
        """Let no other trial strike at those whom this one needs alive until it strikes."""
        needed = {plan.point.role} | ({"worker"} if plan.scene == "late" or plan.point.at_birth else set())
        async with contextlib.AsyncExitStack() as held:
            for who in (*ROLES, "nats-server"):  # in one order, so that no two wait for each other
                if who in needed or (who == "nats-server" and plan.point.server):
                    await held.enter_async_context(self._victims[who])
            yield

    def disarm(self, session: str) -> None:
        if entry := self._armed.pop(session, None):
            self._tell(entry[0], Armed("", session, forget=True))

    async def kill(self, role: Role) -> None:
        """Kill the process of `role`, wherever it stands; one that is about to be born, once it is."""
        await until(lambda: self.living[role].pid, what=f"the {role} is born")  # to kill 0 is to kill us all
        os.kill(self.living[role].pid, signal.SIGKILL)

    def kill_server(self, session: str) -> None:
        """Kill the nats-server, wherever it stands."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._server_pid, signal.SIGKILL)
        self._strikes(session, server=True)

    def _tell(self, role: Role, armed: Armed) -> None:
        """Tell the process of `role`; one that is not born yet hears of it at its birth."""
        living = self.living[role]
        if living.control is not None:
            living.control.write(msgspec.json.encode(armed) + b"\n")

    def _strikes(self, session: str, *, server: bool) -> None:
        if not self.struck[session].done():
            self.struck[session].set_result(time.time())
        if server:
            self.deaths.append(Death(time.time(), "nats-server"))
            self._spawn(self._restart(self._server_pid))

    async def _restart(self, dying: int) -> None:
        """Start the nats-server again as soon as the process `dying` is dead, unless that was done."""
        async with self._restarting:
            if self._server_pid != dying:
                return
            await until(lambda: not self.server.running, what="the nats-server dies")
            await self.server.restart()
            self._server_pid = self.server.pid

    def _bear(self, role: Role) -> None:
        living = self.living[role] = Living(role)
        name = f"{role}-{len(self._names) + 1}"
        self._names[name] = living
        birth = Birth(
            role=role,
            name=name,
            url=self.server.url,
            control=str(self.directory / "control"),
            server_lock=str(self.server.directory / "nats-server.lock"),
            ledger=str(self.ledger),
            log=str(self.directory / f"{role}.log"),
            environment={
                "STENOGRAPH_NATS_URL": self.server.url,
                "STENOGRAPH_ACK_WAIT_SECONDS": str(ACK_WAIT_SECONDS),
                "STENOGRAPH_DATA_DIR": str(self.directory),
                "STENOGRAPH_SNAPSHOT_IDLE_SECONDS": "0.3",
                "STENOGRAPH_BREAKER_FAILURES": "0",  # who dies all the time would not be asked, and die no more
            },
            recorded=str(self._recorded or ""),
        )
        assert self._nursery.stdin is not None
        self._nursery.stdin.write(msgspec.json.encode(birth) + b"\n")
        self._nursery.stdin.flush()

    async def _born(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Live with one process until it is dead."""
        said = msgspec.json.decode(await reader.readline())
        living = self._names[said["born"]]
        living.pid = said["pid"]
        for role, armed, _ in self._armed.values():
            if role == living.role:
                writer.write(msgspec.json.encode(armed) + b"\n")
        writer.write(b"\n")
        living.control = writer
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                self._said(living, msgspec.json.decode(line))
        writer.close()
        living.control = None
        if not self._stopping:
            self.deaths.append(Death(time.time(), living.role))
            self._bear(living.role)

    def _said(self, living: Living, said: dict[str, Any]) -> None:
        if "ready" in said:
            living.ready.set()
        elif (session := said.get("armed")) is not None and session in self._armed:
            self._armed[session][2].set()
        elif (session := said.get("struck")) is not None:
            entry = self._armed.pop(session, None)
            self._strikes(session, server=entry is not None and entry[1].server)

    # ---- who talks

    async def session(self, plan: Plan) -> SessionId:
        """Return a new session of the agent that `plan` talks to."""
        session, agent = new_session_id(), slug(plan.scene, plan.retry)
        event = SessionCreated(
            id=new_id(),
            at=datetime.now(UTC),
            tenant=DEFAULT_TENANT,
            session=session,
            agent=agent,
            agent_version=self.versions[agent],
        )
        await answered(lambda: self.log.append(DEFAULT_TENANT, session, EMPTY, [event]))
        return session

    async def events(self, session: str) -> list[StoredEvent]:
        return [decode(one.data) for one in await answered(lambda: self.log.read(DEFAULT_TENANT, session))]

    async def event(self, session: str, kind: type[E], turn: str, timeout: float) -> E:
        """Return the first event of a class in a turn, as soon as it is in the log."""
        until_then = time.monotonic() + timeout
        while True:
            self._stirred[session].clear()
            events = await self.events(session)
            if found := next((one for one in events if isinstance(one, kind) and one.turn == turn), None):
                return found
            if time.monotonic() > until_then:
                types = [str(type(one).__struct_config__.tag) for one in events]
                raise AssertionError(f"session {session} has no {kind.__name__} after {timeout:g} s: {types}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stirred[session].wait(), LOOK_SECONDS)

    async def quiet(self) -> None:
        """Return when no service holds or has to take anything, but for requests that wait for their redelivery."""
        verbs = [f"CONSUMER.INFO.{one.stream}.{one.name}" for one in consumers(self.settings)]

        async def idle() -> bool:
            infos = [await answered(partial(api, self.nc, verb)) for verb in verbs]
            return all(not info["num_ack_pending"] and not info["num_pending"] for info in infos)

        await until(idle, 60, what="the services hold nothing")

    async def _heard(self, message: Msg) -> None:
        session = parse_event(message.subject).session
        if session in self._stirred:
            self._stirred[session].set()

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def answered(work: Any) -> Any:
    """Return what `work` does, tried until the server answers: it is killed here on purpose."""

    async def done() -> tuple[Any] | None:
        with contextlib.suppress(nats.errors.Error, OSError):
            return (await work(),)
        return None

    return (await until(done, 60, what="the server answers"))[0]


async def _silent(_: Exception) -> None:
    """Servers are killed on purpose here."""
