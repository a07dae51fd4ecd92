"""Quotes from the example agents, cut out by where they stand.

help-desk/protocol.yaml tools.find-order              the lines of that key, below the keys around it
help-desk/protocol.yaml agent.model + agent.budget    several
help-desk/prompts/system.md                           the whole file
help-desk/tests/budget.log budget.exceeded + budget.raised      the lines of these events
"""

import re
from collections.abc import Iterator
from pathlib import Path

from stenograph_services.protocol.problems import Path as Place
from stenograph_services.protocol.source import Source, read_yaml

WIDTH = 118  # of a quoted line; a log's are longer, and what is cut off is not what they are quoted for


def quote(examples: Path, what: str) -> str:
    """Return the quote that a mark `<!-- quote: what -->` asks for, as a block of Markdown."""
    name, _, wanted = what.partition(" ")
    file = examples / name
    text = file.read_text(encoding="utf-8")
    parts = wanted.split(" + ") if wanted else []
    match file.suffix:
        case ".yaml" if parts:
            lines = _of_yaml(name, text, parts)
        case ".log" if parts:
            lines = [_cut(line) for line in text.splitlines() if line.split()[0] in parts]
        case _:
            lines = text.rstrip("\n").splitlines()
    language = {".yaml": "yaml", ".md": "markdown", ".json": "json"}.get(file.suffix, "text")
    return "\n".join([f"```{language}", *lines, "```"])


def _of_yaml(name: str, text: str, wanted: list[str]) -> list[str]:
    source, lines = read_yaml(name, text), text.splitlines()
    shown: set[int] = set()
    for dotted in wanted:
        place = _place(source, dotted)
        shown.update(source.marks[place[:end]][0] - 1 for end in range(1, len(place)))
        shown.update(_lines_of(lines, source, place))
    return [lines[at] for at in sorted(shown)]


def _place(source: Source, dotted: str) -> Place:
    place = tuple(dotted.split("."))
    if place not in source.marks:
        raise KeyError(f"{source.file} has no {dotted}")
    return place


def _lines_of(lines: list[str], source: Source, place: Place) -> Iterator[int]:
    """Yield the lines of the key at `place` and of all that stands further right below it."""
    first, column = source.marks[place]
    last = at = first - 1
    yield at
    for at in range(first, len(lines)):
        indent = len(lines[at]) - len(lines[at].lstrip())
        if lines[at].strip() and indent < column:
            break
        if lines[at].strip():
            yield from range(last + 1, at + 1)
            last = at


def _cut(line: str) -> str:
    line = re.sub(r" system=\"(?:[^\"\\]|\\.)*\"", ' system="…"', line)
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"
