"""A session as it happens: the events that the server republishes and the frames that an orchestrator writes.

Both are core messages: cheap, and lost when a connection breaks. `following` closes the gaps from the log.
"""

import asyncio
from collections import deque
from typing import NamedTuple

import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from stenograph_events import SessionId, StoredEvent, decode, subjects
from stenograph_events.chain import digest
from stenograph_events.frames import AnyFrame, decode_frame
from stenograph_sdk.connection import Connection

LINGER_SECONDS = 10.0  # the next turn of a conversation finds the subscriptions still there
MAILBOX_LIMIT = 10_000  # events or frames that a slow follower may owe; more events are read from the log again


class Arrival(NamedTuple):
    """An event, the hash of its stored bytes, and its stream sequence."""

    event: StoredEvent
    hashed: str
    sequence: int


class Mailbox:
    """What one follower has not looked at yet."""

    def __init__(self) -> None:
        self.gap = False  # the connection was away: look into the log
        self._loop = asyncio.get_running_loop()
        self._events: deque[Arrival] = deque()
        self._frames: deque[AnyFrame] = deque(maxlen=MAILBOX_LIMIT)
        self._failure: Exception | None = None
        self._awake: asyncio.Future[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None

    def put_event(self, arrival: Arrival) -> None:
        if len(self._events) >= MAILBOX_LIMIT:
            self._events.clear()
        self._events.append(arrival)
        self._wake()

    def put_frame(self, frame: AnyFrame) -> None:
        self._frames.append(frame)
        self._wake()

    def put_back(self, frame: AnyFrame) -> None:
        """Keep `frame`, which `take` returned, to be the next one again."""
        self._frames.appendleft(frame)

    def mark_gap(self) -> None:
        self.gap = True
        self._wake()

    def fail(self, failure: Exception) -> None:
        self._failure = failure
        self._wake()

    def take(self) -> Arrival | AnyFrame | None:
        """Return the next thing to show.

        Events and frames come by two subscriptions, so their order is restored here: a frame after event 3 belongs
        before event 4, whichever was handled first.
        """
        if self._failure:
            raise self._failure
        if self._frames and (not self._events or self._frames[0].after < self._events[0].event.n):
            return self._frames.popleft()
        return self._events.popleft() if self._events else None

    def take_frame(self, n: int) -> AnyFrame | None:
        """Return the next frame, if it comes before the event after event `n`."""
        return self._frames.popleft() if self._frames and self._frames[0].after <= n else None

    async def wait(self, seconds: float) -> bool:
        """Return whether there is something to do, now or within `seconds`."""
        until = self._loop.time() + seconds
        while not self._waiting():
            if self._loop.time() >= until:
                return False
            if self._alarm is None or self._alarm.when() > until:  # one timer for many waits, not one for each message
                self.close()
                self._alarm = self._loop.call_at(until, self._ring)
            self._awake = self._loop.create_future()
            await self._awake
        return True

    def close(self) -> None:
        if self._alarm:
            self._alarm.cancel()

    def _ring(self) -> None:
        self._alarm = None
        self._wake()

    def _wake(self) -> None:
        if self._awake and not self._awake.done():
            self._awake.set_result(None)

    def _waiting(self) -> bool:
        return bool(self._events or self._frames or self.gap or self._failure)


class Feed:
    """The live messages of one session, for any number of followers in this process."""

    def __init__(self, connection: Connection, tenant: str, session: SessionId) -> None:
        self._connection = connection
        self._tenant = tenant
        self._session = session
        self._mailboxes: set[Mailbox] = set()
        self._is_open = False
        self._subscriptions: list[Subscription] = []
        self._closing: asyncio.TimerHandle | None = None
        self._opening = asyncio.Lock()

    async def join(self) -> Mailbox:
        """Return a mailbox that gets everything from now on; give it back with `leave`."""
        mailbox = Mailbox()
        self._mailboxes.add(mailbox)
        if self._closing:
            self._closing.cancel()
            self._closing = None
        try:
            async with self._opening:
                if not self._is_open:
                    await self._open()
                    self._is_open = True
        except BaseException:
            self.leave(mailbox)
            raise
        return mailbox

    def leave(self, mailbox: Mailbox) -> None:
        self._mailboxes.discard(mailbox)
        mailbox.close()
        if not self._mailboxes and self._is_open:
            self._closing = asyncio.get_running_loop().call_later(LINGER_SECONDS, self._close)

    async def _open(self) -> None:
        nats = self._connection.nats
        self._subscriptions = [
            await nats.subscribe(subjects.live_filter(self._tenant, self._session), cb=self._event),
            await nats.subscribe(subjects.frame_subject(self._tenant, self._session), cb=self._frame),
        ]
        self._connection.on_reconnect.add(self._gap)
        self._connection.on_close.add(self._fail)

    def _close(self) -> None:
        self._is_open = False
        self._connection.on_reconnect.discard(self._gap)
        self._connection.on_close.discard(self._fail)
        subscriptions, self._subscriptions = self._subscriptions, []
        if not self._connection.nats.is_closed:
            self._connection.spawn(_unsubscribe(subscriptions))

    async def _event(self, message: Msg) -> None:
        await self._put_event(message.data, (message.headers or {}).get("Nats-Sequence"))

    async def _frame(self, message: Msg) -> None:
        self._put_frame(message.data)

    async def _put_event(self, data: bytes, sequence: str | None, hashed: str | None = None) -> None:
        if not self._mailboxes:
            return
        try:
            event = decode(await self._connection.opened(data))
            arrival = Arrival(event, hashed or digest(data), int(sequence or ""))
        except (ValueError, nats.errors.Error):
            self._gap()  # not what the server republishes; the log decides what is true
            return
        except Exception as error:  # whoever opens sealed events here cannot
            self._fail(error)
            return
        for mailbox in self._mailboxes:
            mailbox.put_event(arrival)

    def _put_frame(self, data: bytes) -> None:
        if not self._mailboxes:
            return
        try:
            frame = decode_frame(data)
        except ValueError:
            return  # a kind of frame that a later version added; the event after it says everything
        for mailbox in self._mailboxes:
            mailbox.put_frame(frame)

    def _gap(self) -> None:
        for mailbox in self._mailboxes:
            mailbox.mark_gap()

    def _fail(self, error: Exception) -> None:
        for mailbox in self._mailboxes:
            mailbox.fail(error)


async def _unsubscribe(subscriptions: list[Subscription]) -> None:
    for subscription in subscriptions:
        await subscription.unsubscribe()
