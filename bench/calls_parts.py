"""What loads our side of `calls`: it appends requests as an orchestrator would, and hears the results.

python -m bench.calls_parts calls URL SECONDS IN-FLIGHT
python -m bench.calls_parts drain URL CALLS
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import uvloop
from msgspec import Raw
from nats.aio.msg import Msg

from bench.floor_parts import TURN_SECONDS, Drained, drained, load
from bench.measure import Load
from bench.system import SCRIPTED
from stenograph_events import DEFAULT_TENANT, EMPTY, AnyEvent, Head, SessionId, call_id, decode, new_id, new_session_id
from stenograph_events.chain import digest
from stenograph_events.ids import CallId, TurnId
from stenograph_events.types import MessageAdded, SessionCreated, ToolRequested, ToolSucceeded, TurnStarted
from stenograph_events.values import Call
from stenograph_sdk.line import Line
from stenograph_services.runtime.agents import Agents
from stenograph_services.runtime.config import Settings, load_settings
from stenograph_services.runtime.eventlog import EventLog

MODULE = "bench.calls_parts"
TOOL = "lookup"
CALLS_EACH = 40  # of one session: what a call costs in one that grows is another workload's matter
SESSIONS = 100  # the fewest that calls are made in
RESULTS = "live.*.*.*.tool-result"


class Conversation:
    """A session whose model has asked for `CALLS_EACH` calls, and what of them is still to be requested."""

    def __init__(self) -> None:
        self.id = new_session_id()
        self.turn = TurnId(f"turn-{self.id}")
        self.head: Head = EMPTY
        self._message = new_id()
        self.calls: Iterator[CallId] = iter([call_id(self._message, i) for i in range(CALLS_EACH)])

    def asked(self, version: str) -> list[AnyEvent]:
        """Return what comes before the first request."""
        calls = tuple(Call(call_id(self._message, i), TOOL, Raw(b'{"key":"value"}')) for i in range(CALLS_EACH))
        created = SessionCreated(**self._envelope(None), agent=SCRIPTED, agent_version=version)
        started = TurnStarted(**self._envelope(self.turn), trigger="ask", delivery=0)
        said = MessageAdded(**{**self._envelope(self.turn), "id": self._message}, role="assistant", calls=calls,
                            model="scripted/instant", block=1)  # fmt: skip
        return [created, started, said]

    def request(self) -> ToolRequested:
        """Return the next request; raise `StopIteration` after the last."""
        return ToolRequested(
            **self._envelope(self.turn),
            call=next(self.calls),
            attempt=1,
            tool=TOOL,
            arguments=Raw(b'{"key":"value"}'),
            retry="safe",
            deadline_at=datetime.now(UTC) + timedelta(hours=1),
        )

    def _envelope(self, turn: TurnId | None) -> dict[str, Any]:
        return {"id": new_id(), "at": datetime.now(UTC), "tenant": DEFAULT_TENANT, "session": self.id, "turn": turn}


class Calls:
    """Appends requests, and hears their results."""

    def __init__(self, line: Line, settings: Settings) -> None:
        self.results: list[float] = []
        self._line = line
        self._log = EventLog(line, settings)
        self._open: dict[SessionId, asyncio.Future[Head]] = {}

    async def listen(self) -> None:
        await self._line.subscribe(RESULTS, cb=self._heard)

    async def begun(self, version: str) -> Conversation:
        """Return a new conversation, which waits for its calls to be requested."""
        conversation = Conversation()
        await self._append(conversation, conversation.asked(version))
        return conversation

    async def round_trip(self, conversation: Conversation) -> None:
        self._open[conversation.id] = result = asyncio.get_running_loop().create_future()
        await self.request(conversation)
        conversation.head = await asyncio.wait_for(result, TURN_SECONDS)

    async def request(self, conversation: Conversation) -> None:
        await self._append(conversation, [conversation.request()])

    async def check(self, conversation: Conversation) -> None:
        """Fail unless each call of the conversation succeeded, once."""
        events = [decode(one.data) for one in await self._log.read(DEFAULT_TENANT, conversation.id)]
        answered = [event.call for event in events if isinstance(event, ToolSucceeded)]
        if len(answered) != CALLS_EACH or len(set(answered)) != CALLS_EACH:
            raise RuntimeError(f"session {conversation.id}: {len(answered)} results of {CALLS_EACH} calls")

    async def _append(self, conversation: Conversation, events: list[AnyEvent]) -> None:
        stored = await self._log.append(DEFAULT_TENANT, conversation.id, conversation.head, events)
        conversation.head = Head(stored[-1].sequence, stored[-1].event.n, digest(stored[-1].data))

    async def _heard(self, result: Msg) -> None:
        self.results.append(time.perf_counter())
        session = SessionId(result.subject.split(".")[3])
        if waiting := self._open.pop(session, None):
            n = msgspec.json.decode(result.data, type=_Numbered).n
            waiting.set_result(Head(int((result.headers or {})["Nats-Sequence"]), n, digest(result.data)))


class _Numbered(msgspec.Struct):
    n: int


async def calls(url: str, seconds: float, in_flight: int) -> Load:
    making, version = await _made(url)
    talks = await asyncio.gather(*(making.begun(version) for _ in range(max(SESSIONS, 4 * in_flight))))
    turns = [_rotating(talks[i::in_flight]) for i in range(in_flight)]

    async def act(i: int) -> None:
        await making.round_trip(next(turns[i]))

    return await load(act, seconds, in_flight)


async def drain(url: str, count: int) -> Drained:
    making, version = await _made(url)
    queued = await asyncio.gather(*(_queued(making, version) for _ in range(count // CALLS_EACH)))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    found = await drained(making.results, len(queued) * CALLS_EACH)
    for conversation in queued:
        await making.check(conversation)
    return found


async def _queued(making: Calls, version: str) -> Conversation:
    conversation = await making.begun(version)
    for _ in range(CALLS_EACH):
        await making.request(conversation)
    return conversation


async def _made(url: str) -> tuple[Calls, str]:
    line = Line()
    await line.connect(url)
    making = Calls(line, load_settings(nats_url=url))
    await making.listen()
    return making, (await Agents(line).current(DEFAULT_TENANT, SCRIPTED)).version


def _rotating(talks: list[Conversation]) -> Iterator[Conversation]:
    """Yield `talks` in turns, for ever: each has time to rest while the others go on."""
    while True:
        yield from talks


async def main(what: str, url: str, amount: str, in_flight: str = "1") -> None:
    loading = calls(url, float(amount), int(in_flight)) if what == "calls" else drain(url, int(amount))
    print(msgspec.json.encode(await loading).decode(), flush=True)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
