"""A file that a person wrote, as plain values, with the place of each of them.

    tools:                      root   {"tools": {"get-user-account": {…}}}
      get-user-account: {…}     marks  {("tools",): (1, 1), ("tools", "get-user-account"): (2, 3)}

The YAML is the JSON-like part of YAML 1.2: no tags, no merge keys, no duplicate keys; keys are always text, `no` and
`2026-01-01` too. ruamel.yaml's parser gives the events; they are built into values here because its constructors
would also make dates, sets, and copies of copies of an anchor without a limit.
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, NoReturn, TypeVar

import ruamel.yaml
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, MappingStartEvent, NodeEvent, ScalarEvent, SequenceStartEvent

from stenograph_services.protocol.problems import (
    MAX_PROBLEMS,
    AgentError,
    Path,
    Problem,
    Severity,
    dotted,
    plain,
    shown,
)

MAX_BYTES = 1024 * 1024  # of one file; also what a NATS message can carry
MAX_YAML_BYTES = 512 * 1024  # of one YAML file, which takes a microsecond for each to read
MAX_DEPTH = 32  # the language needs 7; far below where the interpreter's stack ends
MAX_KEYS = 100  # of settings.json
MAX_NODES = 20_000  # keys and values as they are written
MAX_VALUES = 10_000  # after aliases are followed: ten anchors of ten would otherwise be ten thousand million values

Mark = tuple[int, int]
"""Line and column, from 1."""


class Source(NamedTuple):
    """A parsed file. `root` holds dicts, lists, texts, numbers, booleans and None."""

    file: str
    root: Any
    marks: dict[Path, Mark]
    mistakes: tuple[Problem, ...] = ()  # those that leave the rest readable: keys that are written twice
    scalars: Mapping[Path, str] = {}  # plain ones as they are written, those that may be read in more than one way

    def problem(self, path: Path, code: str, message: str, severity: Severity = "error") -> Problem:
        """Return a problem at `path`, or at the nearest thing around it that the file does have."""
        known = next((path[:end] for end in range(len(path), 0, -1) if path[:end] in self.marks), ())
        line, column = self.marks.get(known, (1, 1))
        place = {"file": self.file, "line": line, "column": column, "path": dotted(path)}
        return Problem(**place, code=code, message=message, severity=severity)  # type: ignore[arg-type]


class _Node(NamedTuple):
    """A value before aliases are followed: a scalar event, a list of nodes, or a list of pairs of nodes."""

    event: ScalarEvent | SequenceStartEvent | MappingStartEvent
    children: tuple["_Node", ...] = ()


def read_yaml(file: str, text: str) -> Source:
    """Return the one document of `text`, which must be a mapping.

    Raises `AgentError` with the place: syntax, tabs, tags, too large, too deep, too many aliases.
    """
    refuse_oversize(file, text, MAX_YAML_BYTES)
    try:
        return _Reader(file, text).read()
    except YAMLError as error:
        raise AgentError([_syntax_problem(file, text, error)]) from error
    except (ValueError, OverflowError) as error:
        raise AgentError([_escape_problem(file, text, error)]) from error


def refuse_oversize(file: str, text: str, limit: int = MAX_BYTES) -> None:
    """Raise `AgentError` if `text` has more than `limit` bytes, or is not Unicode that can be stored."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        message = "holds half a surrogate pair, which is not valid Unicode"
        raise AgentError([Problem(file=file, code="encoding", message=message)]) from error
    if size > limit:
        message = f"is {size} bytes long; at most {limit} are read"
        raise AgentError([Problem(file=file, code="too-large", message=message)])


class _Reader:
    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.events: Iterator[Any] = iter(ruamel.yaml.YAML(typ="safe", pure=True).parse(text.removeprefix("\ufeff")))
        self.anchors: dict[str, _Node] = {}
        self.marks: dict[Path, Mark] = {}
        self.scalars: dict[Path, str] = {}
        self.nodes = 0
        self.values = 0
        self.duplicates: list[Problem] = []

    def read(self) -> Source:
        next(self.events)  # the stream starts
        if not isinstance(next(self.events), ruamel.yaml.events.DocumentStartEvent):
            self.refuse((1, 1), "not-a-mapping", "is empty; it must be a mapping")
        node = self.compose(next(self.events), 0)
        next(self.events)  # the document ends
        if isinstance(after := next(self.events), ruamel.yaml.events.DocumentStartEvent):
            self.refuse(_mark(after), "yaml", "holds a second document; write one, without a `---` in between")
        root = self.value(node, (), 0)
        if not isinstance(root, dict):
            self.refuse(_mark(node.event), "not-a-mapping", f"must be a mapping, not {shown(root)}")
        return Source(self.file, root, self.marks, tuple(self.duplicates), self.scalars)

    def compose(self, event: Any, depth: int) -> _Node:
        """Return the node that starts with `event`, which is read to its end."""
        if isinstance(event, AliasEvent):
            return self.anchored(event)
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.refuse(_mark(event), "yaml-tag", f"tags such as {shown(tag)} are not allowed")
        if depth > MAX_DEPTH:
            self.refuse(_mark(event), "too-deep", f"is nested deeper than {MAX_DEPTH} levels")
        self.nodes += 1
        if self.nodes > MAX_NODES:
            self.refuse(_mark(event), "too-large", f"holds more than {MAX_NODES} keys and values")
        node = _Node(event, () if isinstance(event, ScalarEvent) else self.children(depth + 1))
        if event.anchor is not None:
            self.anchors[event.anchor] = node  # only now: an anchor cannot be used inside itself
        return node

    def children(self, depth: int) -> tuple[_Node, ...]:
        nodes = []
        while isinstance(event := next(self.events), NodeEvent):
            nodes.append(self.compose(event, depth))
        return tuple(nodes)

    def anchored(self, alias: AliasEvent) -> _Node:
        if alias.anchor not in self.anchors:
            self.refuse(_mark(alias), "yaml", f"no anchor {shown(alias.anchor)} before this alias")
        return self.anchors[alias.anchor]

    def value(self, node: _Node, path: Path, depth: int) -> Any:
        """Return what `node` stands for and note the places of all that is inside."""
        self.values += 1
        if self.values > MAX_VALUES or depth > MAX_DEPTH:
            limit = f"{MAX_VALUES} values" if self.values > MAX_VALUES else f"{MAX_DEPTH} levels"
            self.refuse(_mark(node.event), "too-large", f"holds more than {limit} once its aliases are followed")
        self.marks.setdefault(path, _mark(node.event))
        if isinstance(node.event, ScalarEvent):
            if node.event.implicit[0] and _ODD.match(node.event.value):
                self.scalars[path] = node.event.value
            return self.scalar(node.event)
        if isinstance(node.event, SequenceStartEvent):
            return [self.value(child, (*path, at), depth + 1) for at, child in enumerate(node.children)]
        return self.mapping(node, path, depth)

    def scalar(self, event: ScalarEvent) -> str | int | float | bool | None:
        try:
            event.value.encode()  # "\uD800" is YAML, but no text that could be stored
            return scalar(event)
        except ValueError:
            self.refuse(_mark(event), "value", f"{shown(event.value)} is not a value that JSON can carry")

    def mapping(self, node: _Node, path: Path, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for name, child in zip(node.children[::2], node.children[1::2], strict=True):
            key, mark = self.key(name), _mark(name.event)
            if key in result:
                if len(self.duplicates) == MAX_PROBLEMS:
                    continue
                self.duplicates.append(self.at(mark, "duplicate-key", f"{shown(key)} is written twice", (*path, key)))
                continue
            self.marks[*path, key] = mark
            result[key] = self.value(child, (*path, key), depth + 1)
        return result

    def key(self, node: _Node) -> str:
        if not isinstance(node.event, ScalarEvent):
            self.refuse(_mark(node.event), "yaml", "a key must be text, not a list or a mapping")
        if node.event.value == "<<" and node.event.implicit[0]:
            self.refuse(_mark(node.event), "yaml", "merge keys (`<<`) are not supported; repeat the entries")
        self.scalar(node.event)
        return str(node.event.value)

    def at(self, mark: Mark, code: str, message: str, path: Path = ()) -> Problem:
        return Problem(file=self.file, line=mark[0], column=mark[1], path=dotted(path), code=code, message=message)

    def refuse(self, mark: Mark, code: str, message: str) -> NoReturn:
        raise AgentError([self.at(mark, code, message)])


_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_INTEGER = re.compile(r"[-+]?[0-9]+")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_ODD = re.compile(r"[-+.0-9]|yes$|no$|on$|off$", re.IGNORECASE)
"""How scalars begin that YAML 1.1 reads otherwise; `surprises.py` looks closer."""


def scalar(event: ScalarEvent) -> str | int | float | bool | None:
    """Return the value of a scalar by YAML 1.2's core schema, without what JSON does not have (hex, infinity).

    Raises `ValueError` for numbers of more than 64 bits.
    """
    text: str = event.value
    if not event.implicit[0]:  # quoted, or a block of text
        return text
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INTEGER.fullmatch(text):
        return _within(int(text), 2**63 - 1)
    if _NUMBER.fullmatch(text):
        return _within(float(text), sys.float_info.max)
    return text


Number = TypeVar("Number", int, float)


def _within(number: Number, limit: float) -> Number:
    if abs(number) > limit:
        raise ValueError(f"{number} is out of range")
    return number


def _mark(event: Any) -> Mark:
    return event.start_mark.line + 1, event.start_mark.column + 1


_ESCAPE = re.compile(r"\\U([0-9a-fA-F]{8})")
_BARE_LIST = re.compile(r"\{[^\"'{}]*: [A-Za-z]+\[\]")


def _syntax_problem(file: str, text: str, error: YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:  # a character that YAML does not allow anywhere
        position = getattr(error, "position", 0)
        line = text.count("\n", 0, position) + 1
        message = f"character {text[position : position + 1].encode('unicode_escape').decode()} is not allowed in YAML"
        return Problem(file=file, line=line, column=1, code="yaml", message=message)
    lines = text.splitlines()
    beginning = re.match(r"\s*", lines[mark.line] if mark.line < len(lines) else "")
    if beginning and "\t" in beginning.group():
        message = "a tab cannot indent YAML; use spaces"
    elif _BARE_LIST.search(lines[mark.line] if mark.line < len(lines) else ""):
        message = 'inside of { } a type such as string[] stands in quotes: {type: "string[]"}'
    else:
        message = "; ".join(plain(said, 120) for said in (getattr(error, "problem", ""), _context(error)) if said)
    return Problem(file=file, line=mark.line + 1, column=mark.column + 1, code="yaml", message=message)


def _escape_problem(file: str, text: str, error: Exception) -> Problem:
    """Return what is wrong where the reader stumbled over an escape that is no character, such as "\\UFFFFFFFF"."""
    escapes = (found for found in _ESCAPE.finditer(text) if int(found[1], 16) > sys.maxunicode)
    found = next(escapes, None)
    at = found.start() if found else 0
    message = f"{found[0]} is no character" if found else plain(str(error))
    line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    return Problem(file=file, line=line, column=column, code="yaml", message=message)


def _context(error: YAMLError) -> str:
    context, mark = getattr(error, "context", None), getattr(error, "context_mark", None)
    return f"{context} from line {mark.line + 1}" if context and mark else ""


def read_json(file: str, text: str) -> Source:
    """Return the JSON object of `text`, a flat one such as settings.json. Raises `AgentError` with the place."""
    refuse_oversize(file, text)
    repeated: list[str] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        repeated.extend(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
        return dict(pairs)

    try:
        root = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=unique, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        problem = Problem(file=file, line=error.lineno, column=error.colno, code="json", message=error.msg)
        raise AgentError([problem]) from error
    except RecursionError as error:
        raise AgentError([Problem(file=file, code="too-deep", message="is nested too deep")]) from error
    except ValueError as error:  # NaN, numbers of 5,000 digits
        raise AgentError([Problem(file=file, code="json", message=plain(str(error)))]) from error
    refuse_oversize(file, json.dumps(root, ensure_ascii=False))  # "\ud800" is JSON, but no text that could be stored
    if not isinstance(root, dict):
        message = f"must be an object, not {shown(root)}"
        raise AgentError([Problem(file=file, line=1, column=1, code="not-a-mapping", message=message)])
    if len(root) > MAX_KEYS:
        message = f"has {len(root)} keys; at most {MAX_KEYS} are read"
        raise AgentError([Problem(file=file, line=1, column=1, code="too-large", message=message)])
    source = Source(file, root, {(name,): _place_of(text, name) for name in root})
    twice = (source.problem((key,), "duplicate-key", f"{shown(key)} is written twice") for key in repeated[:MAX_KEYS])
    return source._replace(mistakes=tuple(twice))


def _place_of(text: str, name: str) -> Mark:
    found = re.search(re.escape(json.dumps(name, ensure_ascii=False)) + r"\s*:", text)
    start = found.start() if found else 0
    return text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
