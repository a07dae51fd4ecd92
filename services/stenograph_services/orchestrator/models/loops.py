"""Notice that a model has begun to repeat itself for ever: the agent's `loopGuard`.

A generation is a loop when its last `LOOP_CHARACTERS` or more are one string said `LOOP_TIMES` times or more without
a change. A list whose numbers go up, a table whose rows differ, a rule of a hundred dashes are none. Long runs of the
very same row are one: who wants those leaves the guard off, as it is by default.
"""

from stenograph_services.orchestrator.models.request import ModelError

LOOP_CHARACTERS = 2_000  # some 500 tokens; the longest honest repetition that we met was a ruler of 200 characters
LOOP_TIMES = 6
WINDOW_CHARACTERS = 12_000  # so the repeated string has at most 2,000 characters: a few paragraphs
LOOK_EVERY = 1_000  # a look costs the window, so a character costs 12 steps


class LoopGuard:
    """Hears what a model says, piece by piece. `kind` tells streams apart, such as text and the arguments of a call."""

    def __init__(self) -> None:
        self._kind: object = None
        self._tail = ""
        self._unseen = 0

    def hear(self, kind: object, piece: str) -> None:
        """Take in `piece`. Raises `ModelError` `loop`, not to be retried: the same question would be paid for again."""
        if kind != self._kind:
            self._kind, self._tail, self._unseen = kind, "", 0
        self._tail = (self._tail + piece)[-WINDOW_CHARACTERS:]
        self._unseen += len(piece)
        if self._unseen < LOOK_EVERY:
            return
        self._unseen = 0
        if unit := repeated_at_the_end(self._tail):
            raise ModelError("loop", f"The model repeats {len(unit)} characters without end: {unit[:40]!r}")


def repeated_at_the_end(text: str) -> str | None:
    """Return the shortest string whose repetition `text` ends in, or None. Takes time linear in its length.

    Read backwards, the end is a beginning, and the prefix function tells the shortest period of every beginning.
    """
    backwards = text[::-1]
    border = [0] * len(backwards)
    length = 0
    for at in range(1, len(backwards)):
        while length and backwards[at] != backwards[length]:
            length = border[length - 1]
        length += backwards[at] == backwards[length]
        border[at] = length
        period = at + 1 - length
        if at + 1 >= LOOP_CHARACTERS and at + 1 >= period * LOOP_TIMES:
            return text[-period:]
    return None
