"""Handlers: each block checked against what the protocol declares, and compiled."""

from collections.abc import Mapping
from typing import Any, Literal

from stenograph_services.protocol.agent import AddMessage, Block, NextMessage, SetResource, ToolCall
from stenograph_services.protocol.documents import (
    AddMessageDoc,
    AnyBlockDoc,
    NextMessageDoc,
    ProtocolDoc,
    SetResourceDoc,
    ToolCallDoc,
    ToolDoc,
)
from stenograph_services.protocol.problems import did_you_mean, shown
from stenograph_services.protocol.schemas import compiled, problems, type_schema
from stenograph_services.protocol.scope import Scope

Argument = tuple[Literal["variable", "literal"], Any]


def compile_handlers(scope: Scope, doc: ProtocolDoc) -> dict[str, tuple[Block, ...]]:
    """Return the blocks of each handler, in their order."""
    for name in scope.declared("handlers"):
        scope.check_known("trigger", name, scope.declared("triggers"), ("handlers", name))
        if not scope.declared("handlers", name) and not scope.is_broken(("handlers", name)):
            scope.report(("handlers", name), "empty", "has no blocks; write at least one")
    return {name: _Handler(scope, doc, name).blocks(blocks) for name, blocks in doc.handlers.items()}


class _Handler:
    """One handler while it is compiled. `names` are those that its blocks may use."""

    def __init__(self, scope: Scope, doc: ProtocolDoc, trigger: str) -> None:
        self.scope = scope
        self.doc = doc
        self.trigger = trigger
        self.names = (*scope.session_names(), *scope.declared("triggers", trigger, "input"))

    def blocks(self, docs: Mapping[str, AnyBlockDoc]) -> tuple[Block, ...]:
        return tuple(self.block(name, doc, ("handlers", self.trigger, name)) for name, doc in docs.items())

    def block(self, name: str, doc: AnyBlockDoc, path: tuple[str, ...]) -> Block:
        given = {"display": doc.display, "description": doc.description}
        common: dict[str, Any] = {"name": name, **{key: value for key, value in given.items() if value is not None}}
        match doc:
            case AddMessageDoc():
                return self.add_message(doc, path, common)
            case NextMessageDoc():
                return self.next_message(doc, path, common)
            case ToolCallDoc():
                return self.tool_call(doc, path, common)
            case SetResourceDoc():
                return self.set_resource(doc, path, common)

    def add_message(self, doc: AddMessageDoc, path: tuple[str, ...], common: dict[str, Any]) -> AddMessage:
        self.scope.check_name("thread", doc.thread, (*path, "thread"))
        prompt = self.scope.prompt(doc.prompt, doc.input, self.names, path, "prompt")
        return AddMessage(role=doc.role, prompt=prompt, thread=doc.thread, visible=doc.visible, **common)

    def next_message(self, doc: NextMessageDoc, path: tuple[str, ...], common: dict[str, Any]) -> NextMessage:
        self.scope.check_name("thread", doc.thread, (*path, "thread"))
        self.check_output(doc.output, path)
        variable = self.doc.variables.get(doc.output or "")
        if variable and variable.type not in ("string", "unknown"):
            message = f"{shown(doc.output)} is {variable.type}, but a model's answer is text"
            self.scope.report((*path, "output"), "type", message)
        return NextMessage(thread=doc.thread, output=doc.output, **common)

    def tool_call(self, doc: ToolCallDoc, path: tuple[str, ...], common: dict[str, Any]) -> ToolCall:
        self.scope.check_known("tool", doc.tool, self.scope.declared("tools"), (*path, "tool"))
        self.check_output(doc.output, path)
        arguments = {name: self.argument(value) for name, value in doc.input.items()}
        tool = self.doc.tools.get(doc.tool)
        if tool and not self.scope.is_broken(("tools", doc.tool)) and not self.scope.is_broken((*path, "input")):
            self.check_arguments(tool, arguments, path)
        return ToolCall(tool=doc.tool, input=tuple(arguments.items()), output=doc.output, **common)

    def set_resource(self, doc: SetResourceDoc, path: tuple[str, ...], common: dict[str, Any]) -> SetResource:
        self.scope.check_known("resource", doc.resource, self.scope.declared("resources"), (*path, "resource"))
        self.scope.check_known("input, variable or resource", doc.value, self.names, (*path, "value"))
        return SetResource(resource=doc.resource, value=doc.value, **common)

    def argument(self, value: Any) -> Argument:
        """Text that is a declared name stands for its value; everything else is meant as it is written."""
        return ("variable", value) if isinstance(value, str) and value in self.names else ("literal", value)

    def check_output(self, output: str | None, path: tuple[str, ...]) -> None:
        if output is not None:
            self.scope.check_known("variable", output, self.scope.declared("variables"), (*path, "output"))

    def check_arguments(self, tool: ToolDoc, arguments: Mapping[str, Argument], path: tuple[str, ...]) -> None:
        for name, (kind, value) in arguments.items():
            at = (*path, "input", name)
            if name not in tool.parameters:
                near = did_you_mean(name, tool.parameters)
                self.scope.report(at, "unknown-name", f"no parameter {shown(name)} of the tool{near}")
            elif kind == "literal":
                self.check_literal(tool.parameters[name].type, value, at)
        for name, parameter in tool.parameters.items():
            if name not in arguments and not parameter.optional:
                message = f"the tool's parameter {shown(name)} is missing"
                self.scope.report((*path, "input"), "missing", message)

    def check_literal(self, expression: str, value: Any, path: tuple[str, ...]) -> None:
        if wrong := problems(compiled(type_schema(expression)), value):
            near = did_you_mean(value, self.names) if isinstance(value, str) else ""
            self.scope.report(path, "type", wrong + near)
