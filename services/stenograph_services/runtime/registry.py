"""The registry of tools that workers serve: the bucket TOOLREG, written by the tool gateway, watched by orchestrators.

TOOLREG <tenant>.<tool>     {"tool":"get-user-account","retry":"safe","worker":"w-1","at":"2026-11-22T10:00:00Z",…}
"""

import asyncio
import contextlib
from datetime import datetime
from typing import Any

import msgspec
import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.kv import KeyValue

from stenograph_events.subjects import tool_key
from stenograph_events.values import Retry

log = structlog.get_logger()


class ToolEntry(msgspec.Struct, frozen=True):
    """A tool as its last worker registered it."""

    tool: str
    retry: Retry
    worker: str
    at: datetime
    parameters: dict[str, Any] | None = None


class ToolRegistry:
    """What workers offer, by tenant and tool."""

    def __init__(self, nc: Client) -> None:
        self._js = nc.jetstream()
        self._bucket: KeyValue | None = None
        self._retry: dict[str, dict[str, Retry]] = {}
        self._watch: asyncio.Task[None] | None = None

    def retries(self, tenant: str) -> dict[str, Retry]:
        """Return, for each tool that workers of `tenant` serve, whether a call may run again."""
        return self._retry.get(tenant, {})

    async def put(self, tenant: str, entry: ToolEntry) -> None:
        """Record that a worker serves a tool."""
        await (await self._open()).put(tool_key(tenant, entry.tool), msgspec.json.encode(entry))

    async def start(self) -> None:
        """Keep `retries` up to date from now on; return once it holds what is registered."""
        loaded = asyncio.Event()
        self._watch = asyncio.create_task(self._follow(loaded), name="watch TOOLREG")
        await asyncio.wait_for(loaded.wait(), 10)

    async def stop(self) -> None:
        if self._watch is not None:
            self._watch.cancel()

    async def _follow(self, loaded: asyncio.Event) -> None:
        while True:
            with contextlib.suppress(NatsError):
                watcher = await (await self._open()).watchall()
                async for update in watcher:
                    if update is None:
                        loaded.set()
                        continue
                    tenant, _, tool = update.key.partition(".")
                    if update.value:
                        entry = msgspec.json.decode(update.value, type=ToolEntry)
                        self._retry.setdefault(tenant, {})[tool] = entry.retry
                    else:
                        self._retry.get(tenant, {}).pop(tool, None)
            log.warning("registry.watch_ended")
            await asyncio.sleep(1)

    async def _open(self) -> KeyValue:
        if self._bucket is None:
            self._bucket = await self._js.key_value("TOOLREG")
        return self._bucket
