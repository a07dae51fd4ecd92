"""A turn on its way to one client: what happens to it, gathered for whoever writes the response.

Under load several frames wait here together and leave as one chunk. A client that reads slowly holds the gathering
up, not the memory: what it misses of the events is read from the log, of the frames, with the message.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from enum import Enum
from typing import cast

from stenograph_events import StoredEvent, TurnId
from stenograph_events.frames import AnyFrame, TriggerUnanswered
from stenograph_events.types import TriggerQueued, TriggerRejected, TurnStarted
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.gateway.stream.child_places import OfChild
from stenograph_services.gateway.stream.legs import WaitsBelow

Item = StoredEvent | AnyFrame
Told = Item | OfChild | WaitsBelow

ROOM = 2_000  # items that a slow client may owe


class Signal(Enum):
    """What a writer hears beside the items of its turn."""

    SILENCE = "nothing came for a while"
    GONE = "the client is gone"
    CLOSING = "the gateway is being stopped"


Heard = Told | Signal | Exception


class LiveTurn:
    """Gathers the items of `turn` in a task of its own, and stands in `open` until it is closed."""

    def __init__(self, turn: TurnId, items: AsyncIterator[Told], open: "set[LiveTurn]") -> None:
        self.turn = turn
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._open = open
        open.add(self)
        self._heard: list[Heard] = []
        self._something = asyncio.Event()
        self._room = asyncio.Event()
        self._known = asyncio.Event()
        self._rejection: TriggerRejected | TriggerUnanswered | Exception | None = None
        self._gathering = asyncio.create_task(self._gather(items))

    async def outcome(self, seconds: float) -> TriggerRejected | TriggerUnanswered | Exception | None:
        """Return why there will be no turn, as soon as that is known; None if there is one, or nobody knows in time."""
        try:
            await asyncio.wait_for(self._known.wait(), seconds)
        except TimeoutError:
            return None
        return self._rejection

    def say(self, signal: Signal | Refusal) -> None:
        """Let the writer hear `signal`, once for each time it listens. With a refusal it ends its response."""
        if signal not in self._heard:
            self._put(signal)

    async def listen(self) -> list[Heard]:
        """Return everything that came since the last time, at least one thing."""
        await self._something.wait()
        self._something.clear()
        heard, self._heard = self._heard, []
        self._room.set()
        return heard

    async def close(self) -> None:
        """Gather no more."""
        self._open.discard(self)
        if not self.closed.done():
            self.closed.set_result(None)
        self._gathering.cancel()
        await asyncio.wait([self._gathering])

    async def _gather(self, items: AsyncIterator[Told]) -> None:
        try:
            async with aclosing(cast("AsyncGenerator[Told, None]", items)) as following:
                async for item in following:
                    self._take_note(item)
                    self._put(item)
                    while len(self._heard) >= ROOM:
                        self._room.clear()
                        await self._room.wait()
            self._put(EOFError("the turn was not followed to its end"))  # passed over by a stream that is over
        except Exception as error:
            self._rejection = self._rejection if self._known.is_set() else error
            self._known.set()
            self._put(error)

    def _take_note(self, item: Told) -> None:
        match item:
            case TriggerRejected() | TriggerUnanswered():
                self._rejection = item
                self._known.set()
            case TurnStarted() | TriggerQueued():
                self._known.set()

    def _put(self, heard: Heard) -> None:
        self._heard.append(heard)
        self._something.set()
