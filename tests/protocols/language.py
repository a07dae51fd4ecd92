"""What the language has, read off its models, and what of it an agent uses.

    AgentDoc.whenBusy                           a key, used with another value than its default
    AgentDoc.whenBusy = enqueue                 a value of those that it may have
    ThreadDoc.temperature as {"const":"off"}    a form of those that it may have

A value, or a form, counts for the model that declares the key: what a block inherits is not asked for of each kind.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema_rs
import msgspec
from pydantic import BaseModel

from stenograph_services.protocol.documents import ProtocolDoc, SettingsDoc
from stenograph_services.protocol.forms import Document

Schema = dict[str, Any]

ROOTS: tuple[type[BaseModel], ...] = (ProtocolDoc, SettingsDoc)


def _schemas() -> dict[str, Schema]:
    """Return the JSON Schema of each model of the language, by the model's name."""
    found: dict[str, Schema] = {}
    for root in ROOTS:
        schema = root.model_json_schema(by_alias=True)
        found |= schema.pop("$defs", {})
        found[root.__name__] = schema
    return found


SCHEMAS = _schemas()


def everything() -> set[str]:
    """Return all that the language has."""
    return {label for name, schema in SCHEMAS.items() for label in _of_model(name, schema)}


def used(value: Any, model: type[BaseModel]) -> set[str]:
    """Return what `value`, a file of an agent as a `model`, uses of the language."""
    return set(_used_of_model(value, model.__name__))


# ---- what there is


def _of_model(name: str, schema: Schema) -> Iterator[str]:
    for key, inside in schema.get("properties", {}).items():
        yield f"{name}.{key}"
        yield from _choices(inside, _declared(name, key))


def _choices(schema: Schema, label: str) -> Iterator[str]:
    yield from (f"{label} = {value}" for value in _values(schema))
    forms = _forms(schema)
    for form in forms:
        if len(forms) > 1:
            yield _form(label, form)
        yield from _choices(form, label)
    for inside in _inside(schema):
        yield from _choices(inside, label)


def _values(schema: Schema) -> list[Any]:
    return list(schema.get("enum", [schema["const"]] if "const" in schema else []))


def _forms(schema: Schema) -> list[Schema]:
    """Return the forms that a value may have; that it may be left out is none."""
    forms: list[Schema] = schema.get("anyOf") or schema.get("oneOf") or []
    return [form for form in forms if form.get("type") != "null"]


def _inside(schema: Schema) -> list[Schema]:
    inside = [schema.get("items"), schema.get("additionalProperties")]
    return [it for it in inside if isinstance(it, dict)]


def _form(label: str, schema: Schema) -> str:
    said = {key: value for key, value in schema.items() if key not in ("description", "title", "minLength")}
    name = said["$ref"].rpartition("/")[2] if "$ref" in said else msgspec.json.encode(said).decode()
    return f"{label} as {name}"


def _declared(name: str, key: str) -> str:
    """Return the key under the name of the model that declares it."""
    owner = next(cls for cls in reversed(_models()[name].__mro__) if key in _keys(cls))
    return f"{owner.__name__}.{key}"


def _keys(cls: type) -> set[str]:
    fields = cls.model_fields if issubclass(cls, BaseModel) else {}
    return {field.alias or name for name, field in fields.items() if name in cls.__annotations__}


@cache
def _models() -> dict[str, type[Document]]:
    def below(cls: type[Document]) -> Iterator[type[Document]]:
        for inner in cls.__subclasses__():
            yield inner
            yield from below(inner)

    return {cls.__name__: cls for cls in below(Document)}


# ---- what is used


def _used_of_model(value: Any, name: str) -> Iterator[str]:
    for key, schema in SCHEMAS[name].get("properties", {}).items():
        given = value.get(key) if isinstance(value, dict) else None
        if given is None:
            continue
        if given != schema.get("default"):
            yield f"{name}.{key}"
        yield from _used(given, schema, _declared(name, key))


def _used(value: Any, schema: Schema, label: str) -> Iterator[str]:
    if "$ref" in schema:
        yield from _used_of_model(value, schema["$ref"].rpartition("/")[2])
    if value in _values(schema):
        yield f"{label} = {value}"
    forms = _forms(schema)
    for form in forms:
        if _fits(value, form):
            if len(forms) > 1:
                yield _form(label, form)
            yield from _used(value, form, label)
    for inside in _inside(schema):
        for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from _used(item, inside, label)


def _fits(value: Any, form: Schema) -> bool:
    return _validator(msgspec.json.encode(form)).is_valid(value)


@cache
def _validator(form: bytes) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for({**msgspec.json.decode(form), "$defs": SCHEMAS})
