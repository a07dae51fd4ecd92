"""Values to JSON, as triggers and tools carry them."""

from typing import Any

import msgspec

from stenograph_sdk.files import ToolFile


def to_json(value: Any) -> bytes:
    """Return `value` as JSON: what msgspec knows (dataclasses, structs, dates …), pydantic's models, and files.

    Raises `TypeError` or `ValueError` if some part of it has no JSON.
    """
    return _encoder.encode(value)


def _written(value: Any) -> Any:
    if isinstance(value, ToolFile):
        return value.to_value()
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise TypeError(f"a value of type {type(value).__name__} cannot be written as JSON")


_encoder = msgspec.json.Encoder(enc_hook=_written, decimal_format="number")
