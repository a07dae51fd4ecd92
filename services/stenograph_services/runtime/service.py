"""A service: a FastStream application around one NATS connection, started alone or with others, drained on SIGTERM."""

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import structlog
from faststream import FastStream
from faststream.nats import NatsBroker
from faststream.nats.security import NatsCredentials, NatsSecurity
from nats.aio.client import Client
from nats.errors import Error as NatsError

from stenograph_sdk.line import Line
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.connection import check_durable, connection_options, only_tls, outliving_subjects
from stenograph_services.runtime.errors import Unreachable
from stenograph_services.runtime.streams import declare

log = structlog.get_logger()

CONNECT_SECONDS = 15  # a server that starts together with us is there by then
PATIENCE_SECONDS = 2.0  # a server that is well answers sooner; from then on a person wonders


class Service(Protocol):
    """One of the four. `start` returns when work is being taken; `stop` when what was in hand is finished."""

    name: str

    async def start(self, nc: Client) -> None: ...

    async def stop(self) -> None: ...

    async def reconnected(self) -> None: ...


Build = Callable[[NatsBroker, Settings], Service]
"""Makes a service: it may add subscribers to the broker, which start together with it."""


class _Broker(NatsBroker):
    """FastStream's broker on a line of ours: nats-py's own would go on in plain text where a server offers no TLS."""

    only_tls = False

    async def _connect(self) -> Client:
        connection = Line(only_tls=self.only_tls)
        await connection.connect(**self._connection_kwargs)
        self.config.connect(connection)
        return connection


class Running:
    """A started service with its broker and FastStream application."""

    def __init__(self, build: Build, settings: Settings) -> None:
        options = connection_options(settings, "service")
        credentials, context = options.pop("user_credentials", None), options.pop("tls", None)
        self.broker = _Broker(
            settings.nats_servers(),
            security=NatsCredentials(credentials, ssl_context=context)
            if credentials
            else NatsSecurity(ssl_context=context),
            **options,
            reconnected_cb=self._reconnected,
            error_cb=self._failed,
            logger=None,
            graceful_timeout=10,
        )
        self.broker.only_tls = only_tls(settings)
        self.service = build(self.broker, settings)
        self.app = FastStream(self.broker, logger=None)
        self._settings = settings
        self._last_error = ""

    async def start(self) -> None:
        """Connect, declare the streams, take work; raise `Unreachable`, `StreamDrift` or `NotDurable`."""
        await self._connect()
        await self._begin()

    async def _begin(self) -> None:
        nc = self.broker.connection
        assert nc is not None, "a connected broker has a connection"
        outliving_subjects(nc)
        await declare(nc, self._settings)
        await self.service.start(nc)
        await self.app.start()
        log.info("service.started", service=self.service.name, nats=self._settings.nats_url)

    async def started(self, asked: asyncio.Event) -> bool:
        """Start, unless `asked` to stop while no server answers; return whether it did. Raises what `start` does."""
        connecting, stopping = asyncio.create_task(self._connect()), asyncio.create_task(asked.wait())
        try:
            await asyncio.wait((connecting, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not connecting.done():
                return False
            await connecting
        finally:
            await _ended(connecting, stopping)
        await self._begin()
        return True

    async def _connect(self) -> None:
        """Connect, and say so if that takes a while; raise `Unreachable`."""
        waiting = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._say_waiting)
        try:
            await asyncio.wait_for(self.broker.connect(), CONNECT_SECONDS)
        except (NatsError, OSError, TimeoutError) as error:
            reason = str(error) or f"{self._reason()} for {CONNECT_SECONDS} s"
            raise Unreachable(f"no nats-server answers at {self._settings.nats_url}: {reason}") from error
        finally:
            waiting.cancel()

    def _say_waiting(self) -> None:
        left = CONNECT_SECONDS - PATIENCE_SECONDS
        log.warning("nats.awaited", nats=self._settings.nats_url, error=self._reason(), seconds_left=left)

    def _reason(self) -> str:
        return self._last_error or "nothing heard"

    async def _failed(self, error: Exception) -> None:
        number = error.errno if isinstance(error, OSError) else None
        said = os.strerror(number) if number and number > 0 else str(error)  # the event loop words it for programmers
        self._last_error = said.lower() or type(error).__name__

    async def stop(self) -> None:
        """Take no more work, finish what is in hand, close the connection."""
        await self.service.stop()
        await self.app.stop()
        log.info("service.stopped", service=self.service.name)

    async def _reconnected(self) -> None:
        log.warning("nats.reconnected", service=self.service.name)
        await self.service.reconnected()


async def _ended(*tasks: asyncio.Task[Any]) -> None:
    """Cancel those of `tasks` that are not over, and wait until they are."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def calm_collector() -> None:
    """Let Python look for cycles seldom: what a service folds stays, and walking it took a third of a long restore."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


async def serve(builds: Sequence[Build], settings: Settings, *, ready: Callable[[], None] | None = None) -> None:
    """Run services in this process until SIGTERM or SIGINT, then drain them, the last one started first."""
    calm_collector()
    await check_durable(settings)
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    async with contextlib.AsyncExitStack() as stack:
        for build in builds:
            running = Running(build, settings)
            if not await running.started(asked):  # its stop is not due: it has nothing to drain
                return
            stack.push_async_callback(running.stop)
        if ready is not None:
            ready()
        await asked.wait()
        log.info("service.draining")
