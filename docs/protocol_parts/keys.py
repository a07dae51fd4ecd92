"""Tables of keys, from the models that protocol.yaml and settings.json are read with.

ToolDoc                               | key | holds | if left out | what it is |
input=InputDoc variables=VariableDoc  | key | of | holds | if left out | what it is |
-BlockDoc ToolCallDoc                 without the keys that every block has
not-run: agent=AgentDoc               only the keys that are not run here; `run:` only the others
"""

import json
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from pydantic import JsonValue
from pydantic.fields import FieldInfo

from protocol_parts.tables import code, codes, table
from stenograph_services.protocol.block_documents import AnyBlockDoc
from stenograph_services.protocol.documents import ResultDoc
from stenograph_services.protocol.forms import (
    Document,
    Dollars,
    InputMap,
    LongSeconds,
    ModelSetting,
    Part,
    Seconds,
    Size,
    SpeedSetting,
    StepsSetting,
    TemperatureSetting,
    ThinkingSetting,
    UnknownForm,
)
from stenograph_services.protocol.type_documents import ObjectDoc, TypeDoc
from stenograph_services.protocol.unsupported import KEYS as NOT_RUN

FORMS: tuple[tuple[Any, str], ...] = (
    (ModelSetting, "`provider/model`, or a `NAME`"),
    (StepsSetting, "whole number from 1, or a `NAME`"),
    (TemperatureSetting, "number from 0 to 2, `off`, or a `NAME`"),
    (ThinkingSetting, "`low`, `medium`, `high`, `max`, `off`, or a `NAME`"),
    (SpeedSetting, "`fast`, `standard`, or a `NAME`"),
    (Size, "bytes, or text: `64KiB`, `2MiB`"),
    (Seconds, "[duration](#durations)"),
    (LongSeconds, "[duration](#durations)"),
    (UnknownForm, "`tell-model`, `ask-person`, `{reconcile: TOOL}`"),
    (Dollars, "US dollars, such as `0.50`"),
    (Part, "number over 0, up to 1"),
    (InputMap, "[input mapping](#input-mappings)"),
    (dict[str, dict[str, AnyBlockDoc]], "for each trigger, [blocks](#blocks) by name"),
    (dict[str, AnyBlockDoc], "[blocks](#blocks) by name"),
    (list[str], "list of texts"),
    (TypeDoc, "[type](#types-of-your-own)"),
    (ResultDoc, "type, or properties by name"),
    (ObjectDoc, "properties by name"),
    (JsonValue, "any value"),
    (str, "text"),
    (bool, "`true`, `false`"),
    (int, "whole number"),
    (float, "number"),
)
"""What a person may write where a key has such a form."""

SECTIONS: dict[str, str] = {
    "InputDoc": "[input](#input-variables-resources)",
    "VariableDoc": "[variable](#input-variables-resources)",
    "ResourceDoc": "[resource](#input-variables-resources)",
    "TriggerDoc": "[trigger](#triggers)",
    "ToolDoc": "[tool](#tools)",
    "ParameterDoc": "[parameter](#tools)",
    "WorkerDoc": "[child agent](#child-agents)",
    "AgentDoc": "[settings](#agent-and-start-thread)",
    "ContextDoc": "[settings](#context-management)",
    "BudgetDoc": "[limits](#budgets)",
    "LimitsDoc": "[limits](#budgets)",
    "ItemsDoc": "items",
    "PropertyDoc": "property",
}
"""Where the page explains what a document holds; all others are not run here."""


RUN = {"run": False, "not-run": True}
"""The first word of a mark that wants a part of the keys: whether they are of those that are not run here."""


class _Key(NamedTuple):
    """A key as one model has it."""

    label: str
    field: FieldInfo
    holds: str


def key_table(what: str) -> str:
    """Return the table that a mark `<!-- keys: what -->` asks for."""
    words = what.split()
    models = [word.rpartition("=") for word in words if word[0].isalpha() and word not in RUN]
    left_out = {key for word in words if word[0] == "-" for key in _model(word[1:]).model_fields} | {"block"}
    keys: dict[str, list[_Key]] = {}
    for label, _, name in models:
        for field, key in _keys(_model(name), label):
            if field not in left_out and RUN.get(words[0], field in NOT_RUN) == (field in NOT_RUN):
                keys.setdefault(key.field.alias or field, []).append(key)
    several = len(models) > 1
    everywhere = {key.label for has in keys.values() for key in has}
    head = ("key", *(("of",) if several else ()), "holds", "if left out", "what it is")
    return table(head, (_row(name, has, everywhere if several else None) for name, has in keys.items()))


def _model(name: str) -> type[Document]:
    return next(model for model in _subclasses(Document) if model.__name__ == name)


def _subclasses(model: type[Document]) -> Iterator[type[Document]]:
    for each in model.__subclasses__():
        yield each
        yield from _subclasses(each)


def _keys(model: type[Document], label: str) -> Iterator[tuple[str, _Key]]:
    hints = get_type_hints(model, include_extras=True)
    for name, field in model.model_fields.items():
        yield name, _Key(label, field, holds(hints[name]) + _bounds(field))


def _row(name: str, has: list[_Key], everywhere: set[str] | None) -> tuple[str, ...]:
    labels = [key.label for key in has]
    of = () if everywhere is None else ("all" if set(labels) == everywhere else codes(labels),)
    return code(name), *of, _each(has, lambda key: key.holds), _each(has, _default), _each(has, _meaning)


def _each(has: list[_Key], said: Any) -> str:
    """Return what `said` says of the key; where its models differ, of each of them."""
    first, *others = dict.fromkeys(map(said, has))
    differing = [f"{code(key.label)}: {said(key)}" for key in has if said(key) in others]
    return (" " if first.endswith(".") else "; ").join([first, *differing])


def _meaning(key: _Key) -> str:
    return " ".join((key.field.description or "").split())


def _default(key: _Key) -> str:
    if key.field.is_required():
        return "**required**"
    default = key.field.default
    if default is None or default in ([], {}, ()):
        return "–"
    return code(default if isinstance(default, str) else json.dumps(default))


def holds(hint: Any) -> str:
    """Return what a key of the type `hint` holds, in words."""
    for form, said in FORMS:
        if hint == form:
            return said
    arguments = [argument for argument in get_args(hint) if argument is not NoneType]
    match get_origin(hint):
        case origin if origin is Literal:
            return codes(arguments)
        case origin if origin is dict:
            return f"{holds(arguments[1])} by name"
        case origin if origin is list:
            return f"list of {holds(arguments[0])}"
        case origin if origin in (Union, UnionType):
            return " or ".join(holds(argument) for argument in arguments)
    return SECTIONS.get(hint.__name__, "mapping")


def _bounds(field: FieldInfo) -> str:
    """Return the bounds of a number, as `… from 1 to 10`."""
    least = next((item.ge for item in field.metadata if hasattr(item, "ge")), None)
    most = next((item.le for item in field.metadata if hasattr(item, "le")), None)
    return "".join(f" {word} {bound:,}" for word, bound in (("from", least), ("to", most)) if bound is not None)
