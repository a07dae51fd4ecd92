"""Follow a session without a gap: live messages where they come, the log where they do not.

Events are gapless by `n`, so a jump shows what was lost. A core message that was the last one leaves no jump:
therefore a silent follower looks into the log, too.
"""

import logging
from collections.abc import AsyncGenerator
from types import TracebackType

from stenograph_events import Head, StoredEvent, ToolOutcome, TurnId
from stenograph_events.chain import follow_hash
from stenograph_events.frames import AnyFrame, ToolProgress, TriggerUnanswered
from stenograph_events.types import (
    Event,
    MessageAdded,
    ToolRequested,
    TriggerQueued,
    TriggerRejected,
    TurnCancelRequested,
    TurnFinished,
    TurnStarted,
)
from stenograph_sdk.errors import LogUnavailable
from stenograph_sdk.live import Arrival, Feed, Mailbox
from stenograph_sdk.ways import Log

logger = logging.getLogger("stenograph_sdk")

SILENCE_SECONDS = 3.0  # then the log is asked: about one request for each 3 s of a tool's run
LONGEST_SILENCE_SECONDS = 15.0


class Follower:
    """Gives what happens to a session after `position`, in order, for ever. Use it as an async context manager."""

    def __init__(self, feed: Feed, log: Log, position: Head) -> None:
        self.position = position
        self._feed = feed
        self._log = log
        self._mailbox: Mailbox
        self._reading: AsyncGenerator[tuple[StoredEvent, Head], None] | None = None
        self._silence = SILENCE_SECONDS

    async def __aenter__(self) -> "Follower":
        self._mailbox = await self._feed.join()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._feed.leave(self._mailbox)
        await self._stop_reading()

    async def read_from(self, position: Head) -> None:
        """Go on after `position`, from the log."""
        await self._stop_reading()
        self.position = position
        self._mailbox.mark_gap()

    async def next(self) -> StoredEvent | AnyFrame | None:
        """Return the next event or frame; None says that all was silent and that the log holds no more, either."""
        while True:
            if self._reading and (frame := self._mailbox.take_frame(self.position.n)):
                return frame  # it came while the log was asked, which tells what comes after it
            if self._reading and (event := await self._read(self._reading)):
                return event
            item = self._mailbox.take()
            if isinstance(item, Arrival):
                self._silence = SILENCE_SECONDS
                if self._follows(item):
                    return item.event
            elif item is not None:
                if item.after <= self.position.n or not await self._is_ahead(item):
                    return item
            elif (self._mailbox.gap or not await self._mailbox.wait(self._silence)) and await self._nothing_new():
                return None

    async def _is_ahead(self, frame: AnyFrame) -> bool:
        """Return whether the log holds events that come before `frame` and are not told yet: it waits for them."""
        if await self._nothing_new():
            return False
        self._mailbox.put_back(frame)
        return True

    def _follows(self, arrival: Arrival) -> bool:
        """Return whether `arrival` is the next event; one that is further on shows a gap, one from before is known."""
        event, hashed, sequence = arrival
        if event.n == self.position.n + 1:
            self.position = follow_hash(self.position, event, hashed, sequence)
            return True
        if event.n > self.position.n:
            self._mailbox.mark_gap()
        return False

    async def _nothing_new(self) -> bool:
        """Return whether the log holds no more than was seen; otherwise it is read on from here."""
        self._mailbox.gap = False
        try:
            head = await self._log.head()
        except LogUnavailable as error:
            return self._unavailable(error)
        if head.sequence > self.position.sequence:
            self._reading = self._log.read(self.position, head.sequence)
            return False
        self._silence = min(self._silence * 2, LONGEST_SILENCE_SECONDS)
        return True

    async def _read(self, reading: AsyncGenerator[tuple[StoredEvent, Head], None]) -> StoredEvent | None:
        try:
            event, self.position = await anext(reading)
            return event
        except StopAsyncIteration:
            pass
        except LogUnavailable as error:
            self._unavailable(error)
        self._reading = None
        return None

    def _unavailable(self, error: LogUnavailable) -> bool:
        logger.warning("session.log_unavailable reason=%s", error.reason)
        return False

    async def _stop_reading(self) -> None:
        reading, self._reading = self._reading, None
        if reading:
            await reading.aclose()


class TurnWatch:
    """Knows which events and frames belong to one turn, whether it began, and when it is over. Pure."""

    def __init__(self, turn: TurnId) -> None:
        self.turn = turn
        self.searched = False  # the whole log was read for it
        self.began = False  # its trigger has its outcome: started, queued or rejected
        self.over = False
        self._started = False
        self._shown = 0
        self._written = 0  # the number of the last message that a model finished
        self._work = (0, 0)  # after, attempt of the last frame
        self._answered: set[str] = set()  # calls that are not open any more
        self._progress: dict[str, tuple[int, int]] = {}  # attempt, k of the newest that was shown of a call

    def shows(self, item: StoredEvent | AnyFrame) -> bool:
        """Return whether `item` is of this turn and new."""
        if item.turn != self.turn:
            return False
        return self._event(item) if isinstance(item, Event) else self._frame(item)

    def _event(self, event: Event) -> bool:
        if event.n <= self._shown:
            return False
        self._shown = event.n
        match event:
            case TurnStarted():
                self.began = self._started = True
            case TriggerQueued():
                self.began = True
            case TriggerRejected():
                self.began = self.over = True
            case TurnCancelRequested():
                self.over = self.began and not self._started  # it left the queue; one that runs still finishes
            case TurnFinished():
                self.over = True
            case MessageAdded(role="assistant"):
                self._written = event.n
            case ToolRequested():
                self._answered.discard(event.call)
            case _ if isinstance(event, ToolOutcome):
                self._answered.add(event.call)
        return True

    def _frame(self, frame: AnyFrame) -> bool:
        if isinstance(frame, TriggerUnanswered):
            self.over = True
            return True
        if isinstance(frame, ToolProgress):
            return self._is_newest(frame)
        work = (frame.after, frame.attempt)
        if frame.after < self._written or work < self._work:
            return False  # of a writer that was overtaken
        self._work = work
        return True

    def _is_newest(self, frame: ToolProgress) -> bool:
        """Return whether the call is open, and nothing newer of it was shown."""
        place = (frame.attempt, frame.k)
        if frame.call in self._answered or place <= self._progress.get(frame.call, (0, 0)):
            return False
        self._progress[frame.call] = place
        return True
