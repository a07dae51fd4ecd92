"""What is wrong with an agent, told so that its author finds the place and the mend.

agents/x/protocol.yaml:14 handlers.user-message.Ask.tool: no tool 'get-acount'; did you mean 'get-account'?
"""

import difflib
from collections.abc import Iterable
from typing import Any

import msgspec

Path = tuple[str | int, ...]
"""Where a value stands inside a document: keys and list positions."""

SHOWN = 50  # problems printed; a generated file may have thousands and the first ones tell the cause
MAX_PROBLEMS = 200  # looked for in one file: each costs a search for the name that was meant


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One mistake. `line` and `column` count from 1 and are 0 where a file as a whole is meant; `code` is stable."""

    file: str
    line: int = 0
    column: int = 0
    path: str = ""
    code: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place} {self.path}: {self.message}" if self.path else f"{place}: {self.message}"


class AgentError(Exception):
    """An agent cannot be loaded. `problems` holds every mistake that was found, in the order of the files."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems), key=lambda it: (it.file, it.line, it.column, it.path, it.message)))
        lines = [str(problem) for problem in self.problems[:SHOWN]]
        if len(self.problems) > SHOWN:
            lines.append(f"and {len(self.problems) - SHOWN} more")
        super().__init__("\n".join(lines))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the known name nearest to `name`, or nothing if none is near."""
    near = difflib.get_close_matches(name[:100], list(known), n=1)
    return f"; did you mean {shown(near[0])}?" if near else ""


def shown(value: Any) -> str:
    """Return `value` as an error may quote it: short, on one line."""
    match value:
        case None:
            return "nothing"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case bool():
            return "true" if value else "false"
        case str():
            return f"'{plain(value)}'"
        case _:
            return plain(str(value))


def plain(text: str, limit: int = 80) -> str:
    """Return `text` cut to `limit` characters, with what a terminal would obey made visible."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in cut)


def dotted(path: Path) -> str:
    """Return `path` as it is printed: `agent.tools[1]`."""
    steps = "".join(f"[{part}]" if isinstance(part, int) else f".{plain(part, 60)}" for part in path)
    return steps.removeprefix(".")
