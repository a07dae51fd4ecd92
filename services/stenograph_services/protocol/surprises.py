"""Plain YAML that other readers of YAML understand otherwise: `no`, `0777`, `1e3`, `12:30`.

Here everything is YAML 1.2: `no` is text and `0777` is 777. Where the language asks for a type the mistake is told with
this hint; where any value may stand, the hint is a warning.
"""

import re
from collections.abc import Iterator
from itertools import islice

from stenograph_services.protocol.problems import MAX_PROBLEMS, Path, Problem, plain
from stenograph_services.protocol.source import Source

_TRUTHS = {"yes": "true", "on": "true", "no": "false", "off": "false"}
_OCTAL = re.compile(r"[-+]?0[0-9]+")
_EXPONENT = re.compile(r"[-+]?[0-9.]+[eE][-+]?[0-9]+")
_BASED = re.compile(r"[-+]?0(?:x[0-9a-fA-F_]+|o?[0-7_]+|b[01_]+)")
_GROUPED = re.compile(r"[-+]?[0-9]+(?:_[0-9]+)+")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9]+(?::[0-5]?[0-9])+")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF|nan|NaN|NAN)")


def hint(text: str) -> str | None:
    """Return what the plain scalar `text` is here and how to write what was meant, or None if it is not odd."""
    said = plain(text, 40)
    if truth := _TRUTHS.get(text.lower()):
        return f"`{said}` is text here: write {truth}, or '{said}' in quotes"
    if _OCTAL.fullmatch(text):
        return f"`{said}` is the decimal number {text.lstrip('+-0') or '0'} here: write it so, or '{said}' in quotes"
    if _EXPONENT.fullmatch(text):
        return f"`{said}` is a number here, and text to other readers: write it out, or '{said}' in quotes"
    if _SEXAGESIMAL.fullmatch(text):
        return f"`{said}` is text here, and a number to other readers: write '{said}' in quotes"
    if _BASED.fullmatch(text) or _GROUPED.fullmatch(text) or _NOT_FINITE.fullmatch(text):
        return f"`{said}` is text here: write a number in plain digits, or '{said}' in quotes"
    return None


def warnings(source: Source) -> Iterator[Problem]:
    """Yield a warning for each odd scalar that stands where the language takes any value."""
    free = ((path, text) for path, text in source.scalars.items() if _takes_any_value(path))
    odd = ((path, said) for path, text in free if (said := hint(text)))
    for path, said in islice(odd, MAX_PROBLEMS):
        yield source.problem(path, "yaml-surprise", said, "warning")


def _takes_any_value(path: Path) -> bool:
    inside_input = path[0] in ("handlers", "steps") and "input" in path[2:-1]
    return inside_input or path[-1] in ("default", "const") or "default" in path[:-1] or "enum" in path[:-1]
