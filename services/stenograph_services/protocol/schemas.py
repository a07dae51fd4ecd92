"""Types of the language as JSON Schema, and the one sentence that says why a value does not fit.

string[]                                   {"type":"array","items":{"type":"string"}}
{userId: {type: string, optional: true}}   {"type":"object","properties":{"userId":{"type":"string"}},…}
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import jsonschema_rs
import msgspec

from stenograph_services.protocol.agent import Field, Schema
from stenograph_services.protocol.problems import did_you_mean, plain, shown

SCALARS = ("string", "number", "integer", "boolean", "unknown")
_LATER = re.compile(r"(file|[A-Z][A-Za-z0-9]*)(\[\])?")

MAX_SENTENCE = 200  # an error must not carry the whole value that it is about


def type_schema(expression: str) -> dict[str, Any]:
    """Return the JSON Schema of a type expression such as `string` or `integer[]`; raise `ValueError` otherwise."""
    scalar = expression.removesuffix("[]")
    if scalar not in SCALARS:
        if _LATER.fullmatch(expression):
            raise ValueError(
                f"the type {shown(expression)} is not supported yet; known are {', '.join(SCALARS)}, and T[]"
            )
        raise ValueError(f"unknown type {shown(expression)}{did_you_mean(expression, SCALARS)}")
    schema: dict[str, Any] = {} if scalar == "unknown" else {"type": scalar}
    return {"type": "array", "items": schema} if expression.endswith("[]") else schema


def object_schema(properties: Mapping[str, dict[str, Any]], required: Iterable[str], *, closed: bool) -> dict[str, Any]:
    """Return the JSON Schema of an object; a `closed` one has no other properties than these."""
    schema = {"type": "object", "properties": dict(properties), "required": list(required)}
    return {**schema, "additionalProperties": False} if closed else schema


def compiled(schema: dict[str, Any]) -> Schema:
    """Return `schema` with its validator. Equal schemas share one."""
    return Schema(json=schema, validator=_validator(msgspec.json.encode(schema, order="deterministic")))


@lru_cache(maxsize=4096)
def _validator(schema: bytes) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(msgspec.json.decode(schema), offline=True)


def problems(schema: Schema, value: Any) -> str | None:
    """Return why `value` breaks `schema` in one sentence of at most 200 characters, or None if it does not.

    >>> problems(parameters, {"userId": 5})
    '/userId: 5 is not of type "string"'
    """
    try:
        if schema.validator.is_valid(value):
            return None
        error = next(schema.validator.iter_errors(value))
    except ValueError as failure:  # nested too deep for the validator, or not JSON
        return _short(str(failure))
    place = "".join(f"/{plain(str(part), 40)}" for part in error.instance_path)
    return _short(f"{place}: {error.message}" if place else error.message)


def check_fields(fields: tuple[Field, ...], values: Any) -> tuple[dict[str, Any], list[str]]:
    """Return `values` with the defaults filled in, and a sentence for each that is missing, unknown or of a wrong type.

    What is optional, has no default and was not given is absent from the result.
    """
    if not isinstance(values, dict):
        return {}, [f"must be an object, not {shown(values)}"]
    checked: dict[str, Any] = {}
    wrong: list[str] = []
    for field in fields:
        if field.name in values:
            checked[field.name] = values[field.name]
            if problem := problems(compiled(field.schema), values[field.name]):
                wrong.append(f"/{field.name}{'' if problem.startswith('/') else ': '}{problem}")
        elif field.default is not None:
            checked[field.name] = field.default
        elif field.required:
            wrong.append(f"{field.name} is missing")
    names = [field.name for field in fields]
    unknown = [name for name in values if name not in names]
    return checked, wrong + [f"unknown name {shown(name)}{did_you_mean(str(name), names)}" for name in unknown[:10]]


def _short(sentence: str) -> str:
    """Return `sentence` with its middle left out if it is long: what is wrong stands at the end, where at the start."""
    if len(sentence) <= MAX_SENTENCE:
        return sentence
    return f"{sentence[: MAX_SENTENCE - 81]}…{sentence[-80:]}"
