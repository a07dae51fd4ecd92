"""What a protocol declares: inputs, variables, resources, triggers and tools."""

from collections.abc import Mapping
from typing import Any

from stenograph_events.values import OnUnknown
from stenograph_services.protocol.agent import Field, Schema, Tool, Trigger
from stenograph_services.protocol.approvals import InvalidApproval, condition
from stenograph_services.protocol.documents import InputDoc, ParameterDoc, ToolDoc, TriggerDoc, VariableDoc
from stenograph_services.protocol.effects import check_attempts, check_unknown
from stenograph_services.protocol.forms import Reconcile
from stenograph_services.protocol.problems import Path, shown
from stenograph_services.protocol.schemas import closed, compiled, object_schema, problems
from stenograph_services.protocol.scope import Scope
from stenograph_services.protocol.secret_checks import check_input, parameter_secrets
from stenograph_services.protocol.secrets import public
from stenograph_services.protocol.types import Types

SESSION_SECTIONS = {"input": "an input", "variables": "a variable", "resources": "a resource"}


def fields(scope: Scope, types: Types, section: str, docs: Mapping[str, VariableDoc]) -> tuple[Field, ...]:
    """Return the fields of a section of the session: `input`, `variables` or `resources`."""
    earlier = list(SESSION_SECTIONS)[: list(SESSION_SECTIONS).index(section)]
    _check_distinct(scope, (section,), earlier)
    return _fields(scope, types, (section,), docs)


def triggers(scope: Scope, types: Types, docs: Mapping[str, TriggerDoc]) -> dict[str, Trigger]:
    scope.check_names("trigger", ("triggers",))
    for name in scope.declared("triggers"):
        if name not in scope.declared("handlers"):
            scope.report(("triggers", name), "no-handler", f"no handler {shown(name)} answers this trigger")
    return {
        name: Trigger(name, _trigger_input(scope, types, ("triggers", name, "input"), doc.input), doc.description)
        for name, doc in docs.items()
    }


def tools(scope: Scope, types: Types, docs: Mapping[str, ToolDoc]) -> dict[str, Tool]:
    scope.check_names("tool", ("tools",))
    found = {name: _tool(scope, types, name, doc) for name, doc in docs.items()}
    for name, doc in docs.items():
        check_unknown(scope, name, doc, found)
        check_attempts(scope, name, doc)
    return found


def check_title(scope: Scope, display: str | None, title: str | None, path: Path) -> None:
    """Warn of what is to be shown by its title and has none."""
    if display == "title" and title is None:
        scope.warn((*path, "display"), "no-title", "is `title`, but there is no `title`; its name is shown")


def _trigger_input(
    scope: Scope, types: Types, path: tuple[str, ...], docs: Mapping[str, InputDoc]
) -> tuple[Field, ...]:
    _check_distinct(scope, path, SESSION_SECTIONS)
    return _fields(scope, types, path, docs)


def _check_distinct(scope: Scope, path: tuple[str, ...], sections: Any) -> None:
    """Report each name at `path` that one of `sections` declares already."""
    for name in scope.declared(*path):
        for section in sections:
            if name in scope.declared(section):
                message = f"{shown(name)} is {SESSION_SECTIONS[section]} already; a name means one thing"
                scope.report((*path, name), "duplicate", message)


def _fields(scope: Scope, types: Types, path: tuple[str, ...], docs: Mapping[str, VariableDoc]) -> tuple[Field, ...]:
    scope.check_names("variable", path)
    return tuple(_field(scope, types, (*path, name), name, doc) for name, doc in docs.items())


def _field(scope: Scope, types: Types, path: tuple[str, ...], name: str, doc: VariableDoc) -> Field:
    schema = types.schema(doc.type, (*path, "type"))
    if isinstance(doc, InputDoc) and doc.enum is not None:
        scope.check_enum(doc.type, doc.enum, path)
        schema = {**schema, "enum": doc.enum}
    if doc.default is not None and (wrong := problems(compiled(schema), doc.default)):
        scope.report((*path, "default"), "type", wrong)
    required = isinstance(doc, InputDoc) and not doc.optional and doc.default is None
    secret = check_input(scope, doc, path)
    return Field(name, schema, required, doc.default, doc.description, secret)


def _tool(scope: Scope, types: Types, name: str, doc: ToolDoc) -> Tool:
    path = ("tools", name)
    check_title(scope, doc.display, doc.title, path)
    _check_approval(scope, doc.approval, (*path, "approval"))
    given = {
        "display": doc.display,
        "timeout_seconds": doc.timeout,
        "max_result_bytes": doc.max_result,
        "attempts": doc.attempts,
        "backoff_seconds": doc.backoff,
        "approval_timeout_seconds": doc.approval_timeout,
    }
    parameters = compiled(closed(_object(scope, types, doc.parameters, (*path, "parameters"))))
    secrets = parameter_secrets(scope, doc, path)
    return Tool(
        name=name,
        description=doc.description,
        parameters=parameters,
        secrets=secrets,
        offered=public(parameters, secrets) if secrets else None,
        result=_result(scope, types, doc, path),
        retry=doc.retry,
        on_unknown=_on_unknown(doc),
        reconcile=doc.on_unknown.tool if isinstance(doc.on_unknown, Reconcile) else None,
        title=doc.title,
        approval=doc.approval,
        when_broken=doc.when_broken,
        **{key: value for key, value in given.items() if value is not None},  # type: ignore[arg-type]
    )


def _on_unknown(doc: ToolDoc) -> OnUnknown | None:
    if isinstance(doc.on_unknown, Reconcile):
        return "reconcile"
    return "ask-person" if doc.on_unknown == "ask-person" else None


def _check_approval(scope: Scope, approval: str, path: Path) -> None:
    if approval in ("never", "always"):
        return
    try:
        condition(approval)
    except InvalidApproval as error:
        scope.report(path, "approval", str(error))


def _result(scope: Scope, types: Types, doc: ToolDoc, path: tuple[str, ...]) -> Schema | None:
    """Return what results are checked against. A worker may say more than the protocol promises."""
    match doc.result:
        case None:
            return None
        case str():
            return compiled(types.schema(doc.result, (*path, "result")))
        case _:
            return compiled(_object(scope, types, doc.result, (*path, "result")))


def _object(scope: Scope, types: Types, docs: Mapping[str, ParameterDoc], path: tuple[str, ...]) -> dict[str, Any]:
    scope.check_names("parameter", path)
    properties = {name: _property(types, doc, (*path, name, "type")) for name, doc in docs.items()}
    return object_schema(properties, [name for name, doc in docs.items() if not doc.optional])


def _property(types: Types, doc: ParameterDoc, path: Path) -> dict[str, Any]:
    schema = types.schema(doc.type, path)
    return schema if doc.description is None else {**schema, "description": doc.description}
