"""Atomic batch publish (ADR-50) and batched direct reads (ADR-31), which nats-py does not have.

A direct read answers one request with many messages; a status message ends it and says how many more there are.
"""

import asyncio
import itertools
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import TimeoutError as NatsTimeout

from stenograph_sdk.line import Line
from stenograph_services.runtime.jetstream import JetStreamError, publish

_READ_TIMEOUT_SECONDS = 5.0


async def publish_batch(nc: Client, messages: Sequence[tuple[str, bytes, dict[str, str]]]) -> int:
    """Store all of (subject, body, headers) or none, at most 1,000; return the sequence of the last one."""
    batch = uuid.uuid4().hex
    last = len(messages)
    for i, (subject, data, headers) in enumerate(messages, 1):
        tagged = headers | {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(i)}
        if i < last:
            await nc.publish(subject, data, headers=tagged)
        else:
            return (await publish(nc, subject, data, tagged | {"Nats-Batch-Commit": "1"})).seq
    raise ValueError("a batch holds at least one message")


class _Read:
    """One read in flight: what came so far."""

    def __init__(self) -> None:
        self.messages: list[tuple[int, str, bytes]] = []
        self.more = False
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class BatchReader:
    """Reads by direct get over one inbox subscription, shared by all reads of this process."""

    def __init__(self, nc: Client) -> None:
        self._nc = nc
        self._inbox = nc.new_inbox()
        self._reads: dict[str, _Read] = {}
        self._tokens = itertools.count()
        self._subscribed: asyncio.Task[Any] | None = None
        if isinstance(nc, Line):
            nc.on_lost.add(self)

    def lost(self) -> None:
        """The connection is lost: what was read over it is not answered any more."""
        for read in self._reads.values():
            if not read.done.done():
                read.done.set_exception(NatsTimeout())

    async def read(
        self, stream: str, subject: str, start: int, batch: int, *, since: datetime | None = None
    ) -> tuple[list[tuple[int, str, bytes]], bool]:
        """Return up to `batch` (sequence, subject, body) from sequence `start` on, and whether there are more.

        With `since` from what was stored then, instead. May be answered by a follower, which may not know the newest
        yet. Raises `nats.errors.TimeoutError`.
        """
        begin: dict[str, Any] = {"seq": start} if since is None else {"start_time": since.isoformat()}
        return await self._ask(stream, begin | {"next_by_subj": subject, "batch": batch})

    async def read_last(self, stream: str, subjects: Sequence[str]) -> dict[str, bytes]:
        """Return the last message of each of `subjects`, at most 1,024, that has one."""
        messages, _ = await self._ask(stream, {"multi_last": list(subjects), "batch": 1024})
        return {subject: data for _, subject, data in messages}

    async def _ask(self, stream: str, request: dict[str, Any]) -> tuple[list[tuple[int, str, bytes]], bool]:
        await self._subscribe()
        token = str(next(self._tokens))
        read = self._reads[token] = _Read()
        try:
            await self._nc.publish(
                f"$JS.API.DIRECT.GET.{stream}", msgspec.json.encode(request), f"{self._inbox}.{token}"
            )
            await asyncio.wait_for(read.done, _READ_TIMEOUT_SECONDS)
        except TimeoutError:
            raise NatsTimeout from None
        finally:
            del self._reads[token]
        return read.messages, read.more

    async def _subscribe(self) -> None:
        if self._subscribed is None:
            self._subscribed = asyncio.ensure_future(
                self._nc.subscribe(f"{self._inbox}.*", cb=self._received, pending_msgs_limit=0, pending_bytes_limit=0)
            )
        await asyncio.shield(self._subscribed)

    async def _received(self, message: Msg) -> None:
        read = self._reads.get(message.subject.rpartition(".")[2])
        if read is None or read.done.done():
            return
        headers = message.headers or {}
        if sequence := headers.get("Nats-Sequence"):
            read.messages.append((int(sequence), headers.get("Nats-Subject", ""), message.data))
            return
        match headers.get("Status"):
            case "204":
                read.more = headers.get("Nats-Num-Pending", "0") != "0"
                read.done.set_result(None)
            case "404":
                read.done.set_result(None)
            case status:
                description = headers.get("Description", "no such stream")
                read.done.set_exception(JetStreamError(int(status or 0), description, "direct get"))
