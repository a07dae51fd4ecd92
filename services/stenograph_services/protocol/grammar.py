"""From pydantic's errors to problems with a place.

`read_document` reports every error of the first validation, then leaves the broken values out and validates again, so
that one mistake does not hide what else is wrong between the parts.
"""

import re
from collections.abc import Mapping, Sequence
from inspect import isclass
from typing import Any, TypeVar, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from stenograph_services.protocol.block_documents import BLOCKS, BlockDoc
from stenograph_services.protocol.documents import FIELDS_FORM, TYPE_FORM, ParameterDoc
from stenograph_services.protocol.forms import Document
from stenograph_services.protocol.problems import MAX_PROBLEMS, Path, Problem, did_you_mean, shown
from stenograph_services.protocol.source import Source
from stenograph_services.protocol.surprises import hint
from stenograph_services.protocol.thread_documents import AgentDoc
from stenograph_services.protocol.type_documents import (
    LIST_FORM,
    OBJECT_FORM,
    UNION_FORM,
    ItemsDoc,
    ListDoc,
    PropertyDoc,
    UnionDoc,
)

D = TypeVar("D", bound=Document)

_FORMS: Mapping[str, Any] = {
    **BLOCKS,
    TYPE_FORM: None,
    FIELDS_FORM: dict[str, ParameterDoc],
    OBJECT_FORM: dict[str, PropertyDoc],
    LIST_FORM: ListDoc,
    UNION_FORM: UnionDoc,
    "[key]": None,
}
"""The names that pydantic puts into the place of an error, and what stands there."""

ROUNDS = 10  # leaving a value out may make what holds it incomplete; the language is 8 levels deep


def read_document(model: type[D], source: Source, found: list[Problem]) -> tuple[D | None, frozenset[Path]]:
    """Return `source` as a `model` without what breaks it, and the paths of what was left out.

    The mistakes are added to `found`. The document is None if nothing of it can be kept.
    """
    tree, broken = source.root, set[Path]()
    for number in range(ROUNDS):
        try:
            return model.model_validate(tree), frozenset(broken)
        except ValidationError as error:
            details = error.errors(include_url=False)
        if number == 0:
            found += [_problem(model, source, detail) for detail in details[:MAX_PROBLEMS]]
        paths = {_to_leave_out(tree, detail) for detail in details}
        if () in paths:
            break
        broken |= paths
        tree = _without_all(tree, paths)
    return None, frozenset(broken)


def path_of(tree: Any, loc: Sequence[str | int]) -> Path:
    """Return `loc` without the names that pydantic puts in for the chosen form of a union."""
    path: list[str | int] = []
    for at, part in enumerate(loc):
        inside = part in tree if isinstance(tree, dict) else isinstance(tree, list) and isinstance(part, int)
        if inside:
            tree = tree[part]
        elif at < len(loc) - 1 or part in _FORMS:
            continue
        path.append(part)
    return tuple(path)


def _to_leave_out(tree: Any, detail: ErrorDetails) -> Path:
    path = path_of(tree, detail["loc"])
    if detail["type"] == "missing":
        return path[:-1]
    # Taking one element from a list would move the others away from their places: the list goes as a whole.
    return next((path[:at] for at, part in enumerate(path) if isinstance(part, int)), path)


def _without_all(tree: Any, paths: set[Path]) -> Any:
    """Return `tree` without what is at any of `paths`; the original is kept."""
    if not isinstance(tree, dict):
        return tree
    below: dict[str | int, set[Path]] = {}
    for path in paths:
        below.setdefault(path[0], set()).add(path[1:])
    return {
        key: _without_all(value, below[key]) if key in below else value
        for key, value in tree.items()
        if () not in below.get(key, ())
    }


def _problem(model: type[Document], source: Source, detail: ErrorDetails) -> Problem:
    path = path_of(source.root, detail["loc"])
    match detail["type"]:
        case "extra_forbidden":
            return source.problem(path, "unknown-key", _unknown_key(model_at(model, detail["loc"][:-1]), str(path[-1])))
        case "missing":
            return source.problem(path, "missing", f"`{path[-1]}` is missing")
        case "union_tag_not_found":
            return source.problem((*path, "block"), "missing", "`block` is missing")
        case "union_tag_invalid":
            kind = str(detail["ctx"]["tag"])
            message = f"unknown block {shown(kind)}{did_you_mean(kind, BLOCKS)}"
            return source.problem((*path, "block"), "unknown-block", message)
        case _:
            odd = hint(source.scalars[path]) if path in source.scalars else None
            return source.problem(path, "invalid", _sentence(detail) + (f"; {odd}" if odd else ""))


def _keys(model: type[Document]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _unknown_key(model: type[Document] | None, key: str) -> str:
    if model is None:
        return f"unknown key {shown(key)}"
    if key in ("minItems", "maxItems") and model in (PropertyDoc, ItemsDoc, ListDoc):
        return f"`{key}`: the length of a list cannot be bounded; say it in its `description`"
    homes = [f"`{kind}`" for kind, block in BLOCKS.items() if key in _keys(block)]
    homes += ["`agent`"] if key in _keys(AgentDoc) else []
    if homes and issubclass(model, BlockDoc):
        return f"unknown key {shown(key)}; it belongs to {homes[0]}"
    return f"unknown key {shown(key)}{did_you_mean(key, _keys(model))}"


def _sentence(detail: ErrorDetails) -> str:
    given, context = shown(detail["input"]), detail.get("ctx", {})
    match detail["type"]:
        case "value_error":
            return str(context["error"])
        case "literal_error":
            known = re.findall(r"'([^']*)'", str(context["expected"]))
            near = did_you_mean(detail["input"], known) if isinstance(detail["input"], str) else ""
            return f"must be {context['expected']}, not {given}{near}"
        case "string_type":
            return f"must be text, not {given}"
        case "string_too_short":
            return "must not be empty"
        case "too_short":
            return f"must hold at least {context['min_length']}"
        case "bool_type":
            return f"must be true or false, not {given}"
        case "int_type" | "int_from_float" | "float_type":
            return f"must be a {'' if detail['type'] == 'float_type' else 'whole '}number, not {given}"
        case "dict_type" | "model_type" | "model_attributes_type":
            return f"must be a mapping, not {given}"
        case "list_type":
            return f"must be a list, not {given}"
        case "greater_than" | "greater_than_equal" | "less_than_equal":
            return f"must be {_bound(context)}, not {given}"
        case _:
            return detail["msg"][:200]


def _bound(context: Mapping[str, Any]) -> str:
    words = {"gt": "more than", "ge": "at least", "le": "at most"}
    return next(f"{words[kind]} {limit}" for kind, limit in context.items() if kind in words)


def model_at(annotation: Any, loc: Sequence[str | int]) -> type[Document] | None:
    """Return the model at `loc`, walking the annotations as pydantic walked the values."""
    if isclass(annotation) and issubclass(annotation, Document):
        if not loc:
            return annotation
        fields = {field.alias or name: field for name, field in annotation.model_fields.items()}
        return model_at(fields[str(loc[0])].annotation, loc[1:]) if loc[0] in fields else None
    if get_origin(annotation) is dict:
        return model_at(get_args(annotation)[1], loc[1:])
    forms = [form for form in get_args(annotation) if form is not type(None)]
    if len(forms) > 1 and loc and loc[0] in _FORMS:
        return model_at(_FORMS[str(loc[0])], loc[1:])
    return next((found for form in forms if (found := model_at(form, loc))), None)
