"""What a protocol declares: inputs, variables, resources, triggers and tools."""

from collections.abc import Mapping
from typing import Any

from stenograph_services.protocol.agent import Field, Schema, Tool, Trigger
from stenograph_services.protocol.documents import InputDoc, ParameterDoc, ToolDoc, TriggerDoc, VariableDoc
from stenograph_services.protocol.problems import shown
from stenograph_services.protocol.schemas import compiled, object_schema, problems, type_schema
from stenograph_services.protocol.scope import Scope

SESSION_SECTIONS = {"input": "an input", "variables": "a variable", "resources": "a resource"}


def fields(scope: Scope, section: str, docs: Mapping[str, VariableDoc]) -> tuple[Field, ...]:
    """Return the fields of a section of the session: `input`, `variables` or `resources`."""
    for name in scope.declared(section):
        for other, what in SESSION_SECTIONS.items():
            if other == section:
                break
            if name in scope.declared(other):
                scope.report((section, name), "duplicate", f"{shown(name)} is {what} already; a name means one thing")
    return _fields(scope, (section,), docs)


def triggers(scope: Scope, docs: Mapping[str, TriggerDoc]) -> dict[str, Trigger]:
    scope.check_names("trigger", ("triggers",))
    for name in scope.declared("triggers"):
        if name not in scope.declared("handlers"):
            scope.report(("triggers", name), "no-handler", f"no handler {shown(name)} answers this trigger")
    return {
        name: Trigger(name, _trigger_input(scope, ("triggers", name, "input"), doc.input), doc.description)
        for name, doc in docs.items()
    }


def tools(scope: Scope, docs: Mapping[str, ToolDoc]) -> dict[str, Tool]:
    scope.check_names("tool", ("tools",))
    return {name: _tool(scope, name, doc) for name, doc in docs.items()}


def _trigger_input(scope: Scope, path: tuple[str, ...], docs: Mapping[str, InputDoc]) -> tuple[Field, ...]:
    for name in scope.declared(*path):
        for section, what in SESSION_SECTIONS.items():
            if name in scope.declared(section):
                scope.report((*path, name), "duplicate", f"{shown(name)} is {what} already; a name means one thing")
    return _fields(scope, path, docs)


def _fields(scope: Scope, path: tuple[str, ...], docs: Mapping[str, VariableDoc]) -> tuple[Field, ...]:
    scope.check_names("variable", path)
    return tuple(_field(scope, (*path, name), name, doc) for name, doc in docs.items())


def _field(scope: Scope, path: tuple[str, ...], name: str, doc: VariableDoc) -> Field:
    schema = type_schema(doc.type)
    if doc.default is not None and (wrong := problems(compiled(schema), doc.default)):
        scope.report((*path, "default"), "type", wrong)
    required = isinstance(doc, InputDoc) and not doc.optional and doc.default is None
    return Field(name, schema, required, doc.default, doc.description)


def _tool(scope: Scope, name: str, doc: ToolDoc) -> Tool:
    scope.check_names("parameter", ("tools", name, "parameters"))
    result: Schema | None = None
    if isinstance(doc.result, str):
        result = compiled(type_schema(doc.result))
    elif doc.result is not None:
        scope.check_names("parameter", ("tools", name, "result"))
        result = compiled(_object(doc.result, closed=False))  # a worker may say more than the protocol promises
    given = {"display": doc.display, "timeout_seconds": doc.timeout}
    return Tool(
        name=name,
        description=doc.description,
        parameters=compiled(_object(doc.parameters, closed=True)),
        result=result,
        retry=doc.retry,
        title=doc.title,
        **{key: value for key, value in given.items() if value is not None},  # type: ignore[arg-type]
    )


def _object(docs: Mapping[str, ParameterDoc], *, closed: bool) -> dict[str, Any]:
    required = [name for name, doc in docs.items() if not doc.optional]
    return object_schema({name: _property(doc) for name, doc in docs.items()}, required, closed=closed)


def _property(doc: ParameterDoc) -> dict[str, Any]:
    schema = type_schema(doc.type)
    return schema if doc.description is None else {**schema, "description": doc.description}
