"""The text of one model response as it grows on a screen, until the log says what it came to. Pure.

Frames are a promise of text, the message in the log is the text. Frames may be missing, and an attempt may be taken
over by another one, so at the end the difference is written: what a reader has seen ends as the log has it.
"""

from collections.abc import Iterable
from typing import Literal

from stenograph_events.frames import ReasoningDelta as ReasoningFrame
from stenograph_events.frames import TextDelta as TextFrame
from stenograph_events.values import FilePart, Part, TextPart
from stenograph_services.gateway.wire.stream_events import (
    FileAvailable,
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

    def __init__(self, prefix: str = "p") -> None:
        """Begin with no part. `prefix` is what their ids begin with: those of two legs must differ."""
        self._prefix = prefix
        self._made = 0
        self._open: Kind | None = None
        self._id = ""
        self._written: dict[Kind, list[str]] = {"text": [], "reasoning": []}
        self.characters = 0
        """How much was written of the present attempt."""
        self._attempt = (0, 0)
        self._k = 0
        self._whole = True  # no frame of this attempt was lost so far

    def frame(self, frame: TextFrame | ReasoningFrame, response_type: str | None = None) -> list[StreamEvent]:
        """Write what `frame` brings; nothing if a frame before it was lost: the rest comes with the message.

        `response_type`: the text is to be one JSON value of that type.
        """
        events = self.follow(frame.after, frame.attempt, frame.k)
        if not self._whole:
            return events
        kind: Kind = "text" if isinstance(frame, TextFrame) else "reasoning"
        return events + self._write(kind, frame.text, response_type)

    def follow(self, after: int, attempt: int, k: int) -> list[StreamEvent]:
        """Take note of frame `k` of an attempt. Another attempt closes what the one before it left open."""
        events: list[StreamEvent] = []
        if (after, attempt) != self._attempt:
            events = self.close()
            self._attempt, self._k = (after, attempt), 0
        self._whole = self._whole and k == self._k + 1
        self._k = k
        return events

    def complete(self, parts: Iterable[Part], response_type: str | None = None) -> list[StreamEvent]:
        """Write what `parts`, the message in the log, hold beyond the frames, and close."""
        seen: dict[Kind, str] = {kind: "".join(texts) for kind, texts in self._written.items()}
        events: list[StreamEvent] = []
        for part in parts:
            if isinstance(part, FilePart):
                events += [*self._close_part(), _file(part)]
                continue
            kind: Kind = "text" if isinstance(part, TextPart) else "reasoning"
            shown, seen[kind] = seen[kind], ""
            if shown.startswith(part.text):
                seen[kind] = shown[len(part.text) :]  # what is left belongs to the next part of the kind
            elif part.text.startswith(shown):
                events += self._write(kind, part.text[len(shown) :], response_type)
            else:  # what was shown is not how it came out: say it anew
                events += self._close_part() + self._write(kind, part.text, response_type)
        return events + self.close()

    def close(self) -> list[StreamEvent]:
        """End the open part and forget the attempt."""
        self._written = {"text": [], "reasoning": []}
        self.characters = 0
        self._whole = True
        return self._close_part()

    def begin_leg(self, after: int) -> None:
        """Name the parts from now on as those of the leg that begins after event `after`."""
        self._prefix, self._made = f"p{after}-", 0

    def _write(self, kind: Kind, text: str, response_type: str | None) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        if self._open != kind:
            events = self._close_part()
            self._made += 1
            self._open, self._id = kind, f"{self._prefix}{self._made}"
            events.append(
                TextStart(self._id, response_type if _begins_value(text) else None)
                if kind == "text"
                else ReasoningStart(self._id)
            )
        self._written[kind].append(text)
        self.characters += len(text)
        events.append(TextDelta(self._id, text) if kind == "text" else ReasoningDelta(self._id, text))
        return events

    def _close_part(self) -> list[StreamEvent]:
        kind, self._open = self._open, None
        if kind is None:
            return []
        return [TextEnd(self._id) if kind == "text" else ReasoningEnd(self._id)]


def _begins_value(text: str) -> bool:
    """Return whether `text` may begin a JSON object or array: a model says in prose that it is about to call a tool."""
    return text.lstrip()[:1] in ("", "{", "[")


def _file(part: FilePart) -> FileAvailable:
    return FileAvailable(part.id, part.media_type, part.url, part.filename, part.size)
