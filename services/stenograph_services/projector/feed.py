"""The feed: one event announces that there are more, and those are fetched together a little later.

    {"batch":1,"expires":30 s}        stands at the server while all is quiet
    {"batch":499,"expires":5 ms}      a tenth of a second after the first event: everything that came since

Events that arrive one by one cost a wake-up each. Together an event takes 55 µs of CPU, all in, at 1,600 a second over
64 sessions, where it took 84, and 31 at 4,000, where it took 65. Nobody waits for the projector.
"""

import asyncio
import contextlib

import msgspec
from nats.errors import Error as NatsError

from stenograph_services.runtime.pull import PullConsumer

GATHER_SECONDS = 0.1  # the index may be late by this much; a session's row is then worth several events
_NANOSECONDS = 1_000_000_000


class BurstConsumer(PullConsumer):
    """A pull consumer whose messages come in bursts."""

    _gathering: asyncio.Task[None] | None = None

    async def stop(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
        await super().stop()

    async def _ask(self) -> None:
        """Let the next burst come soon if there was an event, or else the next event."""
        if self._gathering is not None:
            self._asked = 0
        elif self._asked <= 0 and self.in_hand:
            self._gathering = asyncio.create_task(self._gather(), name=f"gather {self.stream}")
        elif self.in_hand < self._limit:
            await self._request(1, expires_seconds=30, idle_heartbeat=2 * _NANOSECONDS)
        else:
            self._asked = 0

    async def _gather(self) -> None:
        await asyncio.sleep(GATHER_SECONDS)
        self._gathering = None
        if room := self._limit - self.in_hand:
            await self._request(room, expires_seconds=0.005)

    async def _request(self, batch: int, *, expires_seconds: float, **more: int) -> None:
        self._asked = batch
        self._heard = asyncio.get_running_loop().time()
        request = {"batch": batch, "expires": int(expires_seconds * _NANOSECONDS), **more}
        with contextlib.suppress(NatsError):  # the watch asks again once there is a connection
            await self._nc.publish(
                f"$JS.API.CONSUMER.MSG.NEXT.{self.stream}.{self.durable}", msgspec.json.encode(request), self._inbox
            )
