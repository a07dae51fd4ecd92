"""How names are spelled. Tools and triggers become tokens of subjects, so the rule is also a wall."""

import re
from typing import Literal

Kind = Literal[
    "variable",
    "type",
    "property",
    "parameter",
    "tool",
    "trigger",
    "prompt",
    "reference",
    "script",
    "slug",
    "worker",
    "skill",
    "server",
    "thread",
]

_KEBAB = r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*"
_DASHED = (_KEBAB, "lower-case-with-dashes")
_PATH = (rf"{_KEBAB}(?:/{_KEBAB})*", "lower-case-with-dashes")
_SLUG = (r"[a-z0-9]+(?:-[a-z0-9]+)*", "lower-case-with-dashes")
_IDENTIFIER = (r"[A-Za-z_][A-Za-z0-9_]*", "letters, digits and underscores")
_RULES: dict[Kind, tuple[str, str]] = {
    "variable": (r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*", "UPPER_SNAKE_CASE"),
    "type": (r"[A-Z][A-Za-z0-9]*", "PascalCase"),
    "property": _IDENTIFIER,
    "parameter": _IDENTIFIER,
    "tool": _DASHED,
    "trigger": _DASHED,
    "prompt": _PATH,
    "reference": _DASHED,
    "script": _PATH,
    "slug": _SLUG,
    "worker": _SLUG,
    "skill": _DASHED,
    "server": (r"[a-z][a-z0-9-]*", "lower-case-with-dashes"),
    "thread": (r"[A-Za-z0-9_-]+(?: [A-Za-z0-9_-]+)*", "letters, digits, spaces, dashes and underscores"),
}
_COMPILED = {kind: (re.compile(pattern), words) for kind, (pattern, words) in _RULES.items()}
_PATHS: tuple[Kind, ...] = ("prompt", "script")

MAX_LENGTH = 64  # what an id in a subject may have, and what providers allow for a tool's name
MAX_PATH_LENGTH = 200  # a path of several
RESERVED = "octavus_"  # how the names of built-in tools begin


def broken_name(kind: Kind, name: str) -> str | None:
    """Return what is wrong with the spelling of `name`, or None."""
    pattern, words = _COMPILED[kind]
    limit = MAX_PATH_LENGTH if kind in _PATHS else MAX_LENGTH
    if len(name) > limit:
        return f"the name of a {kind} has at most {limit} characters"
    if kind in ("tool", "server", "worker") and name.startswith(RESERVED):
        return f"names that begin with `{RESERVED}` belong to built-in tools"
    return None if pattern.fullmatch(name) else f"the name of a {kind} is spelled in {words}"


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def mended_name(kind: Kind, name: str) -> str | None:
    """Return `name` as it would be spelled, `USER_ID` for a variable `userId`, or None if there is no such spelling."""
    words = [word.lower() for word in _WORD.findall(name[:MAX_LENGTH])]
    if not words or kind in _PATHS:
        return None
    match kind:
        case "variable":
            mended = "_".join(words).upper()
        case "type":
            mended = "".join(word.capitalize() for word in words)
        case "property" | "parameter":
            mended = words[0] + "".join(word.capitalize() for word in words[1:])
        case _:
            mended = "-".join(words)
    return mended if mended != name and broken_name(kind, mended) is None else None
