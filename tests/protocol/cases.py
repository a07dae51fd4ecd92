"""The mistakes that mistakes/*.txt describes.

# agent: small                                          what is changed
@ prompts/said.md                                       in which of its files, maybe several; left out: protocol.yaml
-   system: system                                      this text, which is there once; left out: all of the file
+   system: sytem                                       becomes this one
* 1001 {{TEXT}}                                         or this one, a line that says it so often
= 21 agent.system: no prompt 'sytem'; did you mean …    an error that is then told; `~` is a warning
"""

from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from tests.support.small_agent import BUNDLE

from stenograph_services.protocol import Bundle, read_folder

HERE = Path(__file__).parent
FOLDERS = {"prompts": ".md", "references": ".md", "scripts": ".yaml"}


class Change(NamedTuple):
    """A text in a file, and what becomes of it; `old` empty: the whole file."""

    file: str
    old: str
    new: str


class Case(NamedTuple):
    """What is changed in an agent, and what is then said, one sign and one line for each problem."""

    agent: str
    changes: tuple[Change, ...]
    said: tuple[str, ...]


def _cases() -> list[Case]:
    cases: list[Case] = []
    for file in sorted((HERE / "mistakes").glob("*.txt")):
        head, *blocks = file.read_text().strip("\n").split("\n\n")
        agent = head.splitlines()[0].removeprefix("# agent: ")
        cases += [_case(agent, block.splitlines()) for block in blocks]
    return cases


def _case(agent: str, lines: list[str]) -> Case:
    changes: list[Change] = []
    told = [line for line in lines if line[0] in "=~"]
    rest = [line for line in lines if line[0] not in "=~"]
    starts = [at for at, line in enumerate(rest) if line[0] == "@"]
    for start, end in pairwise([*([] if starts[:1] == [0] else [0]), *starts, len(rest)]):
        changes.append(_change(rest[start:end]))
    return Case(agent, tuple(changes), tuple(told))


def _change(lines: list[str]) -> Change:
    file = lines[0][2:] if lines[0][0] == "@" else "protocol.yaml"
    old = [line[2:] for line in lines if line[0] == "-"]
    new = [_repeated(line[2:]) if line[0] == "*" else line[2:] for line in lines if line[0] in "+*"]
    return Change(file, "\n".join(old), "\n".join(new))


def _repeated(line: str) -> str:
    times, _, text = line.partition(" ")
    return text * int(times)


@cache
def bundle_of(agent: str) -> Bundle:
    """Return the agent that a case changes: the small one, or a folder in agents/."""
    return BUNDLE if agent == "small" else read_folder(HERE / "agents" / agent)


def changed(bundle: Bundle, case: Case) -> Bundle:
    """Return `bundle` with the mistake of `case` in it."""
    for change in case.changes:
        folder, _, rest = change.file.partition("/")
        field = folder.partition(".")[0]
        old = getattr(bundle, field)
        if folder in FOLDERS:
            name = rest.removesuffix(FOLDERS[folder])
            new: Any = {**old, name: _replaced(old.get(name, ""), change)}
        else:
            new = _replaced(old, change)
        bundle = msgspec.structs.replace(bundle, **{field: new})
    return bundle


def _replaced(text: str, change: Change) -> str:
    if not change.old:
        return change.new
    assert text.count(change.old) == 1, f"{change.old!r} is there {text.count(change.old)} times"
    return text.replace(change.old, change.new)


CASES = _cases()
