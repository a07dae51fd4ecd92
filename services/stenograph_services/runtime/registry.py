"""The registry of tools that workers serve: the bucket TOOLREG, written by tool gateways, watched by orchestrators too.

TOOLREG <tenant>.<tool>     {"tool":"get-user-account","retry":"safe","worker":"w-1","at":"2026-11-22T10:00:00Z",…}
                            …,"breaker":{"failures":5,"opened_at":"…","until":"…"}}     while the tool is not asked

An entry has no end of its own: calls wait for a worker that is away, however long a deploy takes. It goes when an
operator says that no worker is to come back, `stenograph tools retire`; from then on the tool is the clients'.

Tool gateways write an entry only as they read it last (compare and set): each keeps what the other ones wrote.
"""

import asyncio
import base64
import contextlib
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

import msgspec
import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.kv import KeyValue

from stenograph_events.subjects import bucket_subject, tool_key, tools_filter
from stenograph_events.values import Retry
from stenograph_services.runtime.batches import BatchReader
from stenograph_services.runtime.breaker import Breaker
from stenograph_services.runtime.jetstream import NOT_FOUND, WRONG_LAST_SEQUENCE, JetStreamError, api, publish

log = structlog.get_logger()


BUCKET, STREAM = "TOOLREG", "KV_TOOLREG"
NONE_BROKEN: Mapping[str, Breaker] = {}


class ToolEntry(msgspec.Struct, frozen=True):
    """A tool as its last worker registered it, `at` which time, to the minute; its `breaker`, while it has one."""

    tool: str
    retry: Retry
    worker: str
    at: datetime
    parameters: dict[str, Any] | None = None
    description: str = ""
    result: dict[str, Any] | None = None
    seal_to: str | None = None
    breaker: Breaker | None = None


_entry = msgspec.json.Decoder(ToolEntry)


class ToolRegistry:
    """What workers offer, by tenant and tool. `offered` is called with both whenever one does."""

    def __init__(self, nc: Client, offered: Callable[[str, str], None] = lambda *_: None) -> None:
        self._offered = offered
        self._nc = nc
        self._js = nc.jetstream()
        self._bucket: KeyValue | None = None
        self._batches = BatchReader(nc)
        self._retry: dict[str, dict[str, Retry]] = {}
        self._keyed: dict[str, set[str]] = {}
        self._entries: dict[tuple[str, str], ToolEntry] = {}
        self._broken: dict[str, dict[str, Breaker]] = {}
        self._watch: asyncio.Task[None] | None = None

    def retries(self, tenant: str) -> dict[str, Retry]:
        """Return, for each tool that workers of `tenant` serve, whether a call may run again."""
        return self._retry.get(tenant, {})

    def keyed(self, tenant: str) -> Collection[str]:
        """Return the tools of `tenant` whose workers gave a key to seal to."""
        return self._keyed.get(tenant, ())

    def entry(self, tenant: str, tool: str) -> ToolEntry | None:
        """Return what workers registered `tool` as, None if none did."""
        return self._entries.get((tenant, tool))

    def broken(self, tenant: str) -> Mapping[str, Breaker]:
        """Return the breakers of the tools of `tenant` that have one."""
        return self._broken.get(tenant, NONE_BROKEN)

    def seal_to(self, tenant: str, tool: str) -> str | None:
        """Return the public key that requests for `tool` are sealed to, None if its workers gave none."""
        entry = self._entries.get((tenant, tool))
        return entry.seal_to if entry else None

    async def all(self, tenant: str) -> list[ToolEntry]:
        """Return every tool of `tenant`, by name, read now."""
        found = await self._batches.read_last(STREAM, [bucket_subject(BUCKET, tools_filter(tenant))])
        return [_entry.decode(found[subject]) for subject in sorted(found) if found[subject]]

    async def retire(self, tenant: str, tool: str) -> None:
        """Record that no worker serves a tool any more; the next one that registers it serves it again."""
        await (await self._open()).delete(tool_key(tenant, tool))

    async def put(self, tenant: str, entry: ToolEntry) -> None:
        """Record that a worker serves a tool, whatever was recorded of it."""
        await (await self._open()).put(tool_key(tenant, entry.tool), msgspec.json.encode(entry))

    async def change(
        self, tenant: str, tool: str, changed: Callable[[ToolEntry | None], ToolEntry | None]
    ) -> ToolEntry | None:
        """Record what `changed` makes of the entry as it is now, None if there is none; return what was recorded.

        Where another process was first, `changed` is asked again. Nothing is recorded, and None returned, where it
        returns None or what it was given.
        """
        subject = bucket_subject(BUCKET, tool_key(tenant, tool))
        while True:
            known, revision = await self._newest(subject)
            entry = changed(known)
            if entry is None or entry == known:
                return None
            try:
                fence = {"Nats-Expected-Last-Subject-Sequence": str(revision)}
                await publish(self._nc, subject, msgspec.json.encode(entry), fence)
                return entry
            except JetStreamError as error:
                if error.code not in WRONG_LAST_SEQUENCE:
                    raise

    async def start(self) -> None:
        """Keep `retries` and `entry` up to date from now on; return once they hold what is registered."""
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
                    self._heard(tenant, tool, update.value)
            log.warning("registry.watch_ended")
            await asyncio.sleep(1)

    def _heard(self, tenant: str, tool: str, value: bytes | None) -> None:
        if value:
            entry = self._entries[tenant, tool] = _entry.decode(value)
            self._retry.setdefault(tenant, {})[tool] = entry.retry
            keyed = self._keyed.setdefault(tenant, set())
            (keyed.add if entry.seal_to else keyed.discard)(tool)
            self._heard_of_breaker(tenant, tool, entry.breaker)
            self._offered(tenant, tool)
        else:
            self._heard_of_breaker(tenant, tool, None)
            self._entries.pop((tenant, tool), None)
            self._retry.get(tenant, {}).pop(tool, None)
            self._keyed.get(tenant, set()).discard(tool)

    async def _newest(self, subject: str) -> tuple[ToolEntry | None, int]:
        """Return an entry and its revision on the leader's word: another reading could lag behind our own write."""
        try:
            found = (await api(self._nc, f"STREAM.MSG.GET.{STREAM}", {"last_by_subj": subject}))["message"]
        except JetStreamError as error:
            if error.code not in NOT_FOUND:
                raise
            return None, 0
        data = base64.b64decode(found.get("data", ""))  # none: it was deleted
        return (_entry.decode(data) if data else None), found["seq"]

    def _heard_of_breaker(self, tenant: str, tool: str, breaker: Breaker | None) -> None:
        if breaker is not None:
            self._broken.setdefault(tenant, {})[tool] = breaker
        elif tenant in self._broken:
            self._broken[tenant].pop(tool, None)

    async def _open(self) -> KeyValue:
        if self._bucket is None:
            self._bucket = await self._js.key_value(BUCKET)
        return self._bucket
