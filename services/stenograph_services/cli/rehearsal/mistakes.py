"""From pydantic's errors to problems with a place, for the files of an agent that are not its protocol.

turns[0].model[1].txt: unknown key 'txt'; did you mean 'text'?
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from stenograph_services.protocol.problems import MAX_PROBLEMS, Problem, did_you_mean, shown
from stenograph_services.protocol.source import Source

M = TypeVar("M", bound=BaseModel)

_FORMS = {
    "string_type": "text",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "tuple_type": "a list",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
}


def read_part(model: type[M], source: Source) -> tuple[M | None, list[Problem]]:
    """Return `source` as a `model`, None if it is none, and all that is wrong with it."""
    found = list(source.mistakes)
    try:
        return model.model_validate(source.root), found
    except ValidationError as error:
        details = [detail for detail in error.errors(include_url=False) if not _follows(detail)]
        return None, found + [_problem(model, source, detail) for detail in details[:MAX_PROBLEMS]]


def _follows(detail: ErrorDetails) -> bool:
    """Return whether it only follows from another mistake: a list is called too short without its broken items."""
    return detail["type"] == "too_short" and len(detail["input"]) >= detail["ctx"]["min_length"]


def _problem(model: type[BaseModel], source: Source, detail: ErrorDetails) -> Problem:
    place = tuple(_steps(source.root, detail["loc"]))
    match detail["type"]:
        case "extra_forbidden":
            near = did_you_mean(str(place[-1]), _keys(model, detail["loc"][:-1]))
            return source.problem(place, "unknown-key", f"unknown key {shown(str(place[-1]))}{near}")
        case "missing":
            return source.problem(place, "missing", f"`{place[-1]}` is missing")
        case "value_error":
            return source.problem(place, "invalid", str(detail["ctx"]["error"]))
        case "too_short" | "string_too_short":
            return source.problem(place, "invalid", "must not be empty")
        case kind:
            wanted = _FORMS.get(kind) or detail["msg"].removeprefix("Input should be ")
            return source.problem(place, "invalid", f"must be {wanted}, not {shown(detail['input'])}"[:300])


def _steps(tree: Any, loc: Sequence[str | int]) -> Iterator[str | int]:
    """Return `loc` without what stands for the form of a union, or for a list of one."""
    for at, step in enumerate(loc):
        inside = step in tree if isinstance(tree, dict) else isinstance(tree, list) and isinstance(step, int)
        if inside:
            tree = tree[step]
        elif at < len(loc) - 1:
            continue
        yield step


def _keys(annotation: Any, loc: Sequence[str | int]) -> list[str]:
    """Return the keys that a mapping at `loc` may have, walking the annotations as pydantic walked the values."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not loc:
            return list(annotation.model_fields)
        field = annotation.model_fields.get(str(loc[0]))
        return _keys(field.annotation, loc[1:]) if field else []
    inside = loc[1:] if get_origin(annotation) in (tuple, dict) else loc
    return next((keys for form in reversed(get_args(annotation)) if (keys := _keys(form, inside))), [])
