"""Handlers and steps: each block checked against what the protocol declares, and compiled."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stenograph_services.protocol.agent import (
    AddMessage,
    Argument,
    Block,
    NextMessage,
    Ref,
    RunChild,
    SerializeThread,
    SetResource,
    StartThread,
    ToolCall,
)
from stenograph_services.protocol.block_documents import (
    AddMessageDoc,
    AnyBlockDoc,
    NextMessageDoc,
    RunWorkerDoc,
    SerializeThreadDoc,
    SetResourceDoc,
    StartThreadDoc,
    ToolCallDoc,
)
from stenograph_services.protocol.declarations import check_title
from stenograph_services.protocol.documents import ParameterDoc, ToolDoc
from stenograph_services.protocol.problems import Path, did_you_mean, shown
from stenograph_services.protocol.schemas import closed, compiled, problems
from stenograph_services.protocol.scope import Names, Scope
from stenograph_services.protocol.secret_checks import check_argument
from stenograph_services.protocol.threads import thread_setup
from stenograph_services.protocol.type_documents import ListDoc, UnionDoc
from stenograph_services.protocol.types import SCALARS, Types
from stenograph_services.protocol.unsupported import not_run

MAIN = "main"

_SEES_VIDEO = re.compile(r"(?:vercel/|openrouter/)?google/|scripted/")


def compile_handlers(scope: Scope, types: Types) -> dict[str, tuple[Block, ...]]:
    """Return the blocks of each handler, in their order."""
    for name in scope.declared("handlers"):
        scope.check_known("trigger", name, scope.declared("triggers"), ("handlers", name))
    started = _started(block for handler in scope.doc.handlers.values() for block in handler.items())
    if scope.doc.agent is not None:
        started.setdefault(MAIN, []).append(scope.doc.agent.model)
    return {
        name: BlockCompiler(scope, types, _names(scope, name), started).blocks(blocks, ("handlers", name))
        for name, blocks in scope.doc.handlers.items()
    }


def compile_steps(scope: Scope, types: Types) -> tuple[Block, ...]:
    """Return the blocks of a child agent, in their order. It has no main thread: each has to be started."""
    started = _started(scope.doc.steps.items())
    compiler = BlockCompiler(scope, types, scope.session_names(), started)
    _check_started(scope)
    return compiler.blocks(scope.doc.steps, ("steps",))


def _names(scope: Scope, trigger: str) -> Names:
    declared = scope.doc.triggers.get(trigger)
    given = scope.names(declared.input if declared else {}, "triggers", trigger, "input")
    return {**scope.session_names(), **given}


def _started(blocks: Iterable[tuple[str, AnyBlockDoc]]) -> dict[str, list[str | Ref]]:
    """Return the threads that `blocks` start, with the models that they may have."""
    started: dict[str, list[str | Ref]] = {}
    for name, doc in blocks:
        if isinstance(doc, StartThreadDoc):
            started.setdefault(doc.thread or name, []).append(doc.model)
    return started


def _check_started(scope: Scope) -> None:
    """Report each step that asks a model in a thread that no step before it has started."""
    started: set[str] = set()
    for name, doc in scope.doc.steps.items():
        if isinstance(doc, StartThreadDoc):
            started.add(doc.thread or name)
        elif isinstance(doc, NextMessageDoc) and doc.thread not in started and not scope.is_broken(("steps",)):
            near = did_you_mean(doc.thread, started) or "; begin with a `start-thread` block"
            message = f"no step before this one starts the thread {shown(doc.thread)}{near}"
            scope.report(("steps", name, "thread"), "thread-not-started", message)


class BlockCompiler:
    """The blocks of one handler while they are compiled. `names` are those that they may use.

    `started` are the threads that there are, with their models.
    """

    def __init__(self, scope: Scope, types: Types, names: Names, started: Mapping[str, Sequence[str | Ref]]) -> None:
        self.scope = scope
        self.types = types
        self.names = names
        self.started = started

    def blocks(self, docs: Mapping[str, AnyBlockDoc], path: tuple[str, ...]) -> tuple[Block, ...]:
        if not self.scope.declared(*path) and not self.scope.is_broken(path):
            self.scope.report(path, "empty", "has no blocks; write at least one")
        return tuple(self.block(name, doc, (*path, name)) for name, doc in docs.items())

    def block(self, name: str, doc: AnyBlockDoc, path: Path) -> Block:
        check_title(self.scope, doc.display, doc.title, path)
        given = {"display": doc.display, "description": doc.description, "title": doc.title}
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
            case StartThreadDoc():
                return self.start_thread(doc, path, common)
            case SerializeThreadDoc():
                return self.serialize_thread(doc, path, common)
            case RunWorkerDoc():
                return self.run_worker(doc, path, common)
            case _:
                return not_run(self.scope, doc, self.names, path, common)

    # ---- one function for each kind

    def add_message(self, doc: AddMessageDoc, path: Path, common: dict[str, Any]) -> AddMessage:
        self.check_thread(doc.thread, path)
        for at, name in enumerate(doc.files):
            purpose, where = "what goes with a message", (*path, "files", at)
            self.scope.check_type(name, self.names, ("file", "file[]"), purpose, where)
            self.check_video(name, doc.thread, where)
        if doc.ui_content is not None:
            self.check_name(doc.ui_content, (*path, "uiContent"))
        return AddMessage(
            role=doc.role,
            prompt=self.scope.prompt(doc.prompt, doc.input, self.names, path, "prompt"),
            thread=doc.thread,
            visible=doc.visible,
            files=tuple(doc.files),
            ui=doc.ui_content,
            **common,
        )

    def next_message(self, doc: NextMessageDoc, path: Path, common: dict[str, Any]) -> NextMessage:
        self.check_thread(doc.thread, path)
        response = None
        if doc.response_type is not None and self.is_object_type(doc.response_type, (*path, "responseType")):
            response = compiled(self.types.closed_schema(doc.response_type, (*path, "responseType")))
        expected = "string" if doc.response_type is None else doc.response_type
        if doc.response_type is None or response is not None:
            self.scope.check_output(doc.output, (expected,), "a model's answer", (*path, "output"))
        return NextMessage(
            thread=doc.thread,
            output=doc.output,
            independent=doc.independent,
            response_type=doc.response_type,
            response=response,
            **common,
        )

    def tool_call(self, doc: ToolCallDoc, path: Path, common: dict[str, Any]) -> ToolCall:
        self.scope.check_known("tool", doc.tool, self.scope.declared("tools"), (*path, "tool"))
        self.scope.check_output(doc.output, None, "", (*path, "output"))
        arguments = {name: self.argument(value) for name, value in doc.input.items()}
        tool = self.scope.doc.tools.get(doc.tool)
        if tool and not self.scope.is_broken(("tools", doc.tool)) and not self.scope.is_broken((*path, "input")):
            self.check_arguments(tool, arguments, path)
        given = tuple(arguments.items())
        return ToolCall(tool=doc.tool, input=given, output=doc.output, timeout_seconds=doc.timeout, **common)

    def set_resource(self, doc: SetResourceDoc, path: Path, common: dict[str, Any]) -> SetResource:
        self.scope.check_known("resource", doc.resource, self.scope.declared("resources"), (*path, "resource"))
        declared = self.scope.doc.resources.get(doc.resource)
        if declared is not None and declared.readonly:
            self.scope.report((*path, "resource"), "readonly", f"{shown(doc.resource)} is read-only")
        self.check_name(doc.value, (*path, "value"))
        return SetResource(resource=doc.resource, value=doc.value, **common)

    def start_thread(self, doc: StartThreadDoc, path: Path, common: dict[str, Any]) -> StartThread:
        thread = doc.thread or str(path[-1])
        self.scope.check_name("thread", thread, (*path, "thread"))
        setting_names = {name: doc for name, doc in self.names.items() if name not in self.scope.declared("resources")}
        setup = thread_setup(self.scope, doc, self.names, setting_names, path)
        return StartThread(thread=thread, setup=setup, **common)

    def serialize_thread(self, doc: SerializeThreadDoc, path: Path, common: dict[str, Any]) -> SerializeThread:
        self.check_thread(doc.thread, path)
        self.scope.check_output(doc.output, ("string",), "a written conversation", (*path, "output"))
        return SerializeThread(thread=doc.thread, format=doc.format, output=doc.output, **common)

    def run_worker(self, doc: RunWorkerDoc, path: Path, common: dict[str, Any]) -> RunChild:
        self.scope.check_known("worker", doc.worker, self.scope.declared("workers"), (*path, "worker"))
        self.scope.check_output(doc.output, None, "", (*path, "output"))
        arguments = tuple((name, self.argument(value)) for name, value in doc.input.items())
        for name, _ in arguments:
            self.scope.check_name("variable", name, (*path, "input", name))
        return RunChild(agent=doc.worker, input=arguments, output=doc.output, **common)

    # ---- what several kinds need

    def check_name(self, name: str, path: Path) -> None:
        self.scope.check_known("input, variable or resource", name, self.names, path)

    def check_thread(self, thread: str, path: Path) -> None:
        """Warn of a thread that no block starts: it is asked as the main thread is, which may be a spelling mistake."""
        if not self.scope.check_name("thread", thread, (*path, "thread")):
            return
        if thread in (MAIN, *self.started) or path[0] == "steps" or self.scope.is_broken(("handlers",)):
            return
        message = f"no block starts the thread {shown(thread)}: it has the settings of `agent`"
        self.scope.warn((*path, "thread"), "thread-not-started", message + did_you_mean(thread, self.started))

    def check_video(self, name: str, thread: str, path: Path) -> None:
        """Warn of what is called a video and goes to a model that sees none."""
        declared = self.names.get(name)
        if declared is None or "video" not in f"{name} {declared.description}".lower():
            return
        for model in self.started.get(thread, ()):
            if isinstance(model, str) and not _SEES_VIDEO.match(model):
                message = f"{shown(model)} sees no videos; of the providers that are known, Google's models do"
                self.scope.warn(path, "video", message)

    def is_object_type(self, name: str, path: Path) -> bool:
        """Return whether `name` is what a model may be asked to answer with, and report it if it is not."""
        declared = self.scope.doc.types.get(name)
        if name.removesuffix("[]") in SCALARS or name.endswith("[]") or isinstance(declared, (ListDoc, UnionDoc)):
            message = f"{shown(name)} is no object type; put it into a property of one: providers take only objects"
            self.scope.report(path, "response-type", message)
            return False
        return self.scope.check_known("type", name, self.scope.declared("types"), path) and declared is not None

    def argument(self, value: Any) -> Argument:
        """Text that is a declared name stands for its value; everything else is meant as it is written."""
        return ("variable", value) if isinstance(value, str) and value in self.names else ("literal", value)

    def check_arguments(self, tool: ToolDoc, arguments: Mapping[str, Argument], path: Path) -> None:
        for name, (kind, value) in arguments.items():
            at = (*path, "input", name)
            if name not in tool.parameters:
                near = did_you_mean(name, tool.parameters)
                self.scope.report(at, "unknown-name", f"no parameter {shown(name)} of the tool{near}")
                continue
            check_argument(self.scope, tool.parameters[name], name, (kind, value), self.names, at)
            if kind == "literal" and not tool.parameters[name].secret:
                self.check_literal(tool.parameters[name], value, at)
        for name, parameter in tool.parameters.items():
            if name not in arguments and not parameter.optional and parameter.source is None:
                message = f"the tool's parameter {shown(name)} is missing"
                self.scope.report((*path, "input"), "missing", message)

    def check_literal(self, parameter: ParameterDoc, value: Any, path: Path) -> None:
        schema = closed(self.types.expression(parameter.type, None).schema)
        if wrong := problems(compiled(schema), value):
            near = did_you_mean(value, self.names) if isinstance(value, str) else ""
            self.scope.report(path, "type", wrong + near)
