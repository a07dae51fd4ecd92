"""What the sources of the language say, read off their syntax: sentences of mistakes, and the places that tell them.

f"no prompt {shown(name)}{near}"    is the pattern    no prompt .*.*
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from stenograph_services import protocol

SOURCES = [file for file in sorted(Path(protocol.__file__).parent.glob("*.py")) if file.name != "language_schema.py"]
"""What reads an agent. The schema for editors is made of the same models and finds no mistakes."""

TELLERS = {"Problem", "Mistake", "problem", "report", "warn", "wrong", "mistake", "refuse", "at"}
"""The functions and classes that are given a mistake."""


class Place(NamedTuple):
    """A stretch of a source file."""

    file: str
    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.file}:{self.first}"

    def holds(self, file: str, line: int) -> bool:
        """Return whether a line lies in it."""
        return file == self.file and self.first <= line <= self.last


def sentences(source: Path) -> dict[str, re.Pattern[str]]:
    """Return what `source` may say to a person: the text of each as it is written, and a pattern of what it becomes."""
    tree = ast.parse(source.read_text())
    silent = {node for inside in _silent(tree) for node in ast.walk(inside)}
    found: dict[str, re.Pattern[str]] = {}
    for node in ast.walk(tree):
        if node not in silent and (pattern := _pattern(node)):
            found[f"{source.name}: {ast.unparse(node)}"] = re.compile(pattern, re.DOTALL)
    return found


def places(source: Path) -> Iterator[Place]:
    """Yield each place in `source` that tells of a mistake."""
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Call) and _name(node.func) in TELLERS and _tells(node):
            yield Place(source.name, node.lineno, node.end_lineno or node.lineno)


def _tells(call: ast.Call) -> bool:
    """Return whether a call with such a name is given a sentence: `lc.at(1)` and `path.at` are others."""
    return len(call.args) >= 3 or any(keyword.arg in ("message", None) for keyword in call.keywords)


def _name(function: ast.expr) -> str:
    return getattr(function, "attr", getattr(function, "id", ""))


def _silent(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield what is read by nobody who makes a mistake: documentation, reasons of assertions, parts of f-strings."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant()):
                yield node
            case ast.Assert(msg=ast.AST() as reason):
                yield reason
            case ast.keyword(arg="description" | "title"):
                yield node
            case ast.AnnAssign(target=ast.Name(id="CODES")):
                yield node
            case ast.AnnAssign(annotation=annotation):
                yield annotation
            case ast.Dict(keys=keys, values=values):
                yield from (value for key, value in zip(keys, values, strict=True) if _is_description(key))
            case ast.JoinedStr(values=values):
                yield from (part for part in values if isinstance(part, ast.Constant))
            case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr="compile")):
                yield node


def _is_description(key: ast.expr | None) -> bool:
    return isinstance(key, ast.Constant) and key.value == "description"


def _pattern(node: ast.AST) -> str | None:
    """Return the pattern of a sentence: of a text of two words or more."""
    match node:
        case ast.Constant(value=str() as text):
            return re.escape(text) if _says(text) else None
        case ast.JoinedStr(values=values):
            said = [part.value if isinstance(part, ast.Constant) else None for part in values]
            if not _says("".join(str(text) for text in said if text is not None)):
                return None
            return "".join(".*" if text is None else re.escape(str(text)) for text in said)
        case _:
            return None


def _says(text: str) -> bool:
    is_expression = "(?:" in text
    return len(re.findall(r"[A-Za-z]{2,}", text)) >= 2 and " " in text.strip() and not is_expression
