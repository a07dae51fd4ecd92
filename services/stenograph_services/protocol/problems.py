"""What is wrong with an agent, told so that its author finds the place and the mend.

agents/x/protocol.yaml:14 handlers.user-message.Ask.tool: no tool 'get-acount'; did you mean 'get-account'?
"""

import difflib
import heapq
from collections.abc import Iterable, Mapping
from itertools import islice
from os.path import commonprefix
from typing import Any, Literal

import msgspec

Path = tuple[str | int, ...]
"""Where a value stands inside a document: keys and list positions."""

Severity = Literal["error", "warning"]

SHOWN = 50  # problems printed; a generated file may have thousands and the first ones tell the cause
MAX_SUGGESTED = 100  # characters of a name for which the one that was meant is looked for
MAX_CANDIDATES, COMPARED = 500, 20  # names that are looked through for it, and those that are compared closely
MAX_PROBLEMS = 200  # looked for in one file: each costs a search for the name that was meant


CODES: Mapping[str, str] = {
    "approval": "What says when a call needs a person is not what is run here.",
    "attempts": "A call cannot be tried again, or never will be.",
    "bad-name": "A name is not spelled as names of its kind are.",
    "condition": "A condition in a prompt is not one of the four forms, or is not closed.",
    "deprecated": "A key that works and has been replaced by another.",
    "duplicate": "One name is declared, or listed, twice.",
    "duplicate-key": "A key is written twice in one mapping.",
    "empty": "A handler, a list of steps or a type holds nothing.",
    "encoding": "A file is not UTF-8, or holds what cannot be stored as text.",
    "enum": "`enum` stands where there is no text to choose.",
    "format": "A key belongs to agents of the other format.",
    "front-matter": "A reference does not begin with its description.",
    "include": "A prompt includes itself, or one that there is not.",
    "invalid": "A value has another form than its key asks for.",
    "json": "settings.json is no JSON.",
    "link": "A file or folder is a link, which is not followed.",
    "missing": "A key or a file that must be there is not.",
    "model": "A model is not written as provider/model.",
    "no-fast-mode": "`speed: fast` changes nothing for this model.",
    "no-handler": "No handler answers a trigger.",
    "no-title": "Something is to be shown by its title and has none.",
    "not-a-file": "What should be a file is something else.",
    "not-a-folder": "What should be a folder is something else.",
    "not-a-mapping": "A file does not hold keys and values.",
    "not-run": "The language has it, and it is not run here.",
    "on-unknown": "What is to follow on an unknown outcome cannot, or never will.",
    "placeholder": "A placeholder in a prompt can never be filled.",
    "provider": "A setting is for the models of one provider, and the model is another's.",
    "readonly": "A block writes a resource that is read-only.",
    "response-type": "A model can be asked only for an object type.",
    "secret": "A secret would be shown, or cannot be one.",
    "server-source": "A key is not for MCP servers of this source.",
    "slug": "The slug in settings.json is not the one that the agent was sent under.",
    "style": "A name is allowed, and not spelled as the language is used to.",
    "summarizer": "A summarizer is set up so that it never runs.",
    "thread-not-started": "No block starts a thread that is used.",
    "too-deep": "Values, includes or conditions are nested too deep.",
    "too-large": "A file holds more than is read.",
    "too-many": "A folder holds more files than are read.",
    "type": "A value, or a variable, is not of the type that is asked for.",
    "type-cycle": "A type contains itself.",
    "type-too-large": "A type is too large when it is written out in full.",
    "union": "The variants of a union cannot be told from each other.",
    "unknown-block": "There is no such kind of block.",
    "unknown-key": "There is no such key here.",
    "unknown-name": "There is nothing of this name.",
    "unknown-provider": "A provider is known only where an operator configures it.",
    "unknown-type": "There is no such type.",
    "unreadable": "A file cannot be read.",
    "unused": "Nothing uses a file.",
    "value": "A number or text is none that JSON can carry.",
    "video": "A model cannot see a video that it may be sent.",
    "yaml": "protocol.yaml is no YAML that is read here.",
    "yaml-surprise": "Other readers of YAML understand a value otherwise.",
    "yaml-tag": "YAML tags are not allowed.",
}
"""Every code that a problem may have, and what it means. A code stays what it is; new ones are added."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One mistake, or a warning. `line` and `column` count from 1 and are 0 where a file as a whole is meant.

    `code` is stable and one of `CODES`.
    """

    file: str
    line: int = 0
    column: int = 0
    path: str = ""
    code: str
    message: str
    severity: Severity = "error"

    @property
    def place(self) -> str:
        """Where it is, for a person: `protocol.yaml:14 handlers.user-message.Ask.tool`."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place} {self.path}" if self.path else place

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class AgentError(Exception):
    """An agent cannot be loaded. `problems` holds every mistake that was found, in the order of the files."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = in_order(problems)
        lines = [str(problem) for problem in self.problems[:SHOWN]]
        if len(self.problems) > SHOWN:
            lines.append(f"and {len(self.problems) - SHOWN} more")
        super().__init__("\n".join(lines))


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return `problems`, each once, in the order of the files."""
    return tuple(sorted(set(problems), key=lambda it: (it.file, it.line, it.column, it.path, it.message)))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the known name nearest to `name`, or nothing if none is near."""
    name = name[:MAX_SUGGESTED]
    candidates = list(islice(known, MAX_CANDIDATES))
    if len(candidates) > COMPARED:
        candidates = heapq.nlargest(COMPARED, candidates, key=lambda other: _shared(name, other))
    near = difflib.get_close_matches(name, candidates, n=1)
    return f"; did you mean {shown(near[0])}?" if near else ""


def _shared(name: str, other: str) -> int:
    """Return how many characters two names share at their beginnings and at their ends: quick, and near enough."""
    ends = (name, other[:MAX_SUGGESTED]), (name[::-1], other[-MAX_SUGGESTED:][::-1])
    return sum(len(commonprefix(pair)) for pair in ends)  # noqa: RUF071 - characters are what is meant


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
