"""A worker: a process of yours that serves tools, over one outbound connection.

from stenograph_sdk import Worker

worker = Worker("nats://127.0.0.1:4222", credentials="acme.creds")

@worker.tool("get-user-account", retry="safe")
async def get_user_account(userId: str) -> dict[str, str]:
    return {"plan": "pro"}

asyncio.run(worker.run())
"""

import asyncio
import logging
import re
import signal
import socket
import uuid
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, TypeVar

from stenograph_events import DEFAULT_TENANT, checked_id
from stenograph_events.values import Retry
from stenograph_sdk.calls import Calls
from stenograph_sdk.connection import INBOX_PREFIX, Connection, connect
from stenograph_sdk.credentials import Identity
from stenograph_sdk.errors import ConnectionLost, NoTools, ToolDefinitionError
from stenograph_sdk.lifespan import Lifespan, lifespans, open_all
from stenograph_sdk.serving import Room, Serving
from stenograph_sdk.tools import Tool
from stenograph_sdk.verifying import Verifier

log = logging.getLogger("stenograph_sdk")

AGAIN_SECONDS = 0.2  # until what does not end is cancelled once more

F = TypeVar("F", bound=Callable[..., Any])


class Worker:
    """Serves tools until it is stopped.

    `credentials` is the path of a NATS credentials file, which says the tenant, the inboxes and the platform's keys as
    well, and whose key signs the answers. Behind a leaf node `identity` is such a file, the leaf node's own: it says
    and signs the same, and nobody connects with it; `tenant`, `inbox_prefix` and `signers` stand over what a file says.
    `ca` is the path of the certificates to trust instead of the system's. `name` says in the log who answered;
    `concurrency` bounds the calls that run at once, of all tools together. A request that arrives while all are busy
    waits here, un-acked. Only requests that the platform signed are run, if its keys are named; `verify=False` believes
    every request. `lifespan`, one or several, opens what handlers need: see `stenograph_sdk.lifespan`.
    """

    def __init__(
        self,
        url: str,
        credentials: str | Path | None = None,
        tenant: str | None = None,
        name: str | None = None,
        concurrency: int = 16,
        *,
        lifespan: Lifespan | Callable[[], Any] | Sequence[Lifespan | Callable[[], Any]] = (),
        inbox_prefix: str | None = None,
        verify: bool = True,
        signers: Sequence[str] = (),
        ca: str | Path | None = None,
        identity: str | Path | None = None,
    ) -> None:
        self.url = url
        self.name = checked_id(name or default_name(), "worker")
        self.serving = asyncio.Event()
        """Set when every tool is registered and pulled."""
        self.connection: Connection | None = None
        """The connection, while `run` has one."""
        self._credentials = credentials
        self._identity = Identity(identity or credentials)
        said = self._identity.said
        self._tenant = checked_id(tenant or said.tenant or DEFAULT_TENANT, "tenant")
        self._concurrency = concurrency
        self._ca = ca
        self._inbox_prefix = inbox_prefix or said.inbox_prefix or INBOX_PREFIX
        self._verify = verify
        self._given_signers = tuple(signers)
        self._lifespans = lifespans(lifespan)
        self._tools: dict[str, Tool] = {}
        self._stop = asyncio.Event()

    def tool(
        self,
        name: str,
        *,
        retry: Retry = "never",
        parameters: dict[str, Any] | None = None,
        concurrency: int | None = None,
    ) -> Callable[[F], F]:
        """Serve the decorated function, which stays as it is, under `name`. See `stenograph_sdk.tool`."""

        def served(function: F) -> F:
            self.add(Tool(name, function, retry=retry, parameters=parameters, concurrency=concurrency))
            return function

        return served

    def add(self, *tools: Tool) -> None:
        """Serve `tools`. Raises `ToolDefinitionError` for a name that is taken."""
        for tool in tools:
            if tool.name in self._tools:
                raise ToolDefinitionError(tool.name, "this worker has two tools of this name")
            self._tools[tool.name] = tool

    @property
    def tools(self) -> tuple[Tool, ...]:
        return tuple(self._tools.values())

    def stop(self) -> None:
        """Stop gracefully: pull no more, give back what has not begun, finish and answer what runs."""
        self._stop.set()

    async def run(self, *, signals: bool = True) -> None:
        """Serve until `stop`, or, with `signals`, until SIGTERM or SIGINT; a second signal acts as it always does.

        Waits for the server and the tool gateway as long as it takes, and outlives their restarts. Raises `NoTools`,
        `CannotConnect` for refused credentials, `LifespanFailed`, `Refused` for a tool that the gateway does not take,
        `ConnectionLost` when the server throws the worker out, `CredentialRevoked` or `CredentialExpired` if that is
        why: calls that run then are cancelled. A credentials file that is renewed in time is used without losing one.
        """
        if not self._tools:
            raise NoTools(f"worker {self.name} has no tools: decorate functions with @worker.tool(…)")
        if not self._lifespans:
            self._given([])
        with stopped_by_signals(self.stop) if signals else nullcontext():
            self.connection = connection = await self._connect()
            if connection is None:
                return
            try:
                async with open_all(self._lifespans, self._stop) as values:
                    if values is not None:
                        await self._serve(connection, self._given(values))
            finally:
                await connection.close()

    async def _connect(self) -> Connection | None:
        """Return the connection, or None if the worker is stopped before there is one."""
        connecting = asyncio.create_task(
            connect(
                self.url,
                credentials=self._credentials,
                name=self.name,
                inbox_prefix=self._inbox_prefix,
                timeout=None,
                ca=self._ca,
            )
        )
        await first_of(connecting, self._stop.wait())
        return connecting.result() if not connecting.cancelled() else None

    def _given(self, values: Sequence[Any]) -> list[Tool]:
        return [tool.given(values) for tool in self.tools]

    async def _serve(self, connection: Connection, tools: list[Tool]) -> None:
        if not self._trusted():
            why = "the credentials name no key of the platform" if self._verify else "verify=False"
            log.warning("worker.unverified worker=%s reason=%s: it runs what anybody asks for", self.name, why)
        threads = ThreadPoolExecutor(self._concurrency, thread_name_prefix="tool")
        room = Room(self._concurrency)
        room.tools = [self._serving(connection, tool, room, threads) for tool in tools]
        beside = [asyncio.create_task(serving.keep_alive()) for serving in room.tools]
        beside.append(asyncio.create_task(self._say_ready(room)))
        connection.on_reconnect.update(serving.check_registration for serving in room.tools)
        connection.before_renewal.update(serving.pull.end for serving in room.tools)
        try:
            await first_of(*(serving.serve() for serving in room.tools), lost(connection), self._stop.wait())
        except ConnectionLost as error:
            lost_by = connection.fate()
            await asyncio.gather(*(serving.abandon(lost_by) for serving in room.tools))
            raise lost_by from error
        finally:
            self.serving.clear()
            if not connection.nats.is_closed:
                await asyncio.gather(*(serving.stop() for serving in room.tools))
            for task in beside:
                task.cancel()
            threads.shutdown(wait=False, cancel_futures=True)

    def _serving(self, connection: Connection, tool: Tool, room: Room, threads: ThreadPoolExecutor) -> Serving:
        calls = Calls(connection.jetstream, tool, self.name, threads, self._identity, publish=connection.say)
        verifier = Verifier(self._tenant, tool.name, self._trusted)
        return Serving(connection, tool, calls, room, self._tenant, self.name, verifier, self._identity)

    def _trusted(self) -> Sequence[str]:
        """Return the public keys whose requests are run, none if any request is."""
        return (self._given_signers or self._identity.said.signers) if self._verify else ()

    async def _say_ready(self, room: Room) -> None:
        for serving in room.tools:
            await serving.registered.wait()
        self.serving.set()
        log.info("worker.serving worker=%s tools=%s", self.name, ",".join(self._tools))


async def lost(connection: Connection) -> None:
    """Raise `ConnectionLost` when `connection` is closed for good."""
    closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    connection.on_close.add(lambda error: None if closed.done() else closed.set_exception(error))
    await closed


async def first_of(*work: Coroutine[Any, Any, Any] | asyncio.Task[Any]) -> None:
    """Return when one of `work` ends, or raise what it raised; the others are cancelled."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        left = {task for task in tasks if not task.done()}
        while left:  # Python 3.11's `wait_for` forgets that it is cancelled when what it waits for comes right then
            for task in left:
                task.cancel()
            _, left = await asyncio.wait(left, timeout=AGAIN_SECONDS)
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at the first SIGTERM or SIGINT. Only the main thread of a process hears signals."""
    loop = asyncio.get_running_loop()
    heard = (signal.SIGTERM, signal.SIGINT)

    def restore() -> None:
        for number in heard:
            with suppress(RuntimeError, ValueError, NotImplementedError):
                loop.remove_signal_handler(number)

    def first() -> None:
        restore()
        stop()

    for number in heard:
        with suppress(RuntimeError, ValueError, NotImplementedError):
            loop.add_signal_handler(number, first)
    try:
        yield
    finally:
        restore()


def default_name() -> str:
    """Return a name that is this process's own: the host's, and a random end."""
    host = re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname())[:50] or "worker"
    return f"{host}-{uuid.uuid4().hex[:8]}"
