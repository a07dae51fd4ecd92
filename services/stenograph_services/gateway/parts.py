"""The text of one model response as it grows on a screen, until the log says what it came to. Pure.

Frames are a promise of text, the message in the log is the text. Frames may be missing, and an attempt may be taken
over by another one, so at the end the difference is written: what a reader has seen ends as the log has it.
"""

from collections.abc import Iterable
from typing import Literal

from stenograph_events.frames import ReasoningDelta as ReasoningFrame
from stenograph_events.frames import TextDelta as TextFrame
from stenograph_events.types import Part, TextPart
from stenograph_services.gateway.stream_events import (
    ReasoningDelta,
    ReasoningEnd,
    ReasoningStart,
    StreamEvent,
    TextDelta,
    TextEnd,
    TextStart,
)

Kind = Literal["text", "reasoning"]


class Parts:
    """The part that is open, and what was written of the present attempt."""

    def __init__(self) -> None:
        self._made = 0
        self._open: Kind | None = None
        self._id = ""
        self._written: dict[Kind, list[str]] = {"text": [], "reasoning": []}
        self._attempt = (0, 0)
        self._k = 0
        self._whole = True  # no frame of this attempt was lost so far

    def frame(self, frame: TextFrame | ReasoningFrame) -> list[StreamEvent]:
        """Write what `frame` brings; nothing if a frame before it was lost: the rest comes with the message."""
        events = self.follow(frame.after, frame.attempt, frame.k)
        if not self._whole:
            return events
        return events + self._write("text" if isinstance(frame, TextFrame) else "reasoning", frame.text)

    def follow(self, after: int, attempt: int, k: int) -> list[StreamEvent]:
        """Take note of frame `k` of an attempt. Another attempt closes what the one before it left open."""
        events: list[StreamEvent] = []
        if (after, attempt) != self._attempt:
            events = self.close()
            self._attempt, self._k = (after, attempt), 0
        self._whole = self._whole and k == self._k + 1
        self._k = k
        return events

    def complete(self, parts: Iterable[Part]) -> list[StreamEvent]:
        """Write what `parts`, the message in the log, hold beyond the frames, and close."""
        seen: dict[Kind, str] = {kind: "".join(texts) for kind, texts in self._written.items()}
        events: list[StreamEvent] = []
        for part in parts:
            kind: Kind = "text" if isinstance(part, TextPart) else "reasoning"
            shown, seen[kind] = seen[kind], ""
            if shown.startswith(part.text):
                seen[kind] = shown[len(part.text) :]  # what is left belongs to the next part of the kind
            elif part.text.startswith(shown):
                events += self._write(kind, part.text[len(shown) :])
            else:  # what was shown is not how it came out: say it anew
                events += self._close_part() + self._write(kind, part.text)
        return events + self.close()

    def close(self) -> list[StreamEvent]:
        """End the open part and forget the attempt."""
        self._written = {"text": [], "reasoning": []}
        self._whole = True
        return self._close_part()

    def _write(self, kind: Kind, text: str) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        if self._open != kind:
            events = self._close_part()
            self._made += 1
            self._open, self._id = kind, f"p{self._made}"
            events.append(TextStart(self._id) if kind == "text" else ReasoningStart(self._id))
        self._written[kind].append(text)
        events.append(TextDelta(self._id, text) if kind == "text" else ReasoningDelta(self._id, text))
        return events

    def _close_part(self) -> list[StreamEvent]:
        kind, self._open = self._open, None
        if kind is None:
            return []
        return [TextEnd(self._id) if kind == "text" else ReasoningEnd(self._id)]
