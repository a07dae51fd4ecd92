"""The four processes of the floor, and the writer: bare nats-py, no line more than the operations need.

python -m bench.floor_parts orchestrator|tool-gateway|worker URL
python -m bench.floor_parts client|writer|caller URL SECONDS AT-ONCE
python -m bench.floor_parts drain URL CALLS 1
"""

import asyncio
import sys
import time
import zlib
from collections.abc import Awaitable, Callable
from uuid import uuid4

import msgspec
import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from bench.measure import Load, load_of

MODULE = "bench.floor_parts"
LOG_STREAMS = 4
WARM_UP = 30
FETCH = 64
AT_ONCE = 256
TURN_SECONDS = 8.0
EVENT_BYTES = 500
_HEAD = b'{"type":"x","n":1,"prev":"%s","at":"2026-11-22T00:00:00Z","session":"%s","text":"' % (b"a" * 64, b"s" * 34)
EVENT = _HEAD.ljust(EVENT_BYTES - 2, b"y") + b'"}'


class Drained(msgspec.Struct, frozen=True):
    """`calls` were queued while the worker was away; `seconds` lie between their first result and their last."""

    calls: int
    seconds: float


Handler = Callable[[Msg], Awaitable[None]]


def shard(session: str) -> int:
    return zlib.crc32(session.encode()) % LOG_STREAMS


async def append(js: JetStreamContext, session: str, last: int, event_class: str) -> int:
    """Append one event behind the fence `last`; return its sequence."""
    k = shard(session)
    headers = {
        "Nats-Expected-Last-Subject-Sequence": str(last),
        "Nats-Expected-Last-Subject-Sequence-Subject": f"ev.{k}.t.{session}.>",
        "Nats-Msg-Id": uuid4().hex,
    }
    return (await js.publish(f"ev.{k}.t.{session}.{event_class}", EVENT, headers=headers)).seq


async def orchestrator(client: Client) -> None:
    js = client.jetstream()
    heads: dict[str, int] = {}

    async def start_turn(trigger: Msg) -> None:
        session = trigger.subject.split(".")[2]
        last = heads.get(session, 0)
        for event_class in ("turn", "message", "message", "tool-request.lookup"):
            last = await append(js, session, last, event_class)
        heads[session] = last
        await trigger.ack()

    async def finish_turn(result: Msg) -> None:
        session = result.subject.split(".")[3]
        last = result.metadata.sequence.stream
        for event_class in ("message", "turn"):
            last = await append(js, session, last, event_class)
        heads[session] = last
        await client.publish(f"tok.t.{session}", b"finish")
        await result.ack()

    streams = {"TRIG": ("orchestrator", start_turn)} | {f"EV_{k}": ("wake", finish_turn) for k in range(LOG_STREAMS)}
    async with asyncio.TaskGroup() as pumps:
        for stream, (consumer, handle) in streams.items():
            pumps.create_task(pump(js, stream, consumer, handle))
        print("ready", flush=True)


async def tool_gateway(client: Client) -> None:
    js = client.jetstream()

    async def record(answer: Msg) -> None:
        session = answer.subject.split(".")[3]
        k = shard(session)
        head = await js.get_last_msg(f"EV_{k}", f"ev.{k}.t.{session}.>")
        await append(js, session, head.seq or 0, "tool-result")
        await answer.ack()

    print("ready", flush=True)
    await pump(js, "RES", "tool-gateway", record)


async def worker(client: Client) -> None:
    js = client.jetstream()

    async def answer(request: Msg) -> None:
        session = request.subject.split(".")[4]
        await js.publish(f"tool.res.t.{session}.{uuid4().hex}", EVENT)
        await request.ack()

    print("ready", flush=True)
    await pump(js, "TOOLS", "worker", answer)


async def pump(js: JetStreamContext, stream: str, consumer: str, handle: Handler) -> None:
    """Handle what `consumer` delivers, up to 256 messages at once. The first error ends the process."""
    subscription = await js.pull_subscribe_bind(consumer, stream=stream)
    free = asyncio.Semaphore(AT_ONCE)

    async def run(message: Msg) -> None:
        await handle(message)
        free.release()

    async with asyncio.TaskGroup() as running:
        while True:
            try:
                messages = await subscription.fetch(FETCH, timeout=5)
            except TimeoutError:  # nats-py raises its own subclass, or the plain one, depending on where it waits
                continue
            for message in messages:
                await free.acquire()
                running.create_task(run(message))


async def client(client: Client, seconds: float, at_once: int) -> Load:
    js = client.jetstream()
    open_turns: dict[str, asyncio.Future[None]] = {}

    async def finished(frame: Msg) -> None:
        if turn := open_turns.pop(frame.subject.split(".")[2], None):
            turn.set_result(None)

    async def play_turn(session: str) -> None:
        open_turns[session] = turn = asyncio.get_running_loop().create_future()
        await js.publish(f"trig.t.{session}.user-message", b'{"x":1}')
        await asyncio.wait_for(turn, TURN_SECONDS)

    await client.subscribe("tok.>", cb=finished)
    return await load(lambda i: play_turn(f"s{i}"), seconds, at_once)


async def writer(client: Client, seconds: float, at_once: int) -> Load:
    js = client.jetstream()
    heads = [0] * at_once

    async def write(i: int) -> None:
        heads[i] = await append(js, f"s{i}", heads[i], "message")

    return await load(write, seconds, at_once)


async def caller(client: Client, seconds: float, at_once: int) -> Load:
    calls = await _Calls.listening(client)
    return await load(lambda i: calls.round_trip(f"s{i}"), seconds, at_once)


async def drain(client: Client, count: float, _: int) -> Drained:
    calls = await _Calls.listening(client)
    for i in range(int(count)):
        await calls.request(f"s{i}")
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    return await drained(calls.results, int(count))


class _Calls:
    """Appends requests, and hears their results."""

    def __init__(self, client: Client) -> None:
        self.results: list[float] = []
        self._js = client.jetstream()
        self._heads: dict[str, int] = {}
        self._open: dict[str, asyncio.Future[None]] = {}

    @classmethod
    async def listening(cls, client: Client) -> "_Calls":
        calls = cls(client)
        await client.subscribe("live.*.*.*.tool-result", cb=calls._heard)
        return calls

    async def round_trip(self, session: str) -> None:
        self._open[session] = result = asyncio.get_running_loop().create_future()
        await self.request(session)
        await asyncio.wait_for(result, TURN_SECONDS)

    async def request(self, session: str) -> None:
        stored = await append(self._js, session, self._heads.get(session, 0), "tool-request.lookup")
        self._heads[session] = max(stored, self._heads.get(session, 0))  # its result may be heard before its ack

    async def _heard(self, result: Msg) -> None:
        self.results.append(time.perf_counter())
        session = result.subject.split(".")[3]
        self._heads[session] = int((result.headers or {})["Nats-Sequence"])
        if waiting := self._open.pop(session, None):
            waiting.set_result(None)


async def drained(results: list[float], count: int) -> Drained:
    """Return how long the results took from the first to the last; `results` grows as they are heard."""
    while len(results) < count:  # noqa: ASYNC110  it is timed by the results, not by us
        await asyncio.sleep(0.02)
    return Drained(count, results[-1] - results[0])


async def load(act: Callable[[int], Awaitable[None]], seconds: float, at_once: int) -> Load:
    """Warm up, wait for the word on our input, then let `at_once` tasks act over and over for `seconds`."""
    for _ in range(WARM_UP):
        await act(0)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    latencies: list[float] = []
    begin = time.perf_counter()

    async def keep_acting(i: int) -> None:
        while (before := time.perf_counter()) - begin < seconds:
            await act(i)
            latencies.append(time.perf_counter() - before)

    async with asyncio.TaskGroup() as tasks:
        for i in range(at_once):
            tasks.create_task(keep_acting(i))
    return load_of(latencies, time.perf_counter() - begin)


async def main(role: str, url: str, *load_of_it: str) -> None:
    connection = await nats.connect(url)
    if load_of_it:
        seconds, at_once = float(load_of_it[0]), int(load_of_it[1])
        loading = {"client": client, "writer": writer, "caller": caller, "drain": drain}
        seen = await loading[role](connection, seconds, at_once)
        print(msgspec.json.encode(seen).decode(), flush=True)
    else:
        await {"orchestrator": orchestrator, "tool-gateway": tool_gateway, "worker": worker}[role](connection)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
