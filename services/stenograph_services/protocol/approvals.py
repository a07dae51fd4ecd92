"""When a call needs a person: `never`, `always`, or an expression in CEL over its arguments.

    approval: 'arguments.amount > 100 || !(arguments.currency in ["EUR", "USD"])'

CEL has no clock, no randomness and no input but the arguments. What is run of it is the part whose work can be bounded
beforehand, so that no call, whatever a model writes into it, holds up the session: nobody can interrupt an evaluation.

    no `map`, `filter`, `matches`      what they cost depends on more than the size of the arguments
    no `all`, `exists` inside another  so the work grows with the square of the arguments at most
    `work()`                           an estimate from above; over WORK_MAX nothing is evaluated

Whatever goes wrong in an evaluation (no such argument, another type, an overflow, too much work) needs a person.
"""

import re
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import msgspec
from cel_expr_python import cel
from msgspec import Raw

from stenograph_services.protocol.problems import did_you_mean, plain, shown

CHARACTERS_MAX = 1_000
NESTING_MAX = 24  # of brackets; the parser itself gives up at 32 levels of the grammar
ARGUMENTS_BYTES_MAX = 32 * 1024
ARGUMENTS_NESTING_MAX = 32
WORK_MAX = 400_000  # bytes looked at; the slowest operation takes 100 ns for one, so 40 ms
STEP_BYTES = 16  # one round of a macro costs as much as to look at so many

MACROS = ("all", "exists", "exists_one")
NOT_RUN = ("map", "filter", "matches")

_TOKEN = re.compile(
    r"""
    (?P<comment>//[^\n]*)
    | (?P<raw>(?:[bB]?[rR]|[rR][bB])(?:\"{3}.*?\"{3}|'{3}.*?'{3}|"[^"\n]*"|'[^'\n]*'))
    | (?P<string>[bB]?(?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
    | (?P<number>\d[\w.]*)
    | (?P<name>[A-Za-z_]\w*)
    | (?P<mark>[^\s\w])
    """,
    re.VERBOSE | re.DOTALL,
)
_MESSAGE = re.compile(
    r"ERROR: <input>:-?\d+:(?P<column>-?\d+): (?P<what>[^\n|]*?)(?: \(in container ''\)| expecting [^\n]*)?\n"
)
_ENV = cel.NewEnv(variables={"arguments": cel.Type.Map(cel.Type.STRING, cel.Type.DYN)})


class InvalidApproval(ValueError):
    """An expression that is not run; the message says what is wrong with it and what to write instead."""


class Shape(NamedTuple):
    """What the work of an expression depends on: how often it names a value, outside and inside of its macros.

    `joins` counts its `+`: each may make a value that is as long as all the others together.
    """

    outside: int = 0
    inside: int = 0
    arguments_inside: int = 0
    joins: int = 0

    def work(self, arguments: bytes) -> int:
        """Return how many bytes an evaluation looks at, at most."""
        size = len(arguments)
        values = 1 + arguments.count(b",") + arguments.count(b":") + self.outside
        rounds = self.inside * (size + STEP_BYTES * values) + self.arguments_inside * values * size
        return (1 + self.joins) ** 2 * (self.outside * size + rounds)


class Condition(NamedTuple):
    expression: Any
    shape: Shape


def needs_person(approval: str, arguments: Raw) -> bool:
    """Return whether a call with `arguments`, in their canonical form, needs a person. Pure."""
    if approval in ("never", "always"):
        return approval == "always"
    return _evaluated(condition(approval), bytes(arguments)) is not False


@lru_cache(maxsize=1024)
def condition(expression: str) -> Condition:
    """Return `expression` ready to be evaluated; raise `InvalidApproval` if it is none that is run."""
    if len(expression) > CHARACTERS_MAX:
        raise InvalidApproval(f"has {len(expression)} characters; {CHARACTERS_MAX} are read. Let the tool decide")
    shape = _shape(expression)
    try:
        compiled = _ENV.compile(expression)
    except Exception as error:  # the package raises plain RuntimeError, and others for text that is no UTF-8
        raise InvalidApproval(_sentence(str(error), expression)) from error
    if (kind := compiled.return_type().name()) not in ("BOOL", "DYN"):
        raise InvalidApproval(f"must be true or false, not {plain(kind.lower())}: compare it with something")
    return Condition(compiled, shape)


def _evaluated(condition: Condition, arguments: bytes) -> bool | Literal["unknown"]:
    if len(arguments) > ARGUMENTS_BYTES_MAX or condition.shape.work(arguments) > WORK_MAX:
        return "unknown"
    if _nesting(arguments) > ARGUMENTS_NESTING_MAX:
        return "unknown"
    try:
        value = condition.expression.eval(data={"arguments": msgspec.json.decode(arguments)}).plain_value()
    except Exception:
        return "unknown"
    return value if isinstance(value, bool) else "unknown"


def _nesting(arguments: bytes) -> int:
    """Return how deep `arguments` are nested, or more: brackets in texts count, too."""
    deep = deepest = 0
    for byte in arguments:
        if byte in b"{[":
            deep += 1
            deepest = max(deepest, deep)
        elif byte in b"}]" and deep:
            deep -= 1
    return deepest


# ---- the shape of an expression


def _shape(expression: str) -> Shape:
    """Return the shape of `expression`; raise `InvalidApproval` for what is not run."""
    counted = Shape()
    brackets: list[bool] = []  # of each that is open, whether it is a macro's
    before = ""
    tokens = [match for match in _TOKEN.finditer(expression) if match.lastgroup != "comment"]
    for at, token in enumerate(tokens):
        text, after = token.group(), tokens[at + 1].group() if at + 1 < len(tokens) else ""
        in_macro = any(brackets)
        if token.lastgroup == "mark":
            _bracket(brackets, text, macro=before in MACROS and at > 1 and tokens[at - 2].group() == ".")
            counted = counted._replace(joins=counted.joins + (text == "+"))
        elif token.lastgroup == "name" and after == "(":
            _check_called(text, in_macro)
        elif before != ".":
            counted = _counted(counted, text, in_macro)
        before = text
    return counted


def _bracket(brackets: list[bool], mark: str, *, macro: bool) -> None:
    if mark in "([{":
        brackets.append(mark == "(" and macro)
        if len(brackets) > NESTING_MAX:
            raise InvalidApproval(f"is nested deeper than {NESTING_MAX} brackets. Let the tool decide")
    elif mark in ")]}" and brackets:
        brackets.pop()


def _check_called(name: str, in_macro: bool) -> None:
    if name in NOT_RUN:
        mend = "use `exists` or `all`" if name != "matches" else "use `startsWith`, `endsWith` or `contains`"
        raise InvalidApproval(f"uses `{name}`, which is not run here: {mend}")
    if name in MACROS and in_macro:
        raise InvalidApproval(f"has `{name}` inside another `all`, `exists` or `exists_one`: only one is run at a time")


def _counted(shape: Shape, value: str, in_macro: bool) -> Shape:
    if not in_macro:
        return shape._replace(outside=shape.outside + 1)
    used = int(value == "arguments")
    return shape._replace(inside=shape.inside + 1, arguments_inside=shape.arguments_inside + used)


def _sentence(error: str, expression: str) -> str:
    """Return what the compiler says, in one line, with where in the expression it is."""
    found = _MESSAGE.search(error)
    what = plain(found["what"].strip() if found else error.partition("\n")[0], 160)
    where = f" at character {found['column']}" if found and found["column"] != "-1" else ""
    near = did_you_mean(expression, ("never", "always")) if re.fullmatch(r"\w+", expression) else ""
    return f"must be `never`, `always` or an expression in CEL, not {shown(expression)}: {what}{where}{near}"
