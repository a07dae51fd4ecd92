"""Deliveries: what this process holds un-acked. Each is a lease, kept alive by heartbeats until it is settled."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from stenograph_services.runtime.jetstream import delivered
from stenograph_services.runtime.pull import PullConsumer

log = structlog.get_logger()


class Superseded(Exception):
    """A later delivery of the same message drives: this one is not a lease any more, and must settle nothing."""


class Delivery:
    """One message in hand. A redelivery replaces its handle: the newest one is heartbeaten and settled."""

    def __init__(self, message: Msg, consumer: PullConsumer) -> None:
        self.message = message
        self.consumer = consumer
        self.sequence, self.count = delivered(message)

    @property
    def key(self) -> tuple[str, str, int]:
        return (self.consumer.stream, self.consumer.durable, self.sequence)


class Lanes:
    """The deliveries of one process. Those of one lane are worked on one at a time, in order.

    `work` settles nothing; it returns how: None to ack, or the seconds after which the message shall come again. It
    raises `Superseded` to leave the message to whoever else holds it.
    """

    def __init__(self, work: Callable[[Delivery], Awaitable[float | None]], *, heartbeat_seconds: float) -> None:
        self._work = work
        self._heartbeat_seconds = heartbeat_seconds
        self._held: dict[tuple[str, str, int], Delivery] = {}
        self._waiting: dict[str, list[Delivery]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining = False

    def start(self) -> None:
        self._beat = asyncio.create_task(self._heartbeat(), name="heartbeats")

    def take(self, message: Msg, consumer: PullConsumer, lane: str | None) -> None:
        """Take a delivery in hand. With a `lane` it waits for the ones before it there; without one it starts now."""
        delivery = Delivery(message, consumer)
        if (known := self._held.get(delivery.key)) is not None:
            known.message, known.count = message, delivery.count
            consumer.done()
            return
        self._held[delivery.key] = delivery
        if lane is None:
            self._spawn(self._settle(delivery))
        elif lane in self._waiting:
            self._waiting[lane].append(delivery)
        else:
            self._waiting[lane] = [delivery]
            self._spawn(self._run_lane(lane))

    async def drain(self, seconds: float) -> None:
        """Give back what was not begun, wait for what was, and hand over what takes longer than `seconds`."""
        self._draining = True
        for waiting in self._waiting.values():
            for delivery in waiting[1:]:
                await self._give_back(delivery, 0)
            del waiting[1:]
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=seconds)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for delivery in tuple(self._held.values()):
            await self._give_back(delivery, 0)
        self._beat.cancel()

    async def _run_lane(self, lane: str) -> None:
        waiting = self._waiting[lane]
        try:
            while waiting:
                await self._settle(waiting[0])
                if waiting:
                    waiting.pop(0)
        finally:
            del self._waiting[lane]

    async def _settle(self, delivery: Delivery) -> None:
        try:
            again_after = await self._work(delivery)
        except asyncio.CancelledError:
            await self._give_back(delivery, 0)
            raise
        except Superseded:
            log.info("delivery.superseded", delivery=delivery.count)
            self._held.pop(delivery.key, None)
            delivery.consumer.done()
            return
        except Exception:
            # Not even its failure could be dealt with. Held on to, it would be heartbeaten and never come again.
            log.exception("delivery.unsettled")
            again_after = 1.0
        if again_after is not None:
            await self._give_back(delivery, again_after)
            return
        if self._held.pop(delivery.key, None) is not None:
            with contextlib.suppress(NatsError):  # not acked: it comes again and finds nothing to do
                await delivery.message.ack()
            delivery.consumer.done()

    async def _give_back(self, delivery: Delivery, seconds: float) -> None:
        if self._held.pop(delivery.key, None) is None:
            return
        with contextlib.suppress(NatsError):
            await delivery.message.nak(delay=seconds or None)
        delivery.consumer.done()

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_seconds)
            for delivery in tuple(self._held.values()):
                with contextlib.suppress(NatsError):
                    await delivery.message.in_progress()

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
