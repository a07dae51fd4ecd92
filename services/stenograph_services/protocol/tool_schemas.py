"""Schemas of tools known only at run time: whatever an application sends, made what every provider takes.

    sent         {"$ref":"#/$defs/Order","$defs":{"Order":{"properties":{"id":{"$ref":"#/$defs/Id"}}},"Id":{…}}}
    written out  {"type":"object","properties":{"id":{"type":"string"}}}

Written out, a schema has no references, no look-around patterns and no keywords that we do not know; every object has
`properties`. What a model is shown has no combinators at its root either; its arguments are checked with them.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs
import msgspec

from stenograph_services.protocol.problems import did_you_mean, plain, shown

MAX_DEPTH = 64  # levels of JSON, references written out: a provider's own parser is no deeper
MAX_NODES = 20_000  # schemas inside the tools of one turn: a reference may be written out again and again
MAX_PATTERNS = 100  # of one turn; each costs memory of its own
PATTERN_BYTES = 256 * 1024  # of one compiled pattern

PATTERNS = jsonschema_rs.RegexOptions(size_limit=PATTERN_BYTES)
"""Patterns that are matched in linear time: no text makes one of them run for ever."""

ROOT_COMBINATORS = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "enum", "const")
"""What providers refuse at the root of a tool's parameters."""

_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
_PLAIN = (
    "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "format",
    "enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
    "minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "minContains", "maxContains",
    "minProperties", "maxProperties", "required", "dependentRequired",
)  # fmt: skip
_SCHEMA = ("additionalProperties", "propertyNames", "items", "contains", "not", "if", "then", "else")
_SCHEMAS = ("allOf", "anyOf", "oneOf", "prefixItems")
_NAMED = ("properties", "dependentSchemas")
_SAID = ("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly")


class InvalidTools(ValueError):
    """Tools that cannot be offered. The message names the place: `dynamicToolSchemas[2].inputSchema.type: …`."""


class SchemaWriter:
    """Writes the schemas of one turn out; counts what they come to."""

    def __init__(self) -> None:
        self._nodes = 0
        self._patterns: dict[str, bool] = {}

    def written(self, schema: Any, place: str) -> dict[str, Any]:
        """Return the parameters that `schema` describes, written out; raise `InvalidTools`."""
        if not isinstance(schema, dict):
            raise InvalidTools(f"{place}: must be a JSON Schema, not {shown(schema)}")
        if _deeper_than(schema, MAX_DEPTH):
            raise InvalidTools(f"{place}: is nested more than {MAX_DEPTH} levels deep")
        root = _Writing(self, schema).schema(schema, place, (), 0)
        if not isinstance(root, dict):  # a reference to true, which is anything, or to false, which is nothing
            root = {} if root else {"not": {}}
        type = root.get("type", "object")
        if type != "object" and not (isinstance(type, list) and "object" in type):
            raise InvalidTools(
                f'{place}.type: must be "object", because a tool takes named arguments, not {shown(type)}'
            )
        parameters = root | {"type": "object", "properties": root.get("properties", {})}
        _check_meaning(parameters, place)
        return parameters

    def count(self, place: str) -> None:
        """Count one schema; raise `InvalidTools` if that is one too many."""
        self._nodes += 1
        if self._nodes > MAX_NODES:
            where = plain(place, 160)
            raise InvalidTools(f"{where}: the tools hold more than {MAX_NODES} schemas, their references written out")

    def takes(self, pattern: str) -> bool:
        """Return whether `pattern` can be matched in linear time, and is one of the first patterns of the turn."""
        if pattern not in self._patterns:
            if len(self._patterns) >= MAX_PATTERNS:
                return False
            self._patterns[pattern] = _is_linear(pattern)
        return self._patterns[pattern]


class _Writing:
    """One schema while it is written out: where its references lead."""

    def __init__(self, writer: SchemaWriter, root: dict[str, Any]) -> None:
        self._writer = writer
        self._root = root

    def schema(self, node: Any, place: str, inside: tuple[str, ...], depth: int) -> dict[str, Any] | bool:
        """Return `node` written out. `inside` are the references that led here, none of which is followed again."""
        self._writer.count(place)
        if isinstance(node, bool):
            return node
        if not isinstance(node, dict):
            raise InvalidTools(f"{place}: must be a JSON Schema, not {shown(node)}")
        if depth > MAX_DEPTH:
            where = plain(place, 160)
            raise InvalidTools(f"{where}: is nested more than {MAX_DEPTH} levels deep, its references written out")
        if "$ref" in node:
            return self._referred(node, place, inside, depth)
        found = dict(self._keywords(_modern(node), place, inside, depth))
        if _says_object(found.get("type")):
            found.setdefault("properties", {})
        return found

    def _referred(self, node: dict[str, Any], place: str, inside: tuple[str, ...], depth: int) -> dict[str, Any] | bool:
        reference = node["$ref"]
        if reference in inside:
            return {}  # it contains itself: from here on anything goes
        target = self._target(reference, f"{place}.$ref")
        written = self.schema(target, f"{place}.$ref", (*inside, reference), depth + 1)
        beside = {key: value for key, value in node.items() if key != "$ref"}
        said = {key: value for key, value in beside.items() if key in _SAID}
        more = self.schema({key: value for key, value in beside.items() if key not in said}, place, inside, depth + 1)
        if more:
            return {"allOf": [written, more]} | said
        return written | said if isinstance(written, dict) else written

    def _target(self, reference: Any, place: str) -> Any:
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise InvalidTools(f"{place}: {shown(reference)} leads out of the schema; only #/… is followed")
        found: Any = self._root
        for step in reference.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            inner = found.get(name) if isinstance(found, dict) else _item(found, name)
            if inner is None:
                raise InvalidTools(f"{place}: {shown(reference)} leads nowhere")
            found = inner
        return found

    def _keywords(
        self, node: dict[str, Any], place: str, inside: tuple[str, ...], depth: int
    ) -> Iterator[tuple[str, Any]]:
        for key, value in node.items():
            where = f"{place}.{plain(str(key), 40)}"
            if key == "type":
                yield key, _checked_type(value, where)
            elif key in _PLAIN:
                yield key, value
            elif key in _SCHEMA:
                yield key, self.schema(value, where, inside, depth + 1)
            elif key in _SCHEMAS:
                yield key, [self.schema(one, f"{where}[{i}]", inside, depth + 1) for i, one in _list(value, where)]
            elif key in _NAMED:
                yield key, dict(self._named(value, where, inside, depth))
            elif key == "pattern" and self._writer.takes(_text(value, where)):
                yield key, value
            elif key == "patternProperties" and all(map(self._writer.takes, _mapping(value, where))):
                yield key, dict(self._named(value, where, inside, depth))

    def _named(
        self, value: Any, place: str, inside: tuple[str, ...], depth: int
    ) -> Iterator[tuple[str, dict[str, Any] | bool]]:
        for name, schema in _mapping(value, place).items():
            yield name, self.schema(schema, f"{place}.{plain(name, 40)}", inside, depth + 1)


def for_model(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return what a model is shown of `parameters`, which are written out: an object that lists all it may have."""
    if not any(key in parameters for key in ROOT_COMBINATORS):
        return parameters
    root = {key: value for key, value in parameters.items() if key not in ROOT_COMBINATORS}
    root.pop("additionalProperties", None)  # it would forbid what the variants bring
    every = [root, *_shown(parameters, "allOf")]
    unions = [union for key in ("anyOf", "oneOf") if (union := _shown(parameters, key))]
    required = [name for part in every for name in part.get("required", ())]
    for union in unions:
        always = set.intersection(*(set(one.get("required", ())) for one in union))
        required += [name for name in union[0].get("required", ()) if name in always]
    root["properties"] = _merged([*every, *(one for union in unions for one in union)])
    return root | ({"required": list(dict.fromkeys(required))} if required else {})


def _shown(parameters: dict[str, Any], combinator: str) -> list[dict[str, Any]]:
    return [for_model(one) for one in parameters.get(combinator, ()) if isinstance(one, dict)]


def _merged(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return all the properties of `parts`; one that they do not agree on may be what any of them says."""
    variants: dict[str, dict[bytes, Any]] = {}
    for part in parts:
        for name, schema in part.get("properties", {}).items():
            variants.setdefault(name, {})[msgspec.json.encode(schema)] = schema
    return {
        name: next(iter(said.values())) if len(said) == 1 else {"anyOf": list(said.values())}
        for name, said in variants.items()
    }


# ---- parts of a schema


def _modern(node: dict[str, Any]) -> dict[str, Any]:
    """Return `node` without what older drafts say otherwise: the items of a tuple, and patterns that are left out."""
    if not isinstance(node.get("items"), list):
        return node
    rest = {"items": node["additionalItems"]} if "additionalItems" in node else {}
    return {key: value for key, value in node.items() if key != "items"} | {"prefixItems": node["items"]} | rest


def _says_object(type: Any) -> bool:
    return type == "object" or (isinstance(type, list) and "object" in type)


def _checked_type(value: Any, place: str) -> Any:
    named = value if isinstance(value, list) else [value]
    for name in named:
        if name not in _TYPES:
            near = did_you_mean(name, _TYPES) if isinstance(name, str) else ""
            raise InvalidTools(f"{place}: must be one of {', '.join(_TYPES)}, not {shown(name)}{near}")
    return value


def _mapping(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidTools(f"{place}: must be a mapping of names to schemas, not {shown(value)}")
    return value


def _list(value: Any, place: str) -> Iterator[tuple[int, Any]]:
    if not isinstance(value, list) or not value:
        raise InvalidTools(f"{place}: must be a list of schemas, not {'an empty one' if value == [] else shown(value)}")
    return iter(enumerate(value))


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise InvalidTools(f"{place}: must be a text, not {shown(value)}")
    return value


def _item(found: Any, step: str) -> Any:
    if not isinstance(found, list) or not step.isdecimal() or len(step) > 6 or int(step) >= len(found):
        return None
    return found[int(step)]


def _is_linear(pattern: str) -> bool:
    try:
        jsonschema_rs.validator_for({"pattern": pattern}, pattern_options=PATTERNS, offline=True)
    except (jsonschema_rs.ValidationError, ValueError):
        return False
    return True


def _check_meaning(parameters: dict[str, Any], place: str) -> None:
    """Raise `InvalidTools` where a keyword has a value that it cannot have."""
    try:
        jsonschema_rs.meta.validate(parameters)
    except jsonschema_rs.ValidationError as error:
        steps = "".join(f"[{step}]" if isinstance(step, int) else f".{plain(step, 40)}" for step in error.instance_path)
        raise InvalidTools(f"{place}{steps}: {plain(error.message, 160)}") from error
    except ValueError as error:
        raise InvalidTools(f"{place}: {plain(str(error), 160)}") from error


def _deeper_than(value: Any, levels: int) -> bool:
    """Return whether lists and mappings stand inside each other more than `levels` times."""
    layer = [value]
    for _ in range(levels + 1):
        layer = [
            inner
            for one in layer
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, dict | list)
        ]
        if not layer:
            return False
    return True
