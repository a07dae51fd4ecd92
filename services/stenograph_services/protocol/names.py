"""How names are spelled. Tools and triggers become tokens of subjects, so the rule is also a wall."""

import re
from typing import Literal

Kind = Literal["variable", "tool", "trigger", "prompt", "script", "slug", "parameter", "thread"]

_KEBAB = r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*"
_RULES: dict[Kind, tuple[str, str]] = {
    "variable": (r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*", "UPPER_SNAKE_CASE"),
    "tool": (_KEBAB, "lower-case-with-dashes"),
    "trigger": (_KEBAB, "lower-case-with-dashes"),
    "prompt": (rf"{_KEBAB}(?:/{_KEBAB})*", "lower-case-with-dashes"),
    "script": (rf"{_KEBAB}(?:/{_KEBAB})*", "lower-case-with-dashes"),
    "slug": (r"[a-z0-9]+(?:-[a-z0-9]+)*", "lower-case-with-dashes"),
    "parameter": (r"[A-Za-z_][A-Za-z0-9_]*", "letters, digits and underscores"),
    "thread": (r"[A-Za-z0-9_-]+", "letters, digits, dashes and underscores"),
}
_COMPILED = {kind: (re.compile(pattern), words) for kind, (pattern, words) in _RULES.items()}

MAX_LENGTH = 64  # what an id in a subject may have, and what providers allow for a tool's name
MAX_PROMPT_LENGTH = 200  # a path of several


def broken_name(kind: Kind, name: str) -> str | None:
    """Return what is wrong with the spelling of `name`, or None."""
    pattern, words = _COMPILED[kind]
    limit = MAX_PROMPT_LENGTH if kind in ("prompt", "script") else MAX_LENGTH
    if len(name) > limit:
        return f"the name of a {kind} has at most {limit} characters"
    return None if pattern.fullmatch(name) else f"the name of a {kind} is spelled in {words}"
