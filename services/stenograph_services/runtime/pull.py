"""The pull consumer: one request stands at the server, so that a message that arrives costs no round trip.

It notices when the server falls silent or the consumer is gone, and brings both back.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from stenograph_services.runtime.jetstream import JetStreamError

_NANOSECONDS = 1_000_000_000

log = structlog.get_logger()


class PullConsumer:
    """A durable consumer that is pulled with a standing request, at most `limit` messages in hand at a time.

    `handle` is called for each message, in the order of delivery, and must not wait: it starts a task or queues the
    message, and calls `done()` when the message needs no room any more.
    """

    def __init__(
        self,
        nc: Client,
        stream: str,
        durable: str,
        handle: Callable[[Msg], None],
        *,
        limit: int,
        restore: Callable[[], Awaitable[None]],
    ) -> None:
        self.stream = stream
        self.durable = durable
        self.in_hand = 0
        self._nc = nc
        self._handle = handle
        self._limit = limit
        self._restore = restore
        self._asked = 0
        self._heard = 0.0
        self._inbox = nc.new_inbox()
        self._lost = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._subscription: Any = None

    async def start(self) -> None:
        self._subscription = await self._nc.subscribe(
            self._inbox, cb=self._received, pending_msgs_limit=0, pending_bytes_limit=0
        )
        await self._ask()
        self._tasks.add(asyncio.create_task(self._watch(), name=f"watch {self.durable}"))

    async def stop(self) -> None:
        """Take no more messages. Those in hand stay the caller's to finish."""
        for task in tuple(self._tasks):
            task.cancel()
        if self._subscription is not None:
            with contextlib.suppress(NatsError):
                await self._subscription.unsubscribe()
            self._subscription = None

    def done(self) -> None:
        """Give back the room of one message."""
        self.in_hand -= 1
        log.debug("delivery.settled", consumer=self.durable)
        enough = self._limit - self.in_hand >= max(1, self._limit // 4)  # one request for many, not one for each
        if enough and not self._asked and self._subscription is not None and not self._lost:
            self._asked = self._limit - self.in_hand
            task = asyncio.create_task(self._ask())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask(self) -> None:
        """Leave one request at the server for all the room there is."""
        room = self._asked = max(0, self._limit - self.in_hand)
        if not room:
            return
        self._heard = asyncio.get_running_loop().time()
        request = {"batch": room, "expires": 30 * _NANOSECONDS, "idle_heartbeat": 2 * _NANOSECONDS}
        with contextlib.suppress(NatsError):  # the watch asks again once there is a connection
            await self._nc.publish(
                f"$JS.API.CONSUMER.MSG.NEXT.{self.stream}.{self.durable}", msgspec.json.encode(request), self._inbox
            )

    async def _received(self, message: Msg) -> None:
        self._heard = asyncio.get_running_loop().time()
        if not message.reply and message.headers and (status := message.headers.get("Status")):
            await self._status(status, message.headers)
            return
        self.in_hand += 1
        self._asked -= 1
        log.debug("delivery.taken", consumer=self.durable)
        self._handle(message)
        if self._asked <= 0:
            await self._ask()

    async def _status(self, status: str, headers: dict[str, str]) -> None:
        if status == "100":
            return
        if status == "408" or (status == "409" and "Deleted" not in headers.get("Description", "")):
            await self._ask()
        else:
            self._lost = True

    async def _watch(self) -> None:
        """Ask again when the server fell silent, and bring the consumer back when it is gone."""
        while True:
            await asyncio.sleep(1.0)
            silent = asyncio.get_running_loop().time() - self._heard
            if not self._lost and (silent < 5.0 or self._asked <= 0):
                continue
            if not self._nc.is_connected:
                continue
            try:
                await self._restore()
            except (JetStreamError, NatsError) as error:
                log.warning("consumer.unreachable", stream=self.stream, consumer=self.durable, error=str(error))
                continue
            if self._lost:
                log.warning("consumer.restored", stream=self.stream, consumer=self.durable)
            self._lost = False
            await self._ask()

    async def reconnected(self) -> None:
        """Ask anew: the server forgot the standing request with the connection."""
        if self._subscription is not None:
            await self._ask()
