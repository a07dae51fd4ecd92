"""The timeline: a told event as one line, its columns in place.

n  time            after  class          what                                                      took
2  10:00:00.100   +100ms  turn           turn 1: user-message  USER_MESSAGE: What plan am I on?
5  10:00:00.392     +2ms  tool-request       get-user-account wanted  {"userId":"user-123"}
6  10:00:00.425    +33ms  tool-result        get-user-account ok  {"plan":"pro"}                   33ms
"""

from collections.abc import Iterator
from datetime import date

from rich.cells import cell_len
from rich.text import Text

from stenograph_services.cli.output import printable
from stenograph_services.cli.story import Mood, Told, duration

NUMBER, TIME, AFTER, CLASS, TOOK = 5, 12, 8, 13, 8
GAP = "  "
NARROW = 100  # columns of a terminal in which the time goes without its milliseconds; the next column has them

_STYLES: dict[Mood, str] = {"plain": "", "turn": "bold", "good": "green", "bad": "red", "quiet": "dim"}
_CLASSES = {
    "session": "magenta",
    "turn": "cyan",
    "child-end": "cyan",
    "message": "blue",
    "tool-request": "yellow",
    "child-request": "yellow",
    "tool-result": "yellow",
    "tool-closed": "yellow",
}


class Timeline:
    """Sets lines of `width` columns. `full` shortens no text."""

    def __init__(self, width: int, *, full: bool = False) -> None:
        self._time = TIME if width >= NARROW else len("10:00:00")
        self._left = NUMBER + self._time + AFTER + CLASS + 4 * len(GAP) - 1
        self._room = max(20, width - self._left - TOOK - 1)
        self._full = full
        self._day: date | None = None

    def head(self) -> Text:
        """Return the names of the columns."""
        left = self._left_of("n", f"{'time':<{self._time}}", "after", "class")
        return Text(f"{left.plain}{'what':<{self._room}} {'took':>{TOOK}}", "dim")

    def lines(self, told: Told) -> Iterator[Text]:
        """Yield the line of `told`; before it the date, when a new day began, and after it what `full` adds."""
        if told.at.date() != self._day:
            self._day = told.at.date()
            yield Text(f"{'':>{NUMBER}}{GAP}{self._day:%Y-%m-%d} UTC", "dim")
        first, *more = self._paragraph(told)
        time = f"{told.at:%H:%M:%S}.{told.at.microsecond // 1000:03d}"[: self._time]
        after = "" if told.since is None else "+" + duration(told.since)
        line = self._left_of(str(told.n), time, after, told.event_class).append_text(first)
        if told.took is not None:
            line.append(f" {duration(told.took):>{TOOK}}", "dim")
        yield line
        for text in more:
            yield Text(" " * self._left).append_text(text)

    def _left_of(self, n: str, time: str, after: str, event_class: str) -> Text:
        return Text.assemble(
            (f"{n:>{NUMBER}}{GAP}{time} {after:>{AFTER}}{GAP}", "dim"),
            (f"{event_class:<{CLASS}}{GAP}", _CLASSES.get(event_class, "")),
        )

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
