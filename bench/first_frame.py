"""W8: how long the first frame takes from the wish for a turn, over HTTP and over NATS, one after the other in turns.

Both ask the same services on the same server. The HTTP side is a bare connection that is kept, as an application's is.
"""

import asyncio
import time
from contextlib import AsyncExitStack
from itertools import cycle

import msgspec

from bench.http_requests import trigger_request
from bench.measure import percentile
from bench.parts import start
from bench.system import GREETER, SERVICES, prepared, process
from bench.system_parts import INPUT, SESSIONS, TRIGGER
from stenograph_events.frames import TextDelta
from stenograph_sdk import Client
from stenograph_sdk.session import Session
from stenograph_services.runtime.nats_server import NatsServer

WARM_UP = 30
LAST_CHUNK = b"0\r\n\r\n"


class FirstFrames(msgspec.Struct, frozen=True):
    """What the first frame took by the median; `longer_ms` is by how much the one over HTTP took longer."""

    over_nats_ms: float
    over_http_ms: float
    longer_ms: float


async def run_first_frames(server: NatsServer, *, pairs: int) -> FirstFrames:
    """Return what the first frame of a turn takes, by `pairs` turns over each."""
    async with prepared(server), AsyncExitStack() as running:
        gateway = process("gateway", server)
        await start([gateway, *(process(role, server) for role in SERVICES if role != "gateway")], running)
        client = await running.enter_async_context(Client.connect(server.url))
        http = await _Http.open(int(gateway.said.split()[1]))
        of_nats = cycle([await client.sessions.create(GREETER) for _ in range(SESSIONS)])
        of_http = cycle([await client.sessions.create(GREETER) for _ in range(SESSIONS)])
        taken = []
        for i in range(WARM_UP + pairs):  # who is first changes, so that neither profits from the other
            if i % 2:
                nats, web = await _over_nats(next(of_nats)), await http.first_frame(next(of_http).id)
            else:
                web, nats = await http.first_frame(next(of_http).id), await _over_nats(next(of_nats))
            taken.append((nats, web))
        http.close()
    over_nats, over_http = (percentile(side, 50) for side in zip(*taken[WARM_UP:], strict=True))
    return FirstFrames(over_nats, over_http, over_http - over_nats)


async def _over_nats(session: Session) -> float:
    """Play a turn, and return the milliseconds until its first frame."""
    taken, began = 0.0, time.perf_counter()
    async for item in session.trigger(TRIGGER, INPUT):
        if not taken and isinstance(item, TextDelta):
            taken = time.perf_counter() - began
    assert taken, "the turn had no frame"
    return taken * 1e3


class _Http:
    """A connection to the gateway."""

    def __init__(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._port = port
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> "_Http":
        return cls(port, *await asyncio.open_connection("127.0.0.1", port))

    async def first_frame(self, session: str) -> float:
        """Play a turn, and return the milliseconds until its first frame."""
        taken, read, began = 0.0, b"", time.perf_counter()
        self._writer.write(trigger_request(self._port, session))
        while not read.endswith(LAST_CHUNK):
            more = await self._reader.read(1 << 16)
            assert more, f"the connection ended: {read!r}"
            read += more
            if not taken and b'"text-delta"' in read:
                taken = time.perf_counter() - began
        assert taken, f"the stream had no text: {read!r}"
        return taken * 1e3

    def close(self) -> None:
        self._writer.close()
