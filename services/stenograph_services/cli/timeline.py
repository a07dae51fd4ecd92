"""The timeline: a told event as one line, its columns in place.

n  time              after  class         what                                                          took
2  10:00:00.100    +100 ms  turn          turn 1: user-message  USER_MESSAGE: What plan am I on?
5  10:00:00.392      +2 ms  tool-request      get-user-account wanted  {"userId":"user-123"}
6  10:00:00.425     +33 ms  tool-result       get-user-account ok  {"plan":"pro"}                       33 ms
"""

from collections.abc import Iterator
from datetime import date

from rich.cells import cell_len
from rich.text import Text

from stenograph_services.cli.output import printable
from stenograph_services.cli.story import Mood, Told, duration

HEAD = f"{'n':>5}  {'time':<12} {'after':>10}  {'class':<12}  what"
LEFT = len(HEAD) - len("what")
TOOK = 11  # the column at the right: `59 min 59 s`

_STYLES: dict[Mood, str] = {"plain": "", "turn": "bold", "good": "green", "bad": "red", "quiet": "dim"}
_CLASSES = {
    "session": "magenta",
    "turn": "cyan",
    "message": "blue",
    "tool-request": "yellow",
    "tool-result": "yellow",
    "tool-closed": "yellow",
}


class Timeline:
    """Sets lines of `width` columns. `full` shortens no text."""

    def __init__(self, width: int, *, full: bool = False) -> None:
        self._room = max(20, width - LEFT - TOOK - 1)
        self._full = full
        self._day: date | None = None

    def head(self) -> Text:
        return Text(f"{HEAD:<{LEFT + self._room}} {'took':>{TOOK}}", "dim")

    def lines(self, told: Told) -> Iterator[Text]:
        """Yield the line of `told`; before it the date, when a new day began, and after it what `full` adds."""
        if told.at.date() != self._day:
            self._day = told.at.date()
            yield Text(f"{'':>5}  {self._day:%Y-%m-%d} UTC", "dim")
        first, *more = self._paragraph(told)
        line = Text.assemble(
            (f"{told.n:>5}  {told.at:%H:%M:%S}.{told.at.microsecond // 1000:03d} ", "dim"),
            (f"{'+' + duration(told.since) if told.since is not None else '':>10}  ", "dim"),
            (f"{told.event_class:<12}  ", _CLASSES.get(told.event_class, "red")),
            first,
        )
        if told.took is not None:
            line.append(f" {duration(told.took):>{TOOK}}", "dim")
        yield line
        for text in more:
            yield Text(" " * LEFT).append_text(text)

    def _paragraph(self, told: Told) -> list[Text]:
        indent = "  " * told.depth
        what = Text(f"{indent}{printable(told.what)}", _STYLES[told.mood])
        if not self._full:
            rest = printable(" ".join(told.text.split()))
            if rest:
                what.append(f"  {rest}", "dim" if told.mood == "quiet" else "not bold")
            what.truncate(self._room, overflow="ellipsis", pad=True)
            return [what]
        what.append(" " * max(0, self._room - cell_len(what.plain)))
        return [what, *(Text(f"{indent}  {printable(text)}") for text in told.text.splitlines())]
