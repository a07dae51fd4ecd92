"""The two processes around a gateway with many streams: one writes the frames of turns, one is all of their viewers.

python -m bench.streaming_parts viewers URL PORT STREAMS    → ready [{"session":"2f01…","turn":"91d2…","after":3},…]
    {"frames":8000,"seconds":2.0}                           → a `Load` of so many frames, once they are there
python -m bench.streaming_parts writer URL
    {"turns":[…],"per_second":20,"seconds":2}               → {"frames":8000,"seconds":2.0}

A frame says when it was published, by the clock that all processes of the machine share.
"""

import asyncio
import re
import sys
import time
from collections import Counter
from typing import cast

import msgspec
import nats
import uvloop

from bench.http_requests import trigger_request
from bench.measure import Load, load_of
from bench.system import SILENT
from stenograph_events import DEFAULT_TENANT
from stenograph_events.frames import TextDelta, encode_frame
from stenograph_events.subjects import frame_subject
from stenograph_sdk import Client

MODULE = "bench.streaming_parts"
OPEN_SECONDS = 30.0
ARRIVE_SECONDS = 10.0
TICK_SECONDS = 0.001
LOOK_SECONDS = 0.01
_BEGUN = re.compile(rb'"executionId":"([^"]+)".*\nid: (\d+)\ndata: {"type":"block-start"', re.DOTALL)
_SAID_AT = re.compile(rb'"delta":"(\d+\.\d+) ')


class Viewed(msgspec.Struct, frozen=True):
    """A turn that somebody views. Its frames come after event `after`."""

    session: str
    turn: str
    after: int


class Writing(msgspec.Struct, frozen=True):
    """The wish for `per_second` frames of each of `turns`, for so many seconds."""

    turns: list[Viewed]
    per_second: float
    seconds: float


class Frames(msgspec.Struct, frozen=True):
    """So many frames of all turns together, and the seconds in which they were written."""

    frames: int
    seconds: float


class Viewer(asyncio.Protocol):
    """Triggers a turn in `session` and reads its stream: how long each frame took is added to `delays`, in seconds."""

    def __init__(self, port: int, session: str, delays: list[float]) -> None:
        self.session = session
        self.begun: asyncio.Future[Viewed] = asyncio.get_running_loop().create_future()
        self._port = port
        self._delays = delays
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(trigger_request(self._port, self.session))

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self._unread += data
        if not self.begun.done():
            self._look_for_beginning()
            return
        read, end, self._unread = self._unread.rpartition(b"\n\n")
        self._delays += [now - float(said_at) for said_at in _SAID_AT.findall(read + end)]

    def _look_for_beginning(self) -> None:
        if found := _BEGUN.search(self._unread):
            self.begun.set_result(Viewed(self.session, found[1].decode(), int(found[2])))
            self._unread = b""


async def viewers(url: str, port: int, streams: int) -> None:
    """View `streams` turns, and tell on each line of our input how long the frames took that came since the last."""
    loop = asyncio.get_running_loop()
    delays: list[float] = []
    async with Client.connect(url) as client:
        sessions = [(await client.sessions.create(SILENT)).id for _ in range(streams)]
    all_of_them = [Viewer(port, session, delays) for session in sessions]
    for viewer in all_of_them:
        await loop.create_connection(lambda viewer=viewer: viewer, "127.0.0.1", port)  # type: ignore[misc]
    begun = await asyncio.wait_for(asyncio.gather(*(viewer.begun for viewer in all_of_them)), OPEN_SECONDS)
    print("ready", msgspec.json.encode(begun).decode(), flush=True)
    while wanted := await asyncio.to_thread(sys.stdin.readline):
        seen = await _arrived(msgspec.json.decode(wanted, type=Frames), delays)
        print(msgspec.json.encode(seen).decode(), flush=True)
        delays.clear()


async def _arrived(written: Frames, delays: list[float]) -> Load:
    """Return how long the frames took, once all are there; fewer are `done` where some never came."""
    until = time.monotonic() + ARRIVE_SECONDS
    while len(delays) < written.frames and time.monotonic() < until:  # noqa: ASYNC110  # an event would cost each frame time
        await asyncio.sleep(LOOK_SECONDS)
    return load_of(delays, written.seconds)


async def writer(url: str) -> None:
    """Write frames as each line of our input wishes, and say how many they were."""
    connection = await nats.connect(url)
    written: Counter[str] = Counter()

    async def write(viewed: Viewed) -> None:
        written[viewed.turn] += 1
        text = f"{time.monotonic():.6f} a few words"
        frame = TextDelta(turn=viewed.turn, after=viewed.after, k=written[viewed.turn], text=text)
        await connection.publish(frame_subject(DEFAULT_TENANT, viewed.session), encode_frame(frame))

    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        wanted = msgspec.json.decode(line, type=Writing)
        frames = round(wanted.per_second * wanted.seconds) * len(wanted.turns)
        begin, rate = time.monotonic(), wanted.per_second * len(wanted.turns)
        for i in range(frames):
            if (early := begin + i / rate - time.monotonic()) > 0:
                await asyncio.sleep(max(early, TICK_SECONDS))
            await write(wanted.turns[i % len(wanted.turns)])
        await connection.flush()
        print(msgspec.json.encode(Frames(frames, time.monotonic() - begin)).decode(), flush=True)


async def main(role: str, url: str, *more: str) -> None:
    if role == "viewers":
        await viewers(url, *map(int, more))
    else:
        await writer(url)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
