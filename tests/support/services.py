"""Services in this process, and a session to talk to: the real ones, on a real server, with scripted models.

async with Stage(url, tmp_path) as stage:
    talk = await stage.session(script=SAY_HELLO)
    turn = await talk.send("Hi")
    assert (await talk.end_of(turn)).outcome == "completed"

The test itself is the worker: `talk.answer(request, …)` writes into `RES` what a worker would.
"""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import msgspec
from msgspec import Raw
from nats.aio.client import Client as Nats
from tests.support.agents import bundle
from tests.support.nats import connect, delete_streams, processed
from tests.support.wait import until

from stenograph_events import (
    DEFAULT_TENANT,
    EMPTY,
    Event,
    SessionId,
    StoredEvent,
    TurnId,
    new_id,
    new_session_id,
)
from stenograph_events.frames import AnyFrame, decode_frame
from stenograph_events.progress import Progress
from stenograph_events.subjects import answer_subject, frame_subject, parked_subject, progress_subject
from stenograph_events.types import (
    MessageAdded,
    SessionCreated,
    ToolRequested,
    TriggerRejected,
    TurnFinished,
)
from stenograph_events.values import TextPart
from stenograph_events.wire import ToolAnswer
from stenograph_projections.invariants import Stored, check
from stenograph_sdk import Client
from stenograph_services.orchestrator import app as orchestrator
from stenograph_services.runtime.agents import Agents
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.eventlog import EventLog
from stenograph_services.runtime.jetstream import publish
from stenograph_services.runtime.registry import ToolEntry, ToolRegistry
from stenograph_services.runtime.service import Build, Running
from stenograph_services.runtime.streams import declare
from stenograph_services.tool_gateway import app as tool_gateway

TENANT = DEFAULT_TENANT
SERVED = ("get-account", "send-mail")  # the tools of `bundle`: the log names a worker for them

E = TypeVar("E", bound=Event)


class Stage:
    """An orchestrator, a tool gateway and a client on one server, whose streams are made anew."""

    def __init__(self, url: str, directory: Path, **settings: Any) -> None:
        quick = {"ack_wait_seconds": 1.0, "crash_limit": 2}
        quick["breaker_failures"] = 0  # one test after another leaves calls of the same tool unanswered
        self.settings = Settings(nats_url=url, data_dir=directory, **{**quick, **settings})
        self.talks: list[Talk] = []
        self._running: list[Running] = []
        self._slugs = itertools.count(1)

    async def __aenter__(self) -> Self:
        self.nc = await connect(self.settings.nats_url)
        await delete_streams(self.nc.jetstream())
        await declare(self.nc, self.settings)
        for tool in SERVED:
            await ToolRegistry(self.nc).put(TENANT, ToolEntry(tool, "never", "w-1", datetime.now(UTC)))
        for build in (orchestrator.build, tool_gateway.build):
            await self.start(build)
        self.log = EventLog(self.nc, self.settings)
        self._client = Client.connect(self.settings.nats_url)
        self.client = await self._client.__aenter__()
        self.client.connection.opened = self.log.seals.opened  # as who has the keys reads a sealed log
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.__aexit__(None, None, None)
        for running in reversed(self._running):
            await running.stop()
        await self.nc.close()

    async def start(self, build: Build) -> Running:
        """Start one more service of a kind."""
        running = Running(build, self.settings)
        await running.start()
        self._running.append(running)
        return running

    def running(self, name: str) -> Running:
        """Return the last started service of a kind."""
        return next(running for running in reversed(self._running) if running.service.name == name)

    async def end(self, running: Running) -> None:
        """Stop one service."""
        self._running.remove(running)
        await running.stop()

    async def session(self, script: str = "", **protocol: Any) -> "Talk":
        """Return a session of an agent of its own, which plays `script`; `protocol` goes to `agents.bundle`."""
        agent, _ = await Agents(self.nc).store(TENANT, bundle(f"agent-{next(self._slugs)}", script, **protocol))
        return await self.session_of(agent.slug, agent.version)

    async def session_of(self, slug: str, version: str) -> "Talk":
        """Return a session that is pinned to a version of an agent, stored or not."""
        talk = Talk(self, new_session_id())
        created = SessionCreated(
            id=new_id(), at=datetime.now(UTC), tenant=TENANT, session=talk.id, agent=slug, agent_version=version
        )  # fmt: skip
        await self.log.append(TENANT, talk.id, EMPTY, [created])
        self.talks.append(talk)
        return talk

    async def unserve(self, tool: str) -> None:
        """Let no worker serve `tool` any more."""
        await ToolRegistry(self.nc).retire(TENANT, tool)
        await self.forgets(tool)

    async def forgets(self, tool: str) -> None:
        """Return when the orchestrator knows of no worker that serves `tool`."""
        service: Any = self.running("orchestrator").service
        registry = service._registry

        async def forgotten() -> bool:
            return tool not in registry.retries(TENANT)

        await until(forgotten, what=f"the orchestrator forgets {tool}")

    async def parked(self, subject: str, service: str = "orchestrator") -> str:
        """Return why the message that came on `subject` was parked, as soon as it is."""

        async def reason() -> str | None:
            found = [one for one in await parked_messages(self.nc, service) if one["Stenograph-Subject"] == subject]
            return found[0]["Stenograph-Reason"] if found else None

        return await until(reason, what=f"{subject} is parked")

    async def unsettled(self, stream: str, consumer: str) -> int:
        """Return how many messages of a consumer wait or are in hand."""
        info = await self.nc.jetstream().consumer_info(stream, consumer)
        return (info.num_pending or 0) + (info.num_ack_pending or 0)


class Talk:
    """One session under test."""

    def __init__(self, stage: Stage, session: SessionId) -> None:
        self.id = session
        self.stage = stage
        self.sdk = stage.client.session(session)

    async def send(self, text: str = "Hello", *, name: str = "user-message", request: str | None = None) -> TurnId:
        return await self.sdk.send(name, {"TEXT": text}, request=request)

    async def cancel(self, turn: str) -> None:
        await self.sdk.cancel(turn)

    async def events(self) -> list[StoredEvent]:
        return [stored.event for stored in await self.stage.log.read(TENANT, self.id)]

    async def types(self) -> list[str]:
        """Return the types of the log's events, in order."""
        return [str(type(event).__struct_config__.tag) for event in await self.events()]

    async def all(self, kind: type[E], turn: str | None = None) -> list[E]:
        """Return the events of one class, of one turn or of all."""
        return [one for one in await self.events() if isinstance(one, kind) and turn in (None, one.turn)]

    async def until(
        self, kind: type[E], turn: str | None = None, where: Callable[[E], bool] = lambda _: True, *, timeout: float = 8
    ) -> E:
        """Return the first event of a class, as soon as it is in the log."""

        async def found() -> E | None:
            return next((one for one in await self.all(kind, turn) if where(one)), None)

        try:
            return await until(found, timeout)
        except AssertionError as error:
            raise AssertionError(f"no {kind.__name__} of turn {turn}, but {await self.types()}") from error

    async def end_of(self, turn: str, *, timeout: float = 8) -> TurnFinished:
        return await self.until(TurnFinished, turn, timeout=timeout)

    async def rejection_of(self, turn: str) -> TriggerRejected:
        return await self.until(TriggerRejected, turn)

    async def request(self, count: int = 1, *, turn: str | None = None) -> ToolRequested:
        """Return the `count`-th tool request of the session, or of one turn."""

        async def requested() -> ToolRequested | None:
            found = await self.all(ToolRequested, turn)
            return found[count - 1] if len(found) >= count else None

        return await until(requested, what=f"tool request {count}")

    async def answer(
        self,
        request: ToolRequested,
        result: Any = None,
        *,
        outcome: Literal["succeeded", "failed", "expired"] = "succeeded",
        **more: Any,
    ) -> None:
        """Answer as a worker would."""
        answer = ToolAnswer(outcome, result=Raw(msgspec.json.encode(result)), **more)
        await self.answer_bytes(request, msgspec.json.encode(answer))

    async def answer_bytes(self, request: ToolRequested, data: bytes) -> None:
        subject = answer_subject(TENANT, request.tool, self.id, request.call, request.attempt)
        await publish(self.stage.nc, subject, data)

    async def progress(
        self, request: ToolRequested, text: str, k: int = 1, *, done: int | None = None, **otherwise: Any
    ) -> None:
        """Say how far a call is, as a worker would; or, with names that are `otherwise`, as one that lies."""
        names = {"tool": request.tool, "session": self.id, "call": request.call, "attempt": request.attempt}
        subject = progress_subject(TENANT, **{**names, **otherwise})
        await self.stage.nc.publish(subject, msgspec.json.encode(Progress(text, done, k=k)))

    async def said(self, turn: str) -> list[str]:
        """Return what the model said in a turn, one text for each message."""
        answers = [one for one in await self.all(MessageAdded, turn) if one.role == "assistant"]
        return ["".join(part.text for part in one.parts if isinstance(part, TextPart)) for one in answers]

    async def check(self) -> None:
        """Fail if the log breaks an invariant, or if a turn has not ended."""
        stored = await self.stage.log.read(TENANT, self.id)
        report = check([Stored(one.sequence, None, one.data, one.opened) for one in stored], complete=True)
        assert report.ok, f"{report.broken}\n" + "\n".join(one.data.decode(errors="replace")[:300] for one in stored)


class Frames:
    """The frames of one session, from now on."""

    def __init__(self, nc: Nats, session: str) -> None:
        self.heard: list[AnyFrame] = []
        self._nc = nc
        self._subject = frame_subject(TENANT, session)

    async def __aenter__(self) -> Self:
        async def hear(message: Any) -> None:
            self.heard.append(decode_frame(message.data))

        self._subscription = await self._nc.subscribe(self._subject, cb=hear)
        await processed(self._nc)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._subscription.unsubscribe()

    async def first(self) -> AnyFrame:
        return await until(lambda: self.heard[0] if self.heard else None, what="a frame")


async def parked_messages(nc: Nats, service: str) -> list[dict[str, str]]:
    """Return the headers of everything that `service` has parked."""
    js = nc.jetstream()
    state = (await js.stream_info("PARKED")).state
    stored = [await js.get_msg("PARKED", seq) for seq in range(state.first_seq, state.last_seq + 1) if state.messages]
    return [dict(one.headers or {}) for one in stored if one.subject == parked_subject(TENANT, service)]
