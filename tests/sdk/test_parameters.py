from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
import pytest

from stenograph_events.testing import raw
from stenograph_sdk import Tool, ToolContext, ToolDefinitionError
from stenograph_sdk.parameters import InvalidArguments, Parameters, described


class Address(msgspec.Struct):
    street: str


def parameters(function: Any) -> Parameters:
    return Parameters("refund-order", function, context=ToolContext)


def test_the_signature_gives_the_schema_that_agents_see():
    async def refund(order: str, amount: Annotated[float, msgspec.Meta(gt=0)], reason: str = "") -> None: ...

    assert parameters(refund).schema == {
        "title": "refund_order",
        "type": "object",
        "properties": {
            "order": {"type": "string"},
            "amount": {"type": "number", "exclusiveMinimum": 0},
            "reason": {"type": "string"},
        },
        "required": ["order", "amount"],
        "additionalProperties": False,
    }


def test_types_inside_types_travel_with_the_schema():
    def ship(to: Address) -> None: ...

    schema = parameters(ship).schema

    assert schema["properties"]["to"] == {"$ref": "#/$defs/Address"}
    assert schema["$defs"]["Address"]["properties"] == {"street": {"type": "string"}}


def test_arguments_arrive_in_the_types_of_the_signature():
    def ship(to: Address, how: Literal["fast", "slow"], boxes: int = 1) -> None: ...

    given = parameters(ship).convert(raw({"to": {"street": "Elm"}, "how": "fast", "boxes": 2}))

    assert given == {"to": Address("Elm"), "how": "fast", "boxes": 2}


def test_what_a_call_leaves_out_is_left_to_the_function():
    def ship(to: str, boxes: int = 1) -> None: ...

    assert parameters(ship).convert(raw({"to": "Elm"})) == {"to": "Elm"}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"to": {"street": 7}}, r"Expected `str`, got `int` - at `\$\.to\.street`"),
        ({}, "missing required field `to`"),
        ({"to": {"street": "Elm"}, "express": True}, "unknown field `express`"),
    ],
)
def test_arguments_that_do_not_fit_are_named_by_their_path(arguments: Any, reason: str):
    def ship(to: Address) -> None: ...

    with pytest.raises(InvalidArguments, match=f"the arguments do not fit refund-order: .*{reason}"):
        parameters(ship).convert(raw(arguments))


def test_a_function_that_takes_everything_gets_everything():
    def anything(user: str, **more: Any) -> None: ...

    assert parameters(anything).convert(raw({"user": "u1", "a": 1})) == {"user": "u1", "a": 1}


def test_a_parameter_without_an_annotation_takes_any_value():
    def anything(value) -> None: ...

    assert parameters(anything).convert(raw({"value": [1, "a"]})) == {"value": [1, "a"]}


def test_the_context_is_not_a_parameter_of_the_model():
    def ship(to: str, *, call: ToolContext) -> None: ...

    read = parameters(ship)

    assert read.context_name == "call"
    assert list(read.schema["properties"]) == ["to"]


def test_a_method_and_a_callable_object_serve_as_well():
    class Shipping:
        def ship(self, to: str) -> None: ...

        def __call__(self, to: int) -> None: ...

    assert parameters(Shipping().ship).schema["properties"] == {"to": {"type": "string"}}
    assert parameters(Shipping()).schema["properties"] == {"to": {"type": "integer"}}


def test_a_docstring_describes_a_tool():
    class Shipping:
        """Ships things."""

        def ship(self, to: str) -> None:
            """Ship one thing.

            By sea.
            """

        def __call__(self, to: str) -> None: ...

    assert described(Shipping().ship) == "Ship one thing.\n\nBy sea."
    assert described(Shipping()) == "Ships things."
    assert described(partial(Shipping().ship, to="Elm")) == "Ship one thing.\n\nBy sea."
    assert described(lambda: None) == ""


def test_a_parameter_says_what_it_means():
    def ship(to: Annotated[str, msgspec.Meta(description="Where to")]) -> None: ...

    assert parameters(ship).schema["properties"]["to"] == {"type": "string", "description": "Where to"}


def test_what_a_partial_has_filled_nobody_else_fills():
    def ship(to: str, *, boxes: int) -> None: ...

    read = parameters(partial(ship, boxes=2))

    assert list(read.schema["properties"]) == ["to"]
    assert read.convert(raw({"to": "Elm"})) == {"to": "Elm"}
    with pytest.raises(InvalidArguments, match="unknown field `boxes`"):
        read.convert(raw({"to": "Elm", "boxes": 9}))


def test_nor_does_a_call_of_a_function_that_takes_everything():
    def ship(boxes: int, **more: Any) -> None: ...

    assert parameters(partial(ship, boxes=2)).convert(raw({"to": "Elm", "boxes": 9})) == {"to": "Elm"}


@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_function_that_yields_is_no_tool(asynchronous: bool):
    def one() -> Iterator[int]:
        yield 1

    async def other() -> AsyncIterator[int]:
        yield 1

    with pytest.raises(ToolDefinitionError, match="it yields: a tool returns its result, whole"):
        Tool("ship", other if asynchronous else one)


def positional(order: str, /) -> None: ...


def many(*orders: str) -> None: ...


def foreign(order: "Missing") -> None: ...  # type: ignore[name-defined]  # noqa: F821


def lock(order: pytest.Item) -> None: ...


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (positional, "'order' cannot be positional"),
        (many, "'orders' cannot be positional"),
        (foreign, "annotations cannot be read: name 'Missing' is not defined"),
        (lock, "a parameter has a type that JSON cannot carry"),
    ],
)
def test_a_function_that_cannot_be_a_tool_is_refused_when_it_is_defined(function: Any, reason: str):
    with pytest.raises(ToolDefinitionError, match=f"tool 'refund-order': .*{reason}"):
        parameters(function)
