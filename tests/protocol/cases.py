"""The mistakes that mistakes/*.txt describes.

# agent: small                                          what is changed
-   system: system                                      this text, which is there once
+   system: sytem                                       becomes this one
= 21 agent.system: no prompt 'sytem'; did you mean …    an error that is then told; `~` is a warning
"""

from pathlib import Path
from typing import NamedTuple

from tests.support.small_agent import BUNDLE

from stenograph_services.protocol import Bundle, read_folder

HERE = Path(__file__).parent


class Case(NamedTuple):
    """What is changed in an agent, and what is then said, one sign and one line for each problem."""

    agent: str
    old: str
    new: str
    said: tuple[str, ...]


def _cases() -> list[Case]:
    cases: list[Case] = []
    for file in sorted((HERE / "mistakes").glob("*.txt")):
        head, *blocks = file.read_text().strip("\n").split("\n\n")
        agent = head.splitlines()[0].removeprefix("# agent: ")
        cases += [_case(agent, block.splitlines()) for block in blocks]
    return cases


def _case(agent: str, lines: list[str]) -> Case:
    old, new = ("\n".join(line[2:] for line in lines if line[0] == sign) for sign in "-+")
    return Case(agent, old, new, tuple(line for line in lines if line[0] in "=~"))


def bundle_of(agent: str) -> Bundle:
    """Return the agent that a case changes: the small one, or a folder in agents/."""
    return BUNDLE if agent == "small" else read_folder(HERE / "agents" / agent)


CASES = _cases()
