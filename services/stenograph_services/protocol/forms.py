"""The forms in which a person writes one value: names, durations, mappings, settings that a variable may give.

Each form says what is wrong in one sentence, and carries the JSON Schema that editors complete from.
"""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainValidator, WithJsonSchema, model_validator
from pydantic.alias_generators import to_camel

from stenograph_services.protocol.agent import Ref
from stenograph_services.protocol.problems import Path, did_you_mean, shown

MAX_TIMEOUT_SECONDS = 24 * 3600.0
MAX_APPROVAL_SECONDS = 365 * 24 * 3600.0
MAX_RESULT_BYTES = 64 * 1024**2
MAX_STEPS = 1000

REFERENCE = re.compile(r"[A-Z][A-Z0-9_]*")
"""A value that is spelled like this names the input or variable that gives the setting."""


class Document(BaseModel):
    """A mapping that a person wrote. An empty value is the same as a key that is not there."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel)

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, value: Any) -> Any:
        if value is None:
            return {}
        return {key: item for key, item in value.items() if item is not None} if isinstance(value, dict) else value


# ---- durations and money

_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smhd]?)")
_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 24 * 3600}


def _duration_schema(most: float) -> dict[str, Any]:
    number = {"type": "number", "exclusiveMinimum": 0, "maximum": most}
    return {"anyOf": [number, {"type": "string", "pattern": f"^{_DURATION.pattern}$"}]}


def _duration(value: Any, most: float) -> float | None:
    """Return the seconds that `value` says; None if it says none, or more than `most`."""
    text = str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    seconds = float(found[1]) * _UNIT_SECONDS[found[2]] if found else 0.0
    return seconds if 0 < seconds <= most else None


def _seconds(value: Any) -> float:
    if (seconds := _duration(value, MAX_TIMEOUT_SECONDS)) is None:
        raise ValueError(f'must be seconds, or text such as "30s", "2m" or "1h", up to 24 h, not {shown(value)}')
    return seconds


def _long_seconds(value: Any) -> float:
    if (seconds := _duration(value, MAX_APPROVAL_SECONDS)) is None:
        raise ValueError(f'must be seconds, or text such as "30m", "8h" or "7d", up to 365 d, not {shown(value)}')
    return seconds


_SIZE = re.compile(r"([1-9][0-9]{0,9})(B|KiB|MiB)?")
_UNIT_BYTES = {None: 1, "B": 1, "KiB": 1024, "MiB": 1024**2}


def _size(value: Any) -> int:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    found = _SIZE.fullmatch(text) if isinstance(text, str) else None
    size = int(found[1]) * _UNIT_BYTES[found[2]] if found else 0
    if not 0 < size <= MAX_RESULT_BYTES:
        raise ValueError(f'must be bytes, or text such as "64KiB" or "2MiB", up to 64 MiB, not {shown(value)}')
    return size


Seconds = Annotated[float, BeforeValidator(_seconds), WithJsonSchema(_duration_schema(MAX_TIMEOUT_SECONDS))]
LongSeconds = Annotated[float, BeforeValidator(_long_seconds), WithJsonSchema(_duration_schema(MAX_APPROVAL_SECONDS))]
Size = Annotated[
    int,
    BeforeValidator(_size),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": MAX_RESULT_BYTES},
                {"type": "string", "pattern": f"^{_SIZE.pattern}$"},
            ]
        }
    ),
]


_MONEY = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")


def _dollars(value: Any) -> Decimal:
    text = str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _MONEY.fullmatch(text) or not Decimal(text):
        raise ValueError(f"must be US dollars, such as 0.50, not {shown(value)}")
    return Decimal(text)


Dollars = Annotated[
    Decimal,
    PlainValidator(_dollars),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": _MONEY.pattern}]}
    ),
]

# ---- parts of a whole


def _part(value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value <= 1:
        raise ValueError(f"must be a part of the whole, more than 0 and at most 1, such as 0.8, not {shown(value)}")
    return float(value)


Part = Annotated[float, PlainValidator(_part), WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": 1})]

# ---- unknown outcomes


class Reconcile(NamedTuple):
    """The tool that finds out what came of a call."""

    tool: str


_ON_UNKNOWN = ("tell-model", "ask-person")


def _unknown_form(value: Any) -> Any:
    if isinstance(value, str) and value in _ON_UNKNOWN:
        return value
    if isinstance(value, dict) and list(value) == ["reconcile"] and isinstance(value["reconcile"], str):
        return Reconcile(value["reconcile"])
    near = did_you_mean(value, _ON_UNKNOWN) if isinstance(value, str) else ""
    raise ValueError(f"must be tell-model, ask-person or {{reconcile: TOOL}}, not {shown(value)}{near}")


UnknownForm = Annotated[
    Literal["tell-model", "ask-person"] | Reconcile,
    PlainValidator(_unknown_form),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": list(_ON_UNKNOWN)},
                {
                    "type": "object",
                    "properties": {"reconcile": {"type": "string"}},
                    "required": ["reconcile"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]

# ---- input mappings


class Mapped(NamedTuple):
    """A label that a prompt knows, the name that it is filled from, and where that is written."""

    label: str
    source: str
    at: Path


def _mapped(value: Any) -> tuple[Mapped, ...]:
    """Read `[A, B]`, `[A: B]` and `{A: B}`."""
    pairs: list[Mapped] = []
    for at, item in enumerate(value) if isinstance(value, list) else [(None, value)]:
        if isinstance(item, str) and at is not None:
            pairs.append(Mapped(item, item, (at,)))
        elif isinstance(item, dict) and all(isinstance(source, str) for source in item.values()):
            pairs += [Mapped(label, source, (label,) if at is None else (at, label)) for label, source in item.items()]
        else:
            raise ValueError("must be a list of names, of `LABEL: NAME`, or a mapping of labels to names")
    return tuple(pairs)


_MAPPING_SCHEMA = {"type": "object", "additionalProperties": {"type": "string"}}
InputMap = Annotated[
    tuple[Mapped, ...],
    PlainValidator(_mapped),
    WithJsonSchema(
        {"anyOf": [{"type": "array", "items": {"anyOf": [{"type": "string"}, _MAPPING_SCHEMA]}}, _MAPPING_SCHEMA]}
    ),
]

# ---- settings that a variable may give


def _setting(
    accepts: Callable[[Any], bool],
    what: str,
    *,
    read: Callable[[Any], Any] = lambda value: value,
    options: Sequence[str] = (),
) -> Any:
    """Return the validator of a setting that is `what`, or the name of the variable that gives it."""

    def validate(value: Any) -> Any:
        if isinstance(value, str) and REFERENCE.fullmatch(value):
            return Ref(value)
        if not accepts(value):
            near = did_you_mean(value, options) if isinstance(value, str) else ""
            raise ValueError(f"must be {what}, or the NAME of a variable, not {shown(value)}{near}")
        return read(value)

    return PlainValidator(validate)


def _schema(*literals: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [*literals, {"type": "string", "pattern": f"^{REFERENCE.pattern}$"}]})


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_STEPS


def _is_temperature(value: Any) -> bool:
    return value == "off" or (isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 2)


_THINKING, _SPEEDS = ["low", "medium", "high", "max", "off"], ["fast", "standard"]

ModelSetting = Annotated[
    str | Ref,
    _setting(lambda value: isinstance(value, str), "provider/model, such as openai/gpt-5"),
    _schema({"type": "string", "pattern": "/"}),
]
StepsSetting = Annotated[
    int | Ref,
    _setting(_is_whole, f"a whole number from 1 to {MAX_STEPS}"),
    _schema({"type": "integer", "minimum": 1, "maximum": MAX_STEPS}),
]
TemperatureSetting = Annotated[
    float | Ref | None,
    _setting(
        _is_temperature, "a number from 0 to 2 or `off`", read=lambda value: None if value == "off" else float(value)
    ),
    _schema({"type": "number", "minimum": 0, "maximum": 2}, {"const": "off"}),
]
ThinkingSetting = Annotated[
    str | Ref,
    _setting(_THINKING.__contains__, "low, medium, high, max or off", options=_THINKING),
    _schema({"enum": _THINKING}),
]
SpeedSetting = Annotated[
    str | Ref,
    _setting(_SPEEDS.__contains__, "fast or standard", options=_SPEEDS),
    _schema({"enum": _SPEEDS}),
]
