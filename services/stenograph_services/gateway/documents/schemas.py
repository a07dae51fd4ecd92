"""JSON schemas of msgspec types, as the documents of the interfaces show them.

Some types have raw JSON for a default, which `msgspec.json.schema_components` (0.22) refuses: so each is described by a
mirror of itself, in which such a field may be left out and nobody says what for. And a field that holds its default is
left out of the bytes, so that none that may hold nothing is ever null there.
"""

import functools
import inspect
import operator
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import NODEFAULT, Raw

from stenograph_events import Event

Kind = type[msgspec.Struct]

_Time = Annotated[datetime, msgspec.Meta(tz=True)]  # which alone msgspec calls a date-time


def schemas_of(kinds: Iterable[Kind], reference: str) -> dict[str, Any]:
    """Return the schemas of `kinds` and of what they are made of, by name; `reference` has a `{name}` in it."""
    _, schemas = msgspec.json.schema_components([_mirror(kind) for kind in kinds], ref_template=reference)
    for schema in schemas.values():
        for field in schema.get("properties", {}).values():
            if field.get("default", ...) is None:
                without_null(field)
    return dict(sorted(schemas.items()))


def without_null(schema: dict[str, Any]) -> None:
    """Take null out of what `schema` allows."""
    kept = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if len(kept) == len(schema.get("anyOf", ())):
        return
    if schema.get("default", ...) is None:
        del schema["default"]
    if len(kept) > 1:
        schema["anyOf"] = kept
    else:
        del schema["anyOf"]
        schema |= kept[0]


@functools.cache
def _mirror(kind: Kind) -> Kind:
    hints, config = get_type_hints(kind), kind.__struct_config__
    decimal = float if issubclass(kind, Event) else Decimal  # the log holds numbers, other bodies text
    fields = [
        (field.name, _mirrored(hints[field.name], decimal), _default(field)) for field in msgspec.structs.fields(kind)
    ]
    return msgspec.defstruct(
        kind.__name__,
        fields,
        kw_only=True,
        tag=config.tag,
        tag_field=config.tag_field,
        namespace={"__doc__": inspect.getdoc(kind) if kind.__doc__ else None},
        module=kind.__module__,
    )


def _mirrored(hint: Any, decimal: type) -> Any:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return _mirror(hint)
    if hint in (datetime, Decimal):
        return _Time if hint is datetime else decimal
    origin, arguments = get_origin(hint), tuple(_mirrored(one, decimal) for one in get_args(hint))
    if origin in (Union, UnionType):
        return functools.reduce(operator.or_, arguments)
    return origin[arguments] if origin in (tuple, list, dict) else hint


def _default(field: msgspec.structs.FieldInfo) -> Any:
    name = field.encode_name
    if isinstance(field.default, Raw):
        return msgspec.field(name=name, default_factory=lambda: None)
    if field.default is not NODEFAULT:
        return msgspec.field(name=name, default=field.default)
    if field.default_factory is not NODEFAULT:
        return msgspec.field(name=name, default_factory=field.default_factory)
    return msgspec.field(name=name)
