"""Types of pydantic's in a tool's signature: models, and `Annotated[int, Field(gt=0)]`.

This package does not need pydantic. Who names such a type has imported it, and there it is found.
"""

import sys
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

from msgspec import Raw

ERRORS_SHOWN = 5
DEFINITIONS = "$defs"


class Unfit(ValueError):
    """A value does not fit its type. The message names each path, such as `$.amount`."""


class PydanticType:
    """A type that pydantic validates, and describes as JSON Schema."""

    def __init__(self, annotation: Any) -> None:
        self._adapter = sys.modules["pydantic"].TypeAdapter(annotation)

    def convert(self, name: str, value: Raw) -> Any:
        """Return what `value`, the JSON of parameter `name`, stands for; raise `Unfit`."""
        try:
            return self._adapter.validate_json(bytes(value))
        except sys.modules["pydantic"].ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)
            shown = [f"{one['msg']} - at `{_path(name, one['loc'])}`" for one in found[:ERRORS_SHOWN]]
            more = len(found) - len(shown)
            raise Unfit("; ".join(shown) + (f"; and {more} more" if more else "")) from error

    def schema(self, definitions: dict[str, Any], mode: Literal["validation", "serialization"]) -> dict[str, Any]:
        """Return the schema, and put what it refers to into `definitions`. Raises `TypeError` if JSON has none."""
        try:
            schema: dict[str, Any] = self._adapter.json_schema(ref_template=f"#/{DEFINITIONS}/{{model}}", mode=mode)
        except sys.modules["pydantic"].errors.PydanticInvalidForJsonSchema as error:
            raise TypeError(str(error).splitlines()[0]) from error
        merge(definitions, schema.pop(DEFINITIONS, {}))
        return schema


def merge(definitions: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Add `more` to `definitions`. Raises `TypeError` where two types have one name."""
    for name, schema in more.items():
        if definitions.setdefault(name, schema) != schema:
            raise TypeError(f"two different types are called {name}: rename one of them")


def names_pydantic(annotation: Any) -> bool:
    """Return whether `annotation` has a type of pydantic's in it, or says more about one in its terms."""
    if "pydantic" not in sys.modules:
        return False
    if _is_of_pydantic(annotation):
        return True
    metadata = getattr(annotation, "__metadata__", ())
    return any(map(_is_of_pydantic, metadata)) or any(map(names_pydantic, get_args(annotation)))


def is_field(default: Any) -> bool:
    """Return whether a default is pydantic's `Field(…)`, which only stands for one in its own models."""
    return type(default).__name__ == "FieldInfo" and type(default).__module__.startswith("pydantic")


def _is_of_pydantic(found: Any) -> bool:
    kind = found if isinstance(found, type) else type(found)
    if get_origin(found) is not None:
        return False
    module = kind.__module__.partition(".")[0]
    if module in ("pydantic", "pydantic_core", "annotated_types"):
        return True
    return hasattr(kind, "__pydantic_core_schema__") or hasattr(kind, "__get_pydantic_core_schema__")


def _path(name: str, location: tuple[int | str, ...]) -> str:
    return f"$.{name}" + "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in location)
