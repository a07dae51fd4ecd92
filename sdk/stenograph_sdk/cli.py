"""`stenograph-worker FILE.py …`: serve the tools that Python files define, and those of MCP servers.

    # tools.py
    from stenograph_sdk import tool

    @tool("get-user-account", retry="safe")
    async def get_user_account(userId: str) -> dict[str, str]:
        return {"plan": "pro"}

    $ stenograph-worker tools.py --nats-url nats://127.0.0.1:4222
    $ stenograph-worker tools.py --reload             # a new process whenever a Python file beside it changes
    $ stenograph-worker tools.py --list               # what it would serve, with its parameters
    $ stenograph-worker --mcp 'npx some-server' --only read_file --safe read_file

Every `Tool` among a file's names is served, and every `Lifespan` is opened. SIGTERM and Ctrl-C finish what runs, then
end.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec

from stenograph_events.errors import EventError
from stenograph_sdk import logs, options
from stenograph_sdk.errors import StenographSdkError
from stenograph_sdk.listing import listed, pages, pages_of
from stenograph_sdk.loading import load
from stenograph_sdk.mcp_link import Link, needs_mcp
from stenograph_sdk.mcp_pins import Pins
from stenograph_sdk.mcp_tools import McpTools
from stenograph_sdk.reloading import serve_again_and_again
from stenograph_sdk.worker import Worker

INTERRUPTED = 130  # as a shell says that a Ctrl-C ended a program


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until stopped and return the exit code: 0, or 1 after one line that says what is wrong."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    wanted = options.parsed(given)
    logs.configure(as_json=wanted.log_json, verbose=wanted.verbose)
    try:
        if wanted.reload:
            return serve_again_and_again([one for one in given if one != "--reload"], wanted.files)
        asyncio.run(_list(wanted) if wanted.list else _serve(wanted))
    except (StenographSdkError, EventError) as error:
        print(f"stenograph-worker: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # before the worker listens for it itself
        return INTERRUPTED
    return 0


async def _serve(wanted: argparse.Namespace) -> None:
    found = load(wanted.files)
    worker = Worker(
        wanted.nats_url,
        wanted.credentials,
        wanted.tenant,
        wanted.name,
        wanted.concurrency,
        lifespan=found.lifespans,
        inbox_prefix=wanted.inbox_prefix,
        signers=wanted.signers.split(",") if wanted.signers else (),
        ca=wanted.ca,
        identity=wanted.identity,
    )
    worker.add(*found.tools)
    async with _mcp(wanted, pinned=True) as servers:
        for server in servers:
            worker.add(*server.tools)
        await worker.run()


async def _list(wanted: argparse.Namespace) -> None:
    tools = load(wanted.files).tools
    async with _mcp(wanted, pinned=False) as servers:
        if wanted.json:
            print(msgspec.json.encode(listed(tools, servers)).decode())
            return
        lines = [*pages(tools), *(line for server in servers for line in pages_of(server))]
        print("\n".join(lines))


@asynccontextmanager
async def _mcp(wanted: argparse.Namespace, *, pinned: bool) -> AsyncIterator[list[McpTools]]:
    """Connect to the MCP servers, and yield what of theirs is to be served."""
    async with AsyncExitStack() as stack:
        found: list[McpTools] = []
        for server in options.servers(wanted):
            needs_mcp(server)
            link = await stack.enter_async_context(Link(server, verbose=wanted.verbose))
            pins = Pins(wanted.pins, server.name, wanted.accept) if pinned else None
            found.append(McpTools(link, options.choice(wanted), pins))
        yield found


if __name__ == "__main__":
    sys.exit(main())
