"""What may happen to a session, read off the events and the sources, and what of it happened in a log.

tool.failed                                   an event
tool.failed.kind                              a field of it that holds something
tool.failed.kind = invalid-result             a value of those that it may have
turn.finished.reason = too-large              why a turn ends
budget.exceeded: session seconds              a budget of the language
calls.py: f'no tool {shown(call.tool)}…'      a sentence with which a call, or a turn, is refused
"""

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from tests.protocol.sentences import sentences

from stenograph_events import type_of
from stenograph_events.types import AnyEvent, BudgetExceeded, Event
from stenograph_services import orchestrator
from stenograph_services.cli.rehearsal import Recorded

SERVICE = Path(orchestrator.__file__ or "").parent
SPEAKING = ("calls.py", "children.py", "threads.py")
BY_APPLICATIONS = {
    "messages.rolled_back",
    "session.cleared",
    "session.expired",
    "session.restored",
    "trigger.rejected.reason = expired",
    "trigger.rejected.reason = unknown-message",
}
"""What applications do to a session over HTTP, whatever its agent says: tests/gateway is about it."""

ENVELOPE = {field.name for field in msgspec.structs.fields(Event)}


def everything() -> set[str]:
    """Return all that may happen."""
    return {*_events(), *_reasons(), *_budgets(), *_sentences()} - BY_APPLICATIONS


def happened(log: Iterable[Recorded]) -> set[str]:
    """Return what of it happened in `log`."""
    return {label for recorded in log for label in _in_event(recorded)}


# ---- what there is


def _events() -> Iterator[str]:
    for cls in get_args(AnyEvent):
        tag = str(cls.__struct_config__.tag)
        if tag in BY_APPLICATIONS:
            continue
        yield tag
        for field, annotation in get_type_hints(cls).items():
            if field not in ENVELOPE and field != "event_class":
                yield f"{tag}.{field}"
                yield from (f"{tag}.{field} = {value}" for value in _values(annotation))


def _values(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return ()


def _reasons() -> Iterator[str]:
    """Yield why a turn may fail: what `failed(session, env, "…")` and `reason="…"` say in the orchestrator."""
    for source in SERVICE.glob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call):
                yield from (f"turn.finished.reason = {reason}" for reason in _given(node))


def _given(call: ast.Call) -> Iterator[str]:
    name = getattr(call.func, "id", "")
    given = [call.args[2]] if name == "failed" and len(call.args) > 2 else []
    given += [keyword.value for keyword in call.keywords if keyword.arg == "reason" and name == "_close"]
    yield from (str(value.value) for value in given if isinstance(value, ast.Constant))


def _budgets() -> Iterator[str]:
    hints = get_type_hints(BudgetExceeded)
    for scope, unit in product(get_args(hints["scope"]), get_args(hints["unit"])):
        yield f"budget.exceeded: {scope} {unit}"


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    return {text: pattern for name in SPEAKING for text, pattern in sentences(SERVICE / name).items()}


def _sentences() -> Iterator[str]:
    yield from _patterns()


# ---- what happened


def _in_event(recorded: Recorded) -> Iterator[str]:
    event, tag = recorded.event, type_of(recorded.event)
    yield tag
    held: dict[str, Any] = msgspec.json.decode(recorded.data)
    for field in type(event).__struct_fields__:
        if field in held:
            yield f"{tag}.{field}"
        if isinstance(value := getattr(event, field), str):
            yield f"{tag}.{field} = {value}"
    if isinstance(event, BudgetExceeded):
        yield f"budget.exceeded: {event.scope} {event.unit}"
    for said in (getattr(event, "error", None), getattr(event, "detail", None)):
        yield from (text for text, pattern in _patterns().items() if said and pattern.search(said))
