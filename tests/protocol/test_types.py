"""Types are written out as JSON Schema: what a value has to be, and what a model is told."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.support.small_agent import BUNDLE, PROTOCOL, compiled, errors

from stenograph_services.protocol import NextMessage, load_folder, problems
from stenograph_services.protocol import compiled as validator

WHOLE = load_folder(Path(__file__).parent / "agents" / "whole")
PRICE = {"amount": 5, "currency": "EUR"}
ORDER = {"type": "gift", "tags": ["gift"], "grid": [[1], [2]]}


def wrong(name: str, value: Any) -> str | None:
    return problems(validator(WHOLE.types[name]), value)


@pytest.mark.parametrize(
    ("expression", "schema"),
    [
        ("string", {"type": "string"}),
        ("number", {"type": "number"}),
        ("integer", {"type": "integer"}),
        ("boolean", {"type": "boolean"}),
        ("unknown", {}),
        ("'string[]'", {"type": "array", "items": {"type": "string"}}),
        ("'unknown[]'", {"type": "array", "items": {}}),
    ],
)
def test_a_built_in_type_is_a_small_schema(expression: str, schema: dict[str, Any]):
    assert compiled("COMPANY: {type: string}", f"COMPANY: {{type: {expression}}}").input[0].schema == schema


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"id": "f1", "mediaType": "image/png", "url": "https://x/y"}, None),
        ({"id": "f1", "mediaType": "image/png", "url": "https://x/y", "filename": "a.png", "size": 5}, None),
        ({"id": "f1", "mediaType": "image/png"}, '"url" is a required property'),
        ("https://x/y", '"https://x/y" is not of type "object"'),
    ],
)
def test_a_file_is_an_id_a_media_type_and_a_url(value: Any, expected: str | None):
    field = compiled("COMPANY: {type: string}", "COMPANY: {type: file}").input[0]

    assert problems(validator(field.schema), value) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("Price", PRICE, None),
        ("Price", {"amount": 5, "currency": "CHF"}, '/currency: "CHF" is not one of "EUR" or "USD"'),
        ("Price", {"amount": 5}, '"currency" is a required property'),
        ("Order", {**ORDER, "prices": [PRICE]}, None),
        ("Order", {**ORDER, "type": {}}, '/type: {} is not of type "string"'),
        ("Order", {**ORDER, "prices": [5]}, '/prices/0: 5 is not of type "object"'),
        ("Order", {**ORDER, "tags": ["big"]}, '/tags/0: "big" is not one of "gift" or "fragile"'),
        ("Order", {**ORDER, "grid": [["x"]]}, '/grid/0/0: "x" is not of type "integer"'),
        ("Orders", [ORDER, ORDER], None),
        ("Answer", {"kind": "missing", "reason": "none"}, None),
        ("Answer", {"kind": "found", "orders": [ORDER]}, None),
        ("Answer", {"kind": "a"}, '{"kind":"a"} is not valid under any of the schemas listed in the \'anyOf\' keyword'),
    ],
)  # fmt: skip
def test_a_declared_type_checks_its_values(name: str, value: Any, expected: str | None):
    assert wrong(name, value) == expected


def test_a_description_goes_with_the_type():
    order = WHOLE.types["Order"]["properties"]

    assert order["type"]["description"] == "A property may be called type"
    assert order["prices"]["items"]["description"] == "One price"
    assert WHOLE.types["Orders"]["description"] == "All orders"
    assert WHOLE.types["Answer"]["description"] == "What was found"


def test_what_a_model_writes_has_no_other_properties_and_what_a_worker_answers_may_have():
    tool = WHOLE.tools["find-orders"]
    asked = next(block for block in WHOLE.handlers["user-message"] if isinstance(block, NextMessage))

    assert tool.result is not None
    assert asked.response is not None
    assert problems(tool.result, [{**ORDER, "more": 1}]) is None
    assert problems(tool.parameters, {"customer": "c", "filters": {**PRICE, "more": 1}}) is not None
    assert asked.response_type == "Reply"
    reply = {"answer": {"kind": "missing", "reason": "none"}, "suggestions": []}
    assert problems(asked.response, reply) is None
    assert problems(asked.response, {**reply, "more": 1}) is not None


def test_several_circles_of_types_are_told_at_once_and_nothing_that_hangs_on_them():
    types = (
        "types:\n  A: {b: {type: B}}\n  B: {a: {type: 'A[]'}}\n  C: {c: {type: C}}\n"
        "  D: {a: {type: A}, c: {type: C}}\nvariables:\n  V: {type: D}\n"
    )
    bundle = msgspec.structs.replace(BUNDLE, protocol=types + PROTOCOL.replace("variables:\n", "").replace(
        "  ANSWER: {type: string}\n  COUNT: {type: integer}\n", ""))  # fmt: skip

    told = [line for line in errors(bundle) if "types." in line]

    assert told == [
        "agents/x/protocol.yaml:2 types.A: contains itself: 'A' → 'B' → 'A'; types cannot be recursive",
        "agents/x/protocol.yaml:4 types.C: contains itself: 'C' → 'C'; types cannot be recursive",
    ]
