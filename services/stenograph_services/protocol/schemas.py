"""JSON Schemas of values, and the one sentence that says why a value does not fit.

{userId: {type: string, optional: true}}   {"type":"object","properties":{"userId":{"type":"string"}},…}
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import jsonschema_rs
import msgspec

from stenograph_services.protocol.agent import Field, Schema
from stenograph_services.protocol.problems import did_you_mean, plain, shown

MAX_SENTENCE = 200  # an error must not carry the whole value that it is about


def object_schema(properties: Mapping[str, dict[str, Any]], required: Iterable[str]) -> dict[str, Any]:
    """Return the JSON Schema of an object, which may have other properties too."""
    return {"type": "object", "properties": dict(properties), "required": list(required)}


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """Return `schema` with every object that lists its properties having no others: what a model may write."""
    return {key: _closed(key, value) for key, value in schema.items()} | (
        {"additionalProperties": False} if "properties" in schema else {}
    )


def _closed(key: str, value: Any) -> Any:
    match key:
        case "properties":
            return {name: closed(schema) for name, schema in value.items()}
        case "items":
            return closed(value)
        case "anyOf":
            return [closed(schema) for schema in value]
        case _:
            return value


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
        schema.validator.validate(value)  # stops at the first error; to list them all may take gigabytes
        return None
    except jsonschema_rs.ValidationError as wrong:
        error = _nearest(wrong)
    except ValueError as failure:  # nested too deep for the validator, or not JSON
        return _short(str(failure))
    place = "".join(f"/{plain(str(part), 40)}" for part in error.instance_path)
    return _short(f"{place}: {_sentence(error)}" if place else _sentence(error))


def _nearest(error: jsonschema_rs.ValidationError) -> jsonschema_rs.ValidationError:
    """Return `error`, or, where a value is none of a union, what is wrong with it as the variant that it says it is."""
    if not isinstance(error.kind, jsonschema_rs.ValidationErrorKind.AnyOf):
        return error
    constant = jsonschema_rs.ValidationErrorKind.Constant
    meant = [wrong for wrong in error.kind.context if not any(isinstance(each.kind, constant) for each in wrong)]
    return _nearest(meant[0][0]) if len(meant) == 1 else error


def _sentence(error: jsonschema_rs.ValidationError) -> str:
    """Return what is wrong, with all that an `enum` allows: whoever has to mend it chooses among these."""
    if not isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Enum):
        return error.message
    *others, last = [msgspec.json.encode(option).decode() for option in error.kind.options]
    allowed = f"{', '.join(others)} or {last}" if others else last
    return f"{msgspec.json.encode(error.instance).decode()} is not one of {allowed}"


def check_fields(fields: tuple[Field, ...], values: Any) -> tuple[dict[str, Any], list[str]]:
    """Return `values` with the defaults filled in, and a sentence for each that is missing, unknown or of a wrong type.

    What is optional, has no default and was not given is absent from the result.
    """
    if not isinstance(values, dict):
        # What was given may be a secret that stands in the wrong place: nothing of it is quoted.
        given = "" if any(field.secret for field in fields) else f", not {shown(values)}"
        return {}, [f"must be an object{given}"]
    checked: dict[str, Any] = {}
    wrong: list[str] = []
    for field in fields:
        if field.name in values:
            checked[field.name] = values[field.name]
            if field.secret:
                if not isinstance(values[field.name], str):
                    wrong.append(f"/{field.name}: must be a text; it is secret, so what was given is not shown")
            elif problem := problems(compiled(field.schema), values[field.name]):
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
