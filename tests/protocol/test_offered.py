"""Tools known only at run time: what may be offered, what is told of a mistake, and what a model is shown."""

import time
from typing import Any

import msgspec
import pytest

from stenograph_events.testing import raw
from stenograph_events.values import OfferedTool
from stenograph_services.protocol.offered import (
    MAX_BYTES,
    MAX_TOOLS,
    InvalidTools,
    ToolsTooLarge,
    as_tools,
    misfit,
    offered,
    offered_again,
)
from stenograph_services.protocol.schemas import problems

QUERY = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}


def one(schema: Any, name: str = "files__search") -> Any:
    """Return the one tool with parameters `schema`, as a model is offered it."""
    tools = offered([{"name": name, "description": "Search", "inputSchema": schema}], "dynamicToolSchemas")
    assert offered_again(tools, "tools") == tools, "what is written out stays as it is"
    return as_tools(tools)[0]


def shown(schema: Any) -> Any:
    return one(schema).parameters.json


def mistake(given: Any) -> str:
    with pytest.raises(InvalidTools) as refused:
        offered(given, "dynamicToolSchemas")
    return str(refused.value)


def mistake_in(schema: Any) -> str:
    return mistake([{"name": "first", "inputSchema": QUERY}, {"name": "second", "inputSchema": schema}])


def test_a_tool_is_offered_as_it_was_sent():
    tool = one(QUERY)

    assert (tool.name, tool.description, tool.parameters.json) == ("files__search", "Search", QUERY)
    assert problems(tool.parameters, {"query": "tides"}) is None
    assert problems(tool.parameters, {"query": 5}) == '/query: 5 is not of type "string"'


@pytest.mark.parametrize("name", ["a", "look-up", "files__search", "A_b-9", "x" * 64])
def test_a_name_is_what_providers_take(name: str):
    assert one(QUERY, name).name == name


@pytest.mark.parametrize("schema", [{}, {"type": "object"}, {"type": ["object", "null"]}, {"$ref": "#"}])
def test_parameters_are_an_object_with_properties(schema: Any):
    assert shown(schema) == {"type": "object", "properties": {}}


def test_objects_inside_have_properties_too():
    assert shown({"properties": {"a": {"type": "object"}}})["properties"] == {"a": {"type": "object", "properties": {}}}


def test_references_are_written_out_and_one_that_contains_itself_ends():
    tree = {"type": "object", "properties": {"id": {"$ref": "#/$defs/Id"}, "kids": {"items": {"$ref": "#/$defs/Tree"}}}}

    written = shown({"$ref": "#/$defs/Tree", "$defs": {"Tree": tree, "Id": {"type": "string"}}})

    assert written == {"type": "object", "properties": {"id": {"type": "string"}, "kids": {"items": {}}}}


def test_what_stands_beside_a_reference_holds_as_well():
    n = {"$ref": "#/$defs/N", "minimum": 3, "description": "How many"}

    tool = one({"properties": {"n": n}, "$defs": {"N": {"type": "integer"}}})

    both = {"allOf": [{"type": "integer"}, {"minimum": 3}], "description": "How many"}
    assert tool.parameters.json["properties"] == {"n": both}
    assert problems(tool.parameters, {"n": 3}) is None
    assert problems(tool.parameters, {"n": 2}) is not None


def test_combinators_at_the_root_are_not_shown_and_hold_all_the_same():
    by_id = {"properties": {"id": {"type": "string"}, "how": {"const": "id"}}, "required": ["id", "how"]}
    by_name = {"properties": {"name": {"type": "string"}, "how": {"const": "name"}}, "required": ["name", "how"]}

    tool = one({"type": "object", "oneOf": [by_id, by_name], "additionalProperties": True})

    assert tool.parameters.json == {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "how": {"anyOf": [{"const": "id"}, {"const": "name"}]},
            "name": {"type": "string"},
        },
        "required": ["how"],
    }
    assert problems(tool.parameters, {"how": "id", "id": "7"}) is None
    assert problems(tool.parameters, {"how": "id", "name": "7"}) is not None


@pytest.mark.parametrize("pattern", ["(?=a)b", "(?<!a)b", r"(a)\1", "(", "(a{1000}){1000}"])
def test_a_pattern_that_cannot_be_matched_in_linear_time_is_left_out(pattern: str):
    properties = {"a": {"type": "string", "pattern": pattern}, "b": {"type": "string", "pattern": "^[a-z]+$"}}

    written = shown({"properties": properties})["properties"]

    assert written == {"a": {"type": "string"}, "b": {"type": "string", "pattern": "^[a-z]+$"}}


def test_older_drafts_and_words_that_nobody_knows_do_no_harm():
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "x-order": 3,
        "properties": {"pair": {"items": [{"type": "string"}, {"type": "number"}], "additionalItems": False}},
    }

    pair = {"prefixItems": [{"type": "string"}, {"type": "number"}], "items": False}
    assert shown(schema) == {"properties": {"pair": pair}, "type": "object"}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"a": 1}, "dynamicToolSchemas: must be a list of tools, not a mapping"),
        (["x"], "dynamicToolSchemas[0]: must be a tool with a name and inputSchema, not 'x'"),
        ([{"name": "a"}], "dynamicToolSchemas[0].inputSchema: is missing"),
        ([{"inputSchema": {}}], "dynamicToolSchemas[0].name: is missing"),
        ([{"name": 5, "inputSchema": {}}], "dynamicToolSchemas[0].name: must be a text, not 5"),
        (
            [{"name": "a.b", "inputSchema": {}}],
            "dynamicToolSchemas[0].name: 'a.b' must be 1 to 64 letters, digits, - or _",
        ),
        (
            [{"name": "octavus_x", "inputSchema": {}}],
            "dynamicToolSchemas[0].name: 'octavus_x' begins with octavus_, as our own tools do; choose another name",
        ),
        (
            [{"name": "a", "inputSchema": {}}, {"name": "a", "inputSchema": {}}],
            "dynamicToolSchemas[1].name: 'a' is there twice; each tool has a name of its own",
        ),
        (
            [{"name": "a", "description": 5, "inputSchema": {}}],
            "dynamicToolSchemas[0].description: must be a text, not 5",
        ),
    ],
)
def test_a_tool_that_is_none_is_told_with_its_place(given: Any, sentence: str):
    assert mistake(given) == sentence


@pytest.mark.parametrize(
    ("schema", "sentence"),
    [
        (5, ": must be a JSON Schema, not 5"),
        (
            {"type": "objct"},
            ".type: must be one of array, boolean, integer, null, number, object, string, not 'objct'"
            "; did you mean 'object'?",
        ),
        ({"type": "string"}, """.type: must be "object", because a tool takes named arguments, not 'string'"""),
        ({"properties": []}, ".properties: must be a mapping of names to schemas, not a list"),
        ({"properties": {"a": "text"}}, ".properties.a: must be a JSON Schema, not 'text'"),
        ({"properties": {"a": {"minimum": "x"}}}, '.properties.a.minimum: "x" is not of type "number"'),
        ({"required": "a"}, '.required: "a" is not of type "array"'),
        ({"anyOf": {}}, ".anyOf: must be a list of schemas, not a mapping"),
        ({"allOf": []}, ".allOf: must be a list of schemas, not an empty one"),
        ({"properties": {"a": {"pattern": 5}}}, ".properties.a.pattern: must be a text, not 5"),
        ({"$ref": "https://x/y"}, ".$ref: 'https://x/y' leads out of the schema; only #/… is followed"),
        ({"$ref": "#/$defs/X"}, ".$ref: '#/$defs/X' leads nowhere"),
    ],
)
def test_a_schema_that_is_none_is_told_with_its_place(schema: Any, sentence: str):
    assert mistake_in(schema) == f"dynamicToolSchemas[1].inputSchema{sentence}"


def nested(levels: int) -> Any:
    schema: Any = {}
    for _ in range(levels):
        schema = {"properties": {"a": schema}}
    return schema


def doubling(levels: int) -> Any:
    """A few references that stand for 2 to the `levels` schemas."""
    defs = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(levels)}
    return {"$ref": "#/$defs/d0", "$defs": defs | {f"d{levels}": {}}}


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        (nested(40), "inputSchema: is nested more than 64 levels deep"),
        (nested(3000), "inputSchema: is nested more than 64 levels deep"),
        (doubling(20), ": the tools hold more than 20000 schemas, their references written out"),
        (doubling(60), ": is nested more than 64 levels deep, its references written out"),
        ({"properties": {f"a{i}": {} for i in range(30_000)}}, ": the tools hold more than 20000 schemas"),
    ],
)
def test_a_hostile_schema_is_refused_at_once(schema: Any, told: str):
    began = time.process_time()

    sentence = mistake_in(schema)

    assert told in sentence
    assert len(sentence) < 400
    assert time.process_time() - began < 2


def test_a_root_of_thousands_of_variants_is_shown_at_once():
    variants = [{"properties": {"a": {"const": i}}, "required": [f"r{j}" for j in range(9)]} for i in range(2_000)]
    began = time.process_time()

    written = shown({"anyOf": variants})

    assert len(written["properties"]["a"]["anyOf"]) == 2_000
    assert len(written["required"]) == 9
    assert time.process_time() - began < 2


def test_only_so_many_patterns_are_kept():
    properties = {f"a{i}": {"type": "string", "pattern": f"^(a{{1,{i % 40 + 1}}}){{9}}b{i}$"} for i in range(3_000)}
    began = time.process_time()

    written = shown({"properties": properties})["properties"]

    assert sum("pattern" in schema for schema in written.values()) == 100
    assert time.process_time() - began < 5


def test_no_text_makes_a_pattern_run_for_ever():
    tool = one({"properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}})
    began = time.process_time()

    assert problems(tool.parameters, {"a": "a" * 200_000 + "!"}) is not None
    assert time.process_time() - began < 1


def test_a_large_schema_and_large_arguments_do_not_hold_the_service_up():
    """Each variant was tried on each value, and to tell of the first mistake all of them were kept in memory."""
    items = {"anyOf": [{"type": "string", "minLength": n + 3} for n in range(3_000)]}
    [offers] = offered(
        [{"name": "a", "inputSchema": {"properties": {"a": {"type": "array", "items": items}}}}], "tools"
    )
    [tool] = as_tools((offers,))
    began = time.process_time()

    few = misfit(offers, tool, raw({"a": ["aa"] * 2_000}))
    many = misfit(offers, tool, raw({"a": ["aa"] * 200_000}))

    assert few is not None
    assert few.startswith('/a/0: "aa" is not valid under any of the schemas')
    assert many == "they are too many to be checked with the schema of the tool; send fewer"
    assert time.process_time() - began < 2


def test_tools_that_do_not_fit_into_an_event_are_too_large():
    with pytest.raises(ToolsTooLarge) as refused:
        offered([{"name": "a", "inputSchema": {"description": "x" * MAX_BYTES}}], "tools")

    assert str(refused.value) == "tools: the tools take 262222 bytes; 262144 fit. Offer fewer, or shorter schemas"


def test_a_model_is_offered_no_more_tools_than_it_takes():
    many = [{"name": f"t{i}", "inputSchema": {}} for i in range(MAX_TOOLS + 1)]

    assert len(offered(many[:-1], "tools")) == MAX_TOOLS
    assert mistake(many) == "dynamicToolSchemas: holds 129 tools; models take 128"


def test_equal_tools_share_their_validators():
    tools = offered([{"name": "a", "inputSchema": QUERY}], "tools")
    read = msgspec.json.decode(msgspec.json.encode(tools), type=tuple[OfferedTool, ...])

    assert as_tools(read)[0].parameters.validator is as_tools(tools)[0].parameters.validator
