"""A connection to an MCP server that comes back: a process is started again, an address asked again, with back-off.

    async with Link(Server(command=("npx", "some-server"))) as link:
        link.tools                                        what the server offers, looked at every few seconds
        await link.call("read_file", {"path": "a"}, …)

A call whose connection is lost may have run or not: one that may run again waits for the connection and is sent anew,
of any other the outcome is unknown. Needs the package mcp, the extra `[mcp]`; nothing of it is imported before.
"""

import asyncio
import logging
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TextIO
from urllib.parse import urlsplit

from stenograph_sdk.errors import McpUnavailable, OutcomeUnknown, ToolBroken, ToolError
from stenograph_sdk.storing import pauses

if TYPE_CHECKING:
    from mcp import Client
    from mcp.client._transport import Transport
    from mcp.shared.dispatcher import ProgressFnT
    from mcp_types import CallToolResult
    from mcp_types import Tool as McpTool

log = logging.getLogger("stenograph_sdk")

CONNECT_SECONDS = 30.0  # a process that a package runner fetches first takes that long
LOOK_SECONDS = 10.0  # a changed list of tools is noticed after this, where the server does not tell
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0
HTTP_TIMEOUTS = (30.0, 300.0, 30.0, 30.0)  # connect, read, write, pool: a stream is silent while a tool runs
CLOSED = "Connection closed"  # the words of the package, in an error of its own
MARGIN_SECONDS = 0.5  # before the deadline: an answer that nothing ran must still arrive


class Server(NamedTuple):
    """Where an MCP server is: a command that speaks over its standard input and output, or an address."""

    command: tuple[str, ...] = ()
    url: str = ""
    env: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}

    @property
    def name(self) -> str:
        """What logs and pins call it: the command, or the address without a user, a password or a query."""
        if self.command:
            return shlex.join(self.command)
        parts = urlsplit(self.url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()

    @property
    def in_clear(self) -> bool:
        """Whether what is sent there leaves this machine without TLS."""
        parts = urlsplit(self.url)
        return parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "::1", "localhost")


class Link:
    """A server's tools, as long as it is entered. `on_tools` hears of each look at the list."""

    def __init__(self, server: Server, *, verbose: bool = False) -> None:
        self.server = server
        self.tools: Sequence[McpTool] = ()
        self.on_tools: Callable[[Sequence[McpTool]], None] = lambda tools: None
        self._verbose = verbose
        self._client: Client | None = None
        self._connected = asyncio.Event()
        self._look_now = asyncio.Event()
        self._closing = False

    async def __aenter__(self) -> Self:
        """Connect. Raises `McpUnavailable` if that fails the first time; later on it is tried again for ever."""
        first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.server.headers and self.server.in_clear:
            log.warning("mcp.headers_in_clear server=%s: anybody on the way can read them", self.server.name)
        self._task = asyncio.create_task(self._keep(first), name="mcp")
        try:
            await first
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def call(
        self,
        tool: str,
        arguments: dict[str, Any],
        deadline_at: datetime,
        *,
        again: bool,
        progress: "ProgressFnT | None" = None,
    ) -> "CallToolResult":
        """Return what the server answers. `again`: a call whose connection is lost may be sent once more.

        `progress` hears what the server says meanwhile of how far it is.

        Raises `ToolError` for what the server refuses, `ToolBroken` where it was not there in time; `OutcomeUnknown`.
        """
        from mcp import MCPError

        while True:
            client = await self._there(deadline_at)
            try:
                async with asyncio.timeout((deadline_at - datetime.now(UTC)).total_seconds()):
                    return await client.call_tool(tool, arguments, progress_callback=progress)
            except MCPError as error:
                if error.message != CLOSED:  # its code is also one that servers may use for anything
                    raise ToolError(error.message) from error
                self._lost(client)
                if not again:
                    raise OutcomeUnknown(f"the connection to the MCP server was lost in a call of {tool}") from error
            except TimeoutError as error:
                raise OutcomeUnknown(f"the MCP server did not answer a call of {tool} by its deadline") from error

    async def _there(self, deadline_at: datetime) -> "Client":
        try:
            async with asyncio.timeout((deadline_at - datetime.now(UTC)).total_seconds() - MARGIN_SECONDS):
                while self._client is None:
                    await self._connected.wait()
                return self._client
        except TimeoutError as error:
            raise ToolBroken("the MCP server was not there in time: the call did not run") from error

    def _lost(self, client: "Client") -> None:
        if self._client is client:
            self._client = None
            self._connected.clear()
            self._look_now.set()

    # ---- the connection, in a task of its own: what is opened here may only be closed here

    async def _keep(self, first: "asyncio.Future[None]") -> None:
        waits = pauses(FIRST_PAUSE, LONGEST_PAUSE)
        while True:
            error: BaseException | None = None
            began = time.monotonic()
            try:
                await self._connect_and_look(first)
            except BaseException as raised:
                if self._closing or isinstance(raised, KeyboardInterrupt | SystemExit):
                    raise
                error = raised
            if time.monotonic() - began > LONGEST_PAUSE:  # one that dies whenever it is asked gets longer pauses
                waits = pauses(FIRST_PAUSE, LONGEST_PAUSE)
            self._client = None
            self._connected.clear()
            if not first.done():
                first.set_exception(McpUnavailable(self.server.name, _reason(error, self._verbose)))
                return
            log.warning("mcp.connection_lost server=%s error=%s", self.server.name, _kind(error))
            await asyncio.sleep(next(waits))

    async def _connect_and_look(self, first: "asyncio.Future[None]") -> None:
        from mcp import Client

        async with AsyncExitStack() as stack:
            async with asyncio.timeout(CONNECT_SECONDS):
                transport = await self._transport(stack)
                client = await stack.enter_async_context(Client(transport, message_handler=self._hear))
                await self._look(client)
            told = asyncio.create_task(self._listen(client))
            stack.callback(told.cancel)
            self._client = client
            self._connected.set()
            if not first.done():
                first.set_result(None)
            else:
                log.info("mcp.connection_restored server=%s", self.server.name)
            while self._client is client:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._look_now.wait(), LOOK_SECONDS)
                self._look_now.clear()
                if self._client is client:
                    await self._look_again(client)

    async def _transport(self, stack: AsyncExitStack) -> "Transport":
        from mcp import StdioServerParameters
        from mcp.client.stdio import stdio_client
        from mcp.client.streamable_http import streamable_http_client

        if self.server.command:
            command, *arguments = self.server.command
            started = StdioServerParameters(command=command, args=arguments, env=dict(self.server.env))
            said = sys.stderr if self._verbose else stack.enter_context(_nowhere())
            return stdio_client(started, errlog=said)
        import httpx2

        given = httpx2.AsyncClient(headers=dict(self.server.headers), timeout=HTTP_TIMEOUTS)
        client = await stack.enter_async_context(given)
        return streamable_http_client(self.server.url, http_client=client)

    async def _look(self, client: "Client") -> None:
        tools: list[McpTool] = []
        cursor: str | None = None
        while True:
            page = await client.list_tools(cursor=cursor, cache_mode="bypass")
            tools += page.tools
            cursor = page.next_cursor
            if not cursor:
                break
        self.tools = tuple(tools)
        self.on_tools(self.tools)

    async def _look_again(self, client: "Client") -> None:
        with suppress(TimeoutError):  # it may be busy with a call: whoever waits for that has a deadline
            async with asyncio.timeout(LOOK_SECONDS):
                await self._look(client)

    async def _listen(self, client: "Client") -> None:
        """Look as soon as the server says that its tools changed, or that it ends."""
        from mcp import MCPError
        from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost

        with suppress(ListenNotSupportedError, SubscriptionLost, MCPError, TimeoutError):
            async with client.listen(tools_list_changed=True) as changes:
                async for _ in changes:
                    self._look_now.set()
        self._look_now.set()

    async def _hear(self, message: object) -> None:
        if type(message).__name__ == "ToolListChangedNotification":
            self._look_now.set()

    async def _close(self) -> None:
        self._closing = True
        self._task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await self._task


@contextmanager
def _nowhere() -> Iterator[TextIO]:
    with Path(os.devnull).open("w") as nowhere:
        yield nowhere


def needs_mcp(server: Server) -> None:
    """Raise `McpUnavailable` if the package mcp is not installed."""
    try:
        import mcp  # noqa: F401
    except ImportError as error:
        raise McpUnavailable(server.name, "it needs the package mcp: pip install 'stenograph-sdk[mcp]'") from error


def _kind(error: BaseException | None) -> str:
    return type(_first(error)).__name__ if error is not None else "closed"


def _reason(error: BaseException | None, verbose: bool) -> str:
    first = _first(error)
    if isinstance(first, TimeoutError):
        return f"it did not answer within {CONNECT_SECONDS:g} s"
    hint = "" if verbose else "; --verbose shows what it writes"
    if first is None or CLOSED in str(first):
        return f"it ended before it answered{hint}"
    return str(first) or type(first).__name__


def _first(error: BaseException | None) -> BaseException | None:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
