"""A standing pull request: a message of a durable consumer comes when it is there, without a round trip of its own.

→ $JS.API.CONSUMER.MSG.NEXT.TOOLS.default=get-user-account   {"batch":16,"expires":60000000000,"idle_heartbeat":…}
← a message, with its ack subject as reply
← Status: 408, Nats-Pending-Messages: 12                     the request expired with 12 still owed
← Status: 409 Consumer Deleted, Leadership Change …; 503     nobody serves it now
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from stenograph_sdk.connection import Connection

log = logging.getLogger("stenograph_sdk")

EXPIRES_SECONDS = 15.0  # so long may the request of a worker that died take messages with it, behind an account's wall
HEARTBEAT_SECONDS = 2.0
SETTLE_SECONDS = 0.1  # the server looks at a request a moment after it came …
SILENCE_SECONDS = 3 * HEARTBEAT_SECONDS  # a request that a dead server took with it is asked again after this

_IDLE = "100"
_ENDED = ("404", "408")


class _Request(msgspec.Struct):
    batch: int
    expires: int = int(EXPIRES_SECONDS * 1e9)
    idle_heartbeat: int = int(HEARTBEAT_SECONDS * 1e9)


class Pull:
    """Keeps as many messages asked for as `wanted()` says there is room for, and hands each to `receive`.

    `lost` is called when the consumer is gone or moved: make sure of it, then `begin` again.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        receive: Callable[[Msg], Awaitable[None]],
        wanted: Callable[[], int],
        lost: Callable[[], None],
    ) -> None:
        self._nats = connection.nats
        self._receive = receive
        self._wanted = wanted
        self._lost = lost
        self._subject = ""
        self._inbox = ""
        self._subscription: Subscription | None = None
        self._asked = 0
        self._heard = 0.0
        self._asked_at = 0.0
        self._ending = False

    async def begin(self, stream: str, consumer: str) -> None:
        """Ask `consumer` from now on, forgetting what was asked before."""
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        if not self._subscription:
            self._inbox = self._nats.new_inbox()
            self._subscription = await self._nats.subscribe(self._inbox, cb=self._arrived)
        self._asked = 0
        self._ending = False
        await self.fill()

    async def fill(self) -> None:
        """Ask for more once half of the room is not asked for: one request for many messages."""
        wanted = self._wanted()
        if self._subscription is None or self._ending or self._asked * 2 > wanted or wanted == 0:
            return
        missing = wanted - self._asked
        self._asked_at = asyncio.get_running_loop().time()
        if not self._asked:
            self._heard = self._asked_at
        self._asked = wanted
        await self._nats.publish(self._subject, msgspec.json.encode(_Request(missing)), reply=self._inbox)

    def check(self) -> None:
        """Say `lost` if the server owes messages and has not even sent a heartbeat."""
        if self._asked and asyncio.get_running_loop().time() - self._heard > SILENCE_SECONDS:
            log.warning("pull.silent consumer=%s", self._subject)
            self._asked = 0
            self._lost()

    async def end(self) -> None:
        """Stop asking. What the server has already sent is still handed to `receive` before this returns."""
        self._ending = True
        # … and one whose inbox is gone by then, it takes for one that is there: it would send messages to nobody.
        await asyncio.sleep(self._asked_at + SETTLE_SECONDS - asyncio.get_running_loop().time())
        subscription, self._subscription = self._subscription, None
        if subscription and self._nats.is_connected:
            await subscription.drain()  # type: ignore[no-untyped-call]

    async def _arrived(self, message: Msg) -> None:
        self._heard = asyncio.get_running_loop().time()
        status = (message.headers or {}).get("Status") if message.subject == self._inbox else None
        if status is not None:
            await self._status(status, message.headers or {})
            return
        self._asked = max(0, self._asked - 1)
        await self._receive(message)
        await self.fill()

    async def _status(self, status: str, headers: dict[str, str]) -> None:
        if status == _IDLE:
            return
        if status in _ENDED:
            self._asked = max(0, self._asked - int(headers.get("Nats-Pending-Messages", self._asked)))
            await self.fill()
            return
        if self._asked:
            log.info("pull.interrupted consumer=%s status=%s %s", self._subject, status, headers.get("Description", ""))
        self._asked = 0
        self._lost()
