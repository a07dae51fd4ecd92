"""The types of a protocol as JSON Schema, each written out in full.

    string[]     {"type":"array","items":{"type":"string"}}
    Product      {"type":"object","properties":{"id":{"type":"string"}},"required":["id"]}

A type that names others holds them whole, so ten types of ten properties each could stand for ten thousand million:
how large, and how deep, a type is when written out is counted before it is written.
"""

import re
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any, NamedTuple

from stenograph_services.protocol.names import mended_name
from stenograph_services.protocol.problems import Path, did_you_mean, shown
from stenograph_services.protocol.schemas import closed, compiled, object_schema, problems
from stenograph_services.protocol.scope import Scope
from stenograph_services.protocol.type_documents import ItemsDoc, ListDoc, PropertyDoc, TypeDoc, UnionDoc

FILE: dict[str, Any] = object_schema(
    {
        "id": {"type": "string"},
        "mediaType": {"type": "string"},
        "url": {"type": "string"},
        "filename": {"type": "string"},
        "size": {"type": "integer"},
    },
    ["id", "mediaType", "url"],
)
SCALARS: Mapping[str, dict[str, Any]] = {
    **{name: {"type": name} for name in ("string", "number", "integer", "boolean")},
    "unknown": {},
    "file": FILE,
}

MAX_TYPE_SCHEMAS = 2_000  # schemas inside one type; what providers take ends far below
MAX_SCHEMAS = 20_000  # in all that a protocol declares
MAX_TYPE_DEPTH = 16  # types inside types
MAX_CYCLES = 20  # of types that contain themselves, which are told in one go

ARRAY = "array"

_CAMEL_CASE = re.compile(r"[a-z][A-Za-z0-9]*")


class Written(NamedTuple):
    """A type written out: its schema, how many schemas that holds, and how deep they stand in each other."""

    schema: dict[str, Any]
    size: int = 1
    depth: int = 1


ANYTHING = Written({})


class Types:
    """The types of one protocol. One that is broken is reported once and is `unknown` from then on."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.docs = scope.doc.types
        self.written: dict[str, Written] = {}
        self.size = 0
        scope.check_names("type", ("types",))
        for name in self._in_order():
            self.written[name] = self._bounded(name, _Writer(self, name).written(self.docs[name]))

    @property
    def schemas(self) -> dict[str, dict[str, Any]]:
        """The JSON Schemas of the declared types."""
        return {name: self.written[name].schema for name in self.docs if name in self.written}

    def schema(self, expression: str, path: Path) -> dict[str, Any]:
        """Return the JSON Schema of a type expression, which stands at `path`; report it if there is no such type."""
        written = self.expression(expression, path)
        before, self.size = self.size, self.size + written.size
        if before <= MAX_SCHEMAS < self.size:
            message = f"the types that are used so far hold more than {MAX_SCHEMAS} types, written out in full"
            self.scope.report(path, "type-too-large", message)
        return written.schema if self.size <= MAX_SCHEMAS else {}

    def closed_schema(self, name: str, path: Path) -> dict[str, Any]:
        """Return the JSON Schema of what a model writes: its objects have no other properties than these."""
        return closed(self.schema(name, path))

    def expression(self, expression: str, path: Path | None) -> Written:
        """Return what a type expression stands for; `path` None: it was reported elsewhere if there is no such type."""
        name = expression.removesuffix("[]")
        if name in SCALARS:
            written = Written(SCALARS[name], 6 if name == "file" else 1)
        elif name in self.scope.declared("types"):
            written = self.written.get(name, ANYTHING)
        else:
            if path is not None:
                self.scope.report(path, "unknown-type", self._unknown(expression))
            return ANYTHING
        return list_of(written) if expression.endswith("[]") else written

    def _unknown(self, expression: str) -> str:
        if expression in ("array", "list"):
            return "there is no bare list; write T[], or a type of its own in `types`"
        if expression in ("object", "map"):
            return "there is no bare object; write a type of its own in `types`, or `unknown` for any JSON"
        if expression.endswith("[][]"):
            return f"{shown(expression)}: a list of lists needs a type of its own for the inner list"
        return f"unknown type {shown(expression)}{did_you_mean(expression, (*SCALARS, *self.scope.declared('types')))}"

    def _in_order(self) -> Iterator[str]:
        """Yield the names of the types, each after those that it names. The members of a cycle are left out."""
        graph = {name: {used for used in _uses(doc) if used in self.docs} for name, doc in self.docs.items()}
        for _ in range(MAX_CYCLES):
            try:
                yield from TopologicalSorter(graph).static_order()
                return
            except CycleError as error:
                cycle: list[str] = error.args[1][::-1]  # as the types name each other
                first = next(name for name in self.docs if name in cycle)
                at = cycle.index(first)
                chain = " → ".join(shown(name) for name in (*cycle[at:-1], *cycle[:at], first)[:6])
                self.scope.report(
                    ("types", first), "type-cycle", f"contains itself: {chain}; types cannot be recursive"
                )
                graph = {name: used - set(cycle) for name, used in graph.items() if name not in cycle}

    def _bounded(self, name: str, written: Written) -> Written:
        if written.size <= MAX_TYPE_SCHEMAS and written.depth <= MAX_TYPE_DEPTH:
            return written
        large = (
            f"{MAX_TYPE_SCHEMAS} types" if written.size > MAX_TYPE_SCHEMAS else f"{MAX_TYPE_DEPTH} types in each other"
        )
        self.scope.report(("types", name), "type-too-large", f"holds more than {large}, written out in full")
        return ANYTHING


def list_of(items: Written) -> Written:
    return Written({"type": "array", "items": items.schema}, items.size + 1, items.depth + 1)


def _uses(doc: TypeDoc) -> Iterator[str]:
    """Yield the names of the types that `doc` names."""
    match doc:
        case UnionDoc():
            yield from doc.any_of
        case ListDoc():
            yield from _used_by(doc.items)
        case _:
            for inside in doc.values():
                yield from _used_by(inside)


def _used_by(doc: PropertyDoc | ItemsDoc | None) -> Iterator[str]:
    while doc is not None:
        yield doc.type.removesuffix("[]")
        doc = doc.items


class _Writer:
    """Writes out one type, `name`, whose parts are all written."""

    def __init__(self, types: Types, name: str) -> None:
        self.types = types
        self.scope = types.scope
        self.path: Path = ("types", name)

    def written(self, doc: TypeDoc) -> Written:
        match doc:
            case UnionDoc():
                return described(self.union(doc), doc.description)
            case ListDoc():
                return described(self.list_of(doc.items, self.path), doc.description)
            case _:
                return self.object(doc)

    def object(self, docs: Mapping[str, PropertyDoc]) -> Written:
        self.check_properties(docs)
        if not docs and not self.scope.is_broken(self.path):
            self.scope.report(self.path, "empty", "has no properties; write at least one")
        inside = {name: self.property(doc, (*self.path, name)) for name, doc in docs.items()}
        schema = object_schema(
            {name: written.schema for name, written in inside.items()},
            [name for name, doc in docs.items() if not doc.optional],
        )
        size = 1 + sum(written.size for written in inside.values())
        return Written(schema, size, 1 + max((written.depth for written in inside.values()), default=0))

    def check_properties(self, docs: Mapping[str, PropertyDoc]) -> None:
        for name in docs:
            path = (*self.path, name)
            if self.scope.check_name("property", name, path) and not _CAMEL_CASE.fullmatch(name):
                mended = shown(mended_name("property", name))
                self.scope.warn(path, "style", f"properties are camelCase in this language; write {mended}")

    def property(self, doc: PropertyDoc, path: Path) -> Written:
        written = self.value(doc, path)
        if doc.const is None:
            return written
        if wrong := problems(compiled(written.schema), doc.const):
            self.scope.report((*path, "const"), "type", wrong)
        return written._replace(schema={**written.schema, "const": doc.const})

    def value(self, doc: PropertyDoc | ItemsDoc, path: Path) -> Written:
        """Return what a property, or an item of a list, is."""
        if doc.type == ARRAY:
            written = self.list_of(doc.items, path)
        else:
            if doc.items is not None:
                self.scope.report((*path, "items"), "type", f"belongs to `type: array`, not to {shown(doc.type)}")
            written = self.types.expression(doc.type, (*path, "type"))
        if doc.enum is not None:
            self.scope.check_enum(doc.type, doc.enum, path)
            written = written._replace(schema={**written.schema, "enum": doc.enum})
        return described(written, doc.description)

    def list_of(self, items: ItemsDoc | None, path: Path) -> Written:
        if items is None:
            if not self.scope.is_broken((*path, "items")):
                self.scope.report((*path, "items"), "missing", "`items` is missing; say what the list holds")
            return list_of(ANYTHING)
        return list_of(self.value(items, (*path, "items")))

    def union(self, doc: UnionDoc) -> Written:
        known, seen = [], dict[str, str]()
        for at, name in enumerate(doc.any_of):
            path = (*self.path, "anyOf", at)
            if self.scope.check_known("type", name, self.scope.declared("types"), path):
                self.check_variant(doc.discriminator, name, path, seen)
                known.append(self.types.written.get(name, ANYTHING))
        size = 1 + sum(written.size for written in known)
        return Written({"anyOf": [it.schema for it in known]}, size, 1 + max((it.depth for it in known), default=0))

    def check_variant(self, discriminator: str, name: str, path: Path, seen: dict[str, str]) -> None:
        """Check that variant `name` can be told from those `seen`, which maps each `const` to its variant."""
        variant = self.types.docs.get(name)
        if variant is None or self.scope.is_broken(("types", name)):
            return
        if not isinstance(variant, dict):
            self.scope.report(path, "union", f"{shown(name)} is no object type; a union is one of several object types")
        elif discriminator not in variant or variant[discriminator].const is None or variant[discriminator].optional:
            message = f"{shown(name)} needs the property {shown(discriminator)}, with a `const` and not optional"
            self.scope.report(path, "union", message)
        elif (const := repr(variant[discriminator].const)) in seen:
            message = f"{shown(name)} and {shown(seen[const])} have the same {shown(discriminator)}, {const}"
            self.scope.report(path, "union", message)
        else:
            seen[const] = name


def described(written: Written, description: str | None) -> Written:
    return written if description is None else written._replace(schema={**written.schema, "description": description})
