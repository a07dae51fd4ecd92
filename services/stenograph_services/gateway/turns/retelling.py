"""The frames of a turn between its events: each one once, in order, and what stands for those that are gone. Pure.

What tools say of their progress has no place in that order: of what was kept, the newest of each call is told.
"""

from collections.abc import Iterable, Iterator

from stenograph_events import StoredEvent
from stenograph_events.frames import AnyFrame, ReasoningDelta, TextDelta, ToolProgress, TriggerUnanswered
from stenograph_events.types import Event, MessageAdded
from stenograph_events.values import ReasoningPart, TextPart
from stenograph_services.gateway.stream.cursor import Cursor, place_of

_OTHER = "\0"  # begins no text, so that the text is said anew


class Retelling:
    """What was told of the frames of `turn`, and what waits for the event that it comes after.

    Those that come before event `after` are not told.
    """

    def __init__(self, turn: str, kept: Iterable[AnyFrame], cursor: Cursor | None, *, after: int = 0) -> None:
        self._turn = turn
        self._after = after
        self._last = (0, 0, 0)
        self._lost: Cursor | None = None
        kept = list(kept)
        if cursor is not None and not _reach(kept, turn, cursor):
            self._lost = cursor
        self._listening = False
        self._waiting = [frame for frame in kept if self._is_new(frame)]
        self._progress = {one.call: one for one in kept if isinstance(one, ToolProgress) and one.turn == turn}

    @property
    def is_lost(self) -> bool:
        """Whether what the client has read is known only by its length."""
        return self._lost is not None

    def keep(self, frames: Iterable[AnyFrame]) -> None:
        """Let those of `frames`, read just now, that were not told wait, in place of what waited."""
        self._listening = True
        self._waiting = [frame for frame in frames if self._is_new(frame)]

    def progress(self) -> Iterator[AnyFrame]:
        """Yield the newest that was kept of each call's progress; who tells them knows which calls are open."""
        yield from self._progress.values()

    def due(self, n: int) -> Iterator[AnyFrame]:
        """Yield what waits and belongs before event `n`."""
        waiting, self._waiting = self._waiting, []
        for frame in waiting:
            if frame.after >= n:
                self._waiting.append(frame)
            elif self._is_new(frame):
                self._last = place_of(frame)
                yield frame

    def may_lack(self, item: StoredEvent | AnyFrame) -> bool:
        """Return whether a frame before `item`, which just came, may be neither told nor waiting."""
        if isinstance(item, Event):  # what came after the frames were read and before they were listened to
            return isinstance(item, MessageAdded) and not self._listening
        if isinstance(item, ToolProgress):
            return False
        if place_of(item)[:2] == self._last[:2]:
            return item.k > self._last[2] + 1
        return self._is_new(item) and (item.k > 1 or not self._listening)

    def until(self, frame: AnyFrame) -> Iterator[AnyFrame]:
        """Yield what waits and comes before `frame`, which just came, then `frame`, unless it was told."""
        if isinstance(frame, ToolProgress):
            yield frame
            return
        self._listening = True
        waiting, self._waiting = self._waiting, []
        for one in [*(one for one in waiting if place_of(one) < place_of(frame)), frame]:
            if self._is_new(one):
                self._last = place_of(one)
                yield one
        self._waiting = [one for one in waiting if self._is_new(one)]

    def instead(self, message: MessageAdded) -> Iterator[AnyFrame]:
        """Yield `message` up to where the client has it, as frames, if the real ones are gone."""
        lost = self._lost
        if lost is None or message.role != "assistant" or message.n <= lost.n:
            return
        self._lost, left, k = None, lost.characters or 0, 0
        is_its = message.attempt == lost.attempt  # otherwise the client has what came to nothing
        for part in message.parts:
            if left and isinstance(part, TextPart | ReasoningPart):
                kind = TextDelta if isinstance(part, TextPart) else ReasoningDelta
                k += 1
                yield kind(
                    turn=self._turn,
                    after=lost.n,
                    attempt=lost.attempt,
                    k=k,
                    text=part.text[:left] if is_its else _OTHER,
                )
                left -= min(left, len(part.text))

    def _is_new(self, frame: AnyFrame) -> bool:
        if frame.turn != self._turn or isinstance(frame, TriggerUnanswered | ToolProgress):
            return False
        if place_of(frame) <= self._last:
            return False
        if frame.after < self._after:
            return False
        return self._lost is None or place_of(frame)[:2] != self._lost.place[:2]


def _reach(frames: list[AnyFrame], turn: str, cursor: Cursor) -> bool:
    """Return whether `frames` hold all of the attempt that the client has read."""
    texts = (frame for frame in frames if frame.turn == turn and not isinstance(frame, ToolProgress))
    mine = {frame.k for frame in texts if place_of(frame)[:2] == cursor.place[:2]}
    return mine.issuperset(range(1, cursor.k + 1)) if cursor.k < 1_000_000 else False
