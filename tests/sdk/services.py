"""The services' side of the wire, small enough for a test: who makes sessions, who registers tools, who writes logs."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig
from nats.js.errors import NotFoundError
from tests.support.wait import until

from stenograph_events import DEFAULT_TENANT, EMPTY, AnyEvent, Head, SessionId, new_session_id, seal, subjects
from stenograph_events.chain import digest
from stenograph_events.testing import raw, session_created, tool_requested
from stenograph_events.types import ToolRequested
from stenograph_events.wire import CreateSession, Problem, Registered, Registration, SessionRef, ToolAnswer
from stenograph_services.runtime.config import MIB, Settings
from stenograph_services.runtime.streams import declare
from stenograph_services.runtime.uploads import declare_uploads

ACK_WAIT_SECONDS = 0.6
MAX_INLINE_BYTES = 64 * 1024


async def declared(nats: Nats) -> None:
    """Declare the streams, and return when the server copies tool requests.

    A request that is written before its log stream is first copied may be left out (nats-server 2.15.1).
    """
    await declare(nats, Settings())
    await until(lambda: _copying(nats), what="the stream TOOLS follows every log stream")


async def _copying(nats: Nats) -> bool:
    sources = (await nats.jetstream().stream_info("TOOLS")).sources or []
    return all(source.active is not None and source.active >= 0 for source in sources)


class Log:
    """Writes one session's log as the services would."""

    def __init__(self, nc: Nats, session: SessionId | None = None) -> None:
        self.session = session or new_session_id()
        self._js = nc.jetstream()
        self.head = EMPTY
        self._writing = asyncio.Lock()

    async def append(self, *events: AnyEvent) -> None:
        async with self._writing:
            for event in events:
                await self.store(*self.next(event))

    def next(self, event: AnyEvent) -> tuple[AnyEvent, bytes]:
        """Return `event` as it would be stored next."""
        return seal(msgspec.structs.replace(event, session=self.session), self.head)

    async def store(self, event: AnyEvent, data: bytes) -> None:
        ack = await self._js.publish(subjects.event_subject(event), data)
        self.head = Head(ack.seq, event.n, digest(data))


class Gateway:
    """Answers `sessions.create`: any agent but `nobody`."""

    def __init__(self, nc: Nats) -> None:
        self.logs: dict[str, Log] = {}
        self._nc = nc

    async def start(self) -> None:
        await self._nc.subscribe(subjects.api_subject(DEFAULT_TENANT, "sessions.create"), cb=self._create)

    async def _create(self, message: Msg) -> None:
        body = msgspec.json.decode(message.data, type=CreateSession)
        if body.agent == "nobody":
            await message.respond(msgspec.json.encode(Problem("unknown-agent", "there is no agent nobody")))
            return
        log = Log(self._nc)
        await log.append(session_created(body.agent, input=body.input))
        self.logs[log.session] = log
        await message.respond(msgspec.json.encode(SessionRef(log.session, body.agent, "v1")))


class ToolGateway:
    """Answers `tools.register` and makes the consumer, as the tool gateway does; reads what workers answered."""

    def __init__(self, nc: Nats) -> None:
        self.registrations: list[Registration] = []
        self.refuses: set[str] = set()
        self.quota_bytes = 64 * MIB
        self._nc = nc
        self._js = nc.jetstream()

    async def start(self) -> None:
        await self._nc.subscribe(subjects.Pattern.api("tools.register"), cb=self._register)

    async def _register(self, message: Msg) -> None:
        offer = msgspec.json.decode(message.data, type=Registration)
        self.registrations.append(offer)
        if offer.tool in self.refuses:
            await message.respond(msgspec.json.encode(Problem("bad-schema", "its parameters are no JSON schema")))
            return
        name = subjects.tool_consumer(DEFAULT_TENANT, offer.tool)
        config = ConsumerConfig(
            durable_name=name,
            ack_wait=ACK_WAIT_SECONDS,
            filter_subject=subjects.request_filter(DEFAULT_TENANT, offer.tool),
        )
        await self._js.add_consumer("TOOLS", config)
        quota = await declare_uploads(self._nc, Settings(upload_quota_bytes=self.quota_bytes), DEFAULT_TENANT)
        terms = Registered("TOOLS", name, ACK_WAIT_SECONDS, MAX_INLINE_BYTES, upload_quota_bytes=quota)
        await message.respond(msgspec.json.encode(terms))

    async def answer(self, request: ToolRequested) -> ToolAnswer | None:
        """Return the answer to `request`, if it is there."""
        subject = subjects.answer_subject(request.tenant, request.tool, request.session, request.call, request.attempt)
        try:
            stored = await self._js.get_last_msg("RES", subject)
        except NotFoundError:
            return None
        return msgspec.json.decode(stored.data or b"", type=ToolAnswer)

    async def deliveries(self, tool: str) -> int:
        """Return how often requests for `tool` were delivered."""
        info = await self._js.consumer_info("TOOLS", subjects.tool_consumer(DEFAULT_TENANT, tool))
        return info.delivered.consumer_seq if info.delivered else 0

    async def acked_requests(self) -> int:
        """Return how many requests the server copied and workers acked."""
        state = (await self._js.stream_info("TOOLS")).state
        return state.last_seq - state.messages


def request(tool: str, arguments: Any = None, *, call: str = "c1", seconds: float = 60.0, **more: Any) -> ToolRequested:
    """Return a request that must be answered within `seconds` from now."""
    deadline = datetime.now(UTC) + timedelta(seconds=seconds)
    more = {"retry": "safe"} | more
    return tool_requested(call, tool=tool, arguments=raw(arguments or {}), deadline_at=deadline, **more)


def of_turn(event: AnyEvent, turn: str) -> Any:
    """Return `event` as one of `turn`."""
    return msgspec.structs.replace(event, turn=turn)
