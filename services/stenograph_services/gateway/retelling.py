"""The frames of a turn between its events: each one once, in order, and what stands for those that are gone. Pure."""

from collections.abc import Iterable, Iterator

from stenograph_events.frames import AnyFrame, ReasoningDelta, TextDelta, TriggerUnanswered
from stenograph_events.types import MessageAdded
from stenograph_events.values import ReasoningPart, TextPart
from stenograph_services.gateway.cursor import Cursor, place_of

_OTHER = "\0"  # begins no text, so that the text is said anew


class Retelling:
    """What was told of the frames of `turn`, and what waits for the event that it comes after."""

    def __init__(self, turn: str, kept: Iterable[AnyFrame], cursor: Cursor | None) -> None:
        self._turn = turn
        self._last = (0, 0, 0)
        self._lost: Cursor | None = None
        self._cursor = cursor
        self._message = 0
        kept = list(kept)
        if cursor is not None and not _reach(kept, turn, cursor):
            self._lost = cursor
        self._waiting: list[AnyFrame] = []
        self.keep(kept)

    @property
    def is_lost(self) -> bool:
        """Whether what the client has read is known only by its length."""
        return self._lost is not None

    def keep(self, frames: Iterable[AnyFrame]) -> None:
        """Let those of `frames` that were not told wait, in place of what waited."""
        self._waiting = [frame for frame in frames if self._is_new(frame)]

    def due(self, n: int) -> Iterator[AnyFrame]:
        """Yield what waits and belongs before event `n`."""
        waiting, self._waiting = self._waiting, []
        for frame in waiting:
            if frame.after >= n:
                self._waiting.append(frame)
            elif self._is_new(frame):
                self._last = place_of(frame)
                yield frame

    def is_gap(self, frame: AnyFrame) -> bool:
        """Return whether a frame before `frame`, which just came, was not told."""
        after, attempt, k = self._last
        return self._is_new(frame) and frame.k != (k if (frame.after, frame.attempt) == (after, attempt) else 0) + 1

    def until(self, frame: AnyFrame) -> Iterator[AnyFrame]:
        """Yield what waits and comes before `frame`, then `frame`, unless it was told."""
        waiting, self._waiting = self._waiting, []
        for one in [*(one for one in waiting if place_of(one) < place_of(frame)), frame]:
            if self._is_new(one):
                self._last = place_of(one)
                yield one
        self._waiting = [one for one in waiting if self._is_new(one)]

    def instead(self, message: MessageAdded) -> Iterator[AnyFrame]:
        """Yield `message` up to where the client has it, as frames, if the real ones are gone."""
        before, self._message = self._message, message.n
        if self._lost is None and self._is_inside(message, before):
            yield from self._whole(message)
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

    def _is_inside(self, message: MessageAdded, before: int) -> bool:
        """Return whether the client has all frames of `message`, a part of what it shows itself, and they are gone."""
        cursor = self._cursor
        told = self._last != (0, 0, 0) and self._last[0] >= before  # a model is asked after the message before it
        return cursor is not None and bool(cursor.step) and cursor.n == message.n and not told

    def _whole(self, message: MessageAdded) -> Iterator[AnyFrame]:
        if message.model is None:
            return
        for k, part in enumerate(message.parts, 1):
            if isinstance(part, TextPart | ReasoningPart):
                kind = TextDelta if isinstance(part, TextPart) else ReasoningDelta
                yield kind(turn=self._turn, after=message.n - 1, attempt=message.attempt, k=k, text=part.text)

    def _is_new(self, frame: AnyFrame) -> bool:
        if frame.turn != self._turn or isinstance(frame, TriggerUnanswered) or place_of(frame) <= self._last:
            return False
        return self._lost is None or place_of(frame)[:2] != self._lost.place[:2]


def _reach(frames: list[AnyFrame], turn: str, cursor: Cursor) -> bool:
    """Return whether `frames` hold all of the attempt that the client has read."""
    mine = {frame.k for frame in frames if frame.turn == turn and place_of(frame)[:2] == cursor.place[:2]}
    return mine.issuperset(range(1, cursor.k + 1)) if cursor.k < 1_000_000 else False
