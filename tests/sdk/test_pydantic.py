"""Tools whose parameters are pydantic's: models, and what `Field` says of plain types."""

import sys
from datetime import date
from typing import Annotated, Any, Literal

import msgspec
import pytest
from pydantic import BaseModel, Field, PositiveInt
from pydantic.dataclasses import dataclass

from stenograph_events.testing import raw
from stenograph_sdk import ToolContext, ToolDefinitionError
from stenograph_sdk.parameters import InvalidArguments, Parameters
from stenograph_sdk.pydantic_types import names_pydantic


class Line(BaseModel):
    """One thing that is ordered."""

    sku: str = Field(min_length=3, description="As on the box")
    count: PositiveInt = 1


class Order(BaseModel, extra="forbid"):
    lines: list[Line]
    on: date


class Address(msgspec.Struct):
    street: str


def parameters(function: Any) -> Parameters:
    return Parameters("place-order", function, context=ToolContext)


def place(order: Order, note: Annotated[str, Field(max_length=5, description="For the driver")] = "") -> Line:
    return order.lines[0]


def test_the_schema_is_the_models():
    schema = parameters(place).schema

    assert schema["required"] == ["order"]
    assert schema["properties"]["note"] == {"type": "string", "maxLength": 5, "description": "For the driver"}
    assert schema["properties"]["order"] == {
        "title": "Order",
        "type": "object",
        "properties": {
            "lines": {"title": "Lines", "type": "array", "items": {"$ref": "#/$defs/Line"}},
            "on": {"title": "On", "type": "string", "format": "date"},
        },
        "required": ["lines", "on"],
        "additionalProperties": False,
    }
    assert schema["$defs"]["Line"]["properties"]["sku"] == {
        "type": "string",
        "minLength": 3,
        "title": "Sku",
        "description": "As on the box",
    }


def test_a_model_arrives_as_one():
    given = parameters(place).convert(raw({"order": {"lines": [{"sku": "abc"}], "on": "2026-11-30"}}))

    assert given == {"order": Order(lines=[Line(sku="abc")], on=date(2026, 11, 30))}


@pytest.mark.parametrize(
    ("arguments", "reasons"),
    [
        ({"lines": [{"sku": "x"}], "on": "2026-11-30"}, ["at least 3 characters - at `$.order.lines[0].sku`"]),
        ({"lines": [], "on": "2026-11-30", "by": 1}, ["Extra inputs are not permitted - at `$.order.by`"]),
        ({"lines": [{"count": 0}]}, ["at `$.order.lines[0].sku`", "at `$.order.lines[0].count`", "at `$.order.on`"]),
        ({"lines": [{}] * 9, "on": "2026-11-30"}, ["`$.order.lines[4].sku`; and 4 more"]),
    ],
)  # fmt: skip
def test_each_path_that_does_not_fit_is_named(arguments: Any, reasons: list[str]):
    with pytest.raises(InvalidArguments, match="the arguments do not fit place-order: ") as raised:
        parameters(place).convert(raw({"order": arguments}))

    assert [reason for reason in reasons if reason not in str(raised.value)] == []


def test_an_error_never_quotes_the_value():
    with pytest.raises(InvalidArguments) as raised:
        parameters(place).convert(raw({"order": {"lines": "my password", "on": "hunter2"}, "note": "hunter2"}))

    assert "hunter2" not in str(raised.value)
    assert "password" not in str(raised.value)


def test_types_of_both_kinds_stand_in_one_signature():
    def ship(to: Address, how: Literal["fast", "slow"], lines: list[Line] | None = None) -> None: ...

    read = parameters(ship)
    given = read.convert(raw({"to": {"street": "Elm"}, "how": "fast", "lines": [{"sku": "abc", "count": 2}]}))

    assert given == {"to": Address("Elm"), "how": "fast", "lines": [Line(sku="abc", count=2)]}
    assert sorted(read.schema["$defs"]) == ["Address", "Line"]
    assert read.convert(raw({"to": {"street": "Elm"}, "how": "fast"})) == {"to": Address("Elm"), "how": "fast"}


def test_a_dataclass_of_pydantics_is_validated_by_it():
    @dataclass
    class Seat:
        row: PositiveInt

    def book(seat: Seat) -> None: ...

    with pytest.raises(InvalidArguments, match=r"greater than 0 - at `\$\.seat\.row`"):
        parameters(book).convert(raw({"seat": {"row": 0}}))


def test_a_function_that_takes_everything_still_gets_its_models():
    def ship(line: Line, **more: Any) -> None: ...

    given = parameters(ship).convert(raw({"line": {"sku": "abc"}, "express": [True]}))

    assert given == {"line": Line(sku="abc"), "express": [True]}


def test_the_declared_result_gives_a_schema():
    def plain() -> dict[str, int]:
        return {}

    def nothing() -> None: ...

    def anything() -> Any: ...

    def silent(): ...

    def unwritable() -> pytest.Item:
        raise NotImplementedError

    assert parameters(place).result == Line.model_json_schema(mode="serialization")
    assert parameters(plain).result == {"type": "object", "additionalProperties": {"type": "integer"}}
    assert parameters(nothing).result == {"type": "null"}
    assert [parameters(one).result for one in (anything, silent, unwritable)] == [None, None, None]


def test_two_types_of_one_name_are_refused():
    other = msgspec.defstruct("Line", [("row", int)])

    def ship(lines: list[Line], rows: list[other]) -> None: ...  # type: ignore[valid-type]

    with pytest.raises(ToolDefinitionError, match="two different types are called Line"):
        parameters(ship)


def test_a_field_in_the_place_of_a_default_is_refused_with_the_mend():
    def ship(count: int = Field(gt=0)) -> None: ...

    with pytest.raises(ToolDefinitionError, match=r"write count: Annotated\[…, Field\(…\)\]"):
        parameters(ship)


def test_without_pydantic_nothing_is_looked_for(monkeypatch: pytest.MonkeyPatch):
    assert names_pydantic(list[Line])

    monkeypatch.delitem(sys.modules, "pydantic")

    assert not names_pydantic(list[Line])
