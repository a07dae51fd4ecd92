"""From the files of an agent to the `Agent` that runs, or to every mistake in them at once.

    load_folder("agents/support-chat")  →  Agent(slug="support-chat", version="3f9a0c12d4e7", …)

Settings, prompts, scripts and references are looked at first; then protocol.yaml, section by section.
"""

from pathlib import Path
from typing import Any

from stenograph_services.protocol.agent import CHILD_TRIGGER, Agent, StartThread, Trigger
from stenograph_services.protocol.blocks import compile_handlers, compile_steps
from stenograph_services.protocol.bundle import Bundle
from stenograph_services.protocol.children import children
from stenograph_services.protocol.declarations import fields, tools, triggers
from stenograph_services.protocol.documents import ProtocolDoc, SettingsDoc
from stenograph_services.protocol.folder import read_folder
from stenograph_services.protocol.grammar import read_document
from stenograph_services.protocol.names import Kind, broken_name
from stenograph_services.protocol.problems import AgentError, Problem, in_order, plain, shown
from stenograph_services.protocol.references import read_references
from stenograph_services.protocol.scope import Files, Scope
from stenograph_services.protocol.source import Source, read_json, read_yaml, refuse_oversize
from stenograph_services.protocol.surprises import warnings
from stenograph_services.protocol.thread_documents import BudgetDoc
from stenograph_services.protocol.threads import budget, main_thread
from stenograph_services.protocol.types import Types
from stenograph_services.protocol.unsupported import check_sections


def load_folder(path: Path | str) -> Agent:
    """Return the agent in folder `path`; raise `AgentError` with every mistake in its files."""
    return load_bundle(read_folder(path), folder=str(path))


def load_bundle(bundle: Bundle, *, folder: str = "") -> Agent:
    """Return the agent of `bundle`; raise `AgentError` with every mistake. `folder` is what errors call its place."""
    agent, problems = check_bundle(bundle, folder)
    if agent is None:
        raise AgentError(problem for problem in problems if problem.severity == "error")
    return agent


def check_bundle(bundle: Bundle, folder: str = "") -> tuple[Agent | None, tuple[Problem, ...]]:
    """Return the agent of `bundle`, None if it has a mistake, and every mistake and warning, in order."""
    compiler = _Compiler(bundle, f"{folder.rstrip('/')}/" if folder else "")
    agent = compiler.agent()
    return agent, in_order(compiler.found)


class _Compiler:
    def __init__(self, bundle: Bundle, folder: str) -> None:
        self.bundle = bundle
        self.folder = folder
        self.found: list[Problem] = []

    def agent(self) -> Agent | None:
        self.check_texts("prompt", self.bundle.prompts, "prompts", ".md")
        self.check_texts("script", self.bundle.scripts, "scripts", ".yaml")
        references, wrong = read_references(self.bundle.references, self.reference_file)
        self.found += wrong
        settings = self.settings()
        parts = self.protocol(settings)
        if settings is None or parts is None or any(problem.severity == "error" for problem in self.found):
            return None
        try:
            version = self.bundle.version
        except AgentError as error:  # too large as a whole
            self.found += error.problems
            return None
        return Agent(
            slug=settings.slug,
            name=settings.name,
            description=settings.description,
            version=version,
            scripts=self.bundle.scripts,
            references=references,
            **parts,
        )

    def reference_file(self, name: str) -> str:
        return f"{self.folder}references/{plain(name)}.md"

    def read(self, reader: Any, name: str, text: str) -> Source | None:
        try:
            source: Source = reader(self.folder + name, text)
        except AgentError as error:
            self.found += error.problems
            return None
        self.found += source.mistakes
        return source

    def check_texts(self, kind: Kind, texts: dict[str, str], folder: str, suffix: str) -> None:
        """Check the names of prompts or scripts, which came from a folder or over the network, and their sizes."""
        for name, text in texts.items():
            file = f"{self.folder}{folder}/{plain(name)}{suffix}"
            if wrong := broken_name(kind, name):
                self.found.append(Problem(file=file, code="bad-name", message=f"{shown(name)}: {wrong}"))
            try:
                refuse_oversize(file, text)
            except AgentError as error:
                self.found += error.problems

    def settings(self) -> SettingsDoc | None:
        source = self.read(read_json, "settings.json", self.bundle.settings)
        settings, _ = read_document(SettingsDoc, source, self.found) if source else (None, None)
        if source is None or settings is None:
            return None
        if wrong := broken_name("slug", settings.slug):
            self.found.append(source.problem(("slug",), "bad-name", f"{shown(settings.slug)}: {wrong}"))
        elif settings.slug != self.bundle.slug:
            message = f"{shown(settings.slug)} is not the slug {shown(self.bundle.slug)} under which the agent was sent"
            self.found.append(source.problem(("slug",), "slug", message))
        return settings

    def protocol(self, settings: SettingsDoc | None) -> dict[str, Any] | None:
        """Return the fields of `Agent` that come from protocol.yaml."""
        source = self.read(read_yaml, "protocol.yaml", self.bundle.protocol)
        doc, broken = read_document(ProtocolDoc, source, self.found) if source else (None, frozenset())
        if source is None or doc is None:
            return None
        self.found += warnings(source)
        files = Files(self.folder, self.bundle.prompts, self.bundle.scripts, self.bundle.references)
        scope = Scope(source, doc, broken, files)
        try:
            parts = _sections(scope, settings.format if settings else _guessed_format(scope))
        except AgentError:  # too many mistakes to go on
            return None
        finally:
            self.found += scope.found
        self.check_unused(scope, parts)
        return parts

    def check_unused(self, scope: Scope, parts: dict[str, Any]) -> None:
        """Warn of each reference that no model may read."""
        if scope.broken:
            return
        main, handlers = parts["main"], parts["handlers"].values()
        setups = [block.setup for blocks in handlers for block in blocks if isinstance(block, StartThread)]
        used = {name for setup in (*setups, *([main] if main else [])) for name in setup.references}
        for name in self.bundle.references:
            if name not in used:
                message = "no `references` list names it, so no model can read it"
                problem = Problem(file=self.reference_file(name), code="unused", message=message, severity="warning")
                self.found.append(problem)


def _guessed_format(scope: Scope) -> str:
    """Return the format that the protocol looks like: settings.json is broken."""
    return "worker" if scope.declared("steps") else "interactive"


def _sections(scope: Scope, form: str) -> dict[str, Any]:
    """Return the fields of `Agent` that all sections give."""
    doc = scope.doc
    _check_keys(scope, form)
    types = Types(scope)
    check_sections(scope, doc)
    if doc.resources:
        scope.warn(("resources",), "deprecated", "resources are deprecated; call a tool to keep something elsewhere")
    declared = {
        "types": types.schemas,
        "input": fields(scope, types, "input", doc.input),
        "variables": fields(scope, types, "variables", doc.variables),
        "resources": fields(scope, types, "resources", doc.resources),
        "tools": tools(scope, types, doc.tools),
        "children": children(scope, doc.workers),
    }
    return {**declared, **(_child(scope, types, declared) if form == "worker" else _interactive(scope, types))}


_KEYS = {"interactive": ("agent", "triggers", "handlers"), "worker": ("steps", "output")}
"""The keys of protocol.yaml that belong to one format."""


def _check_keys(scope: Scope, form: str) -> None:
    for other, keys in _KEYS.items():
        for key in keys:
            if other != form and key in scope.declared():
                message = f"belongs to agents of format '{other}', and settings.json says '{form}'"
                scope.report((key,), "format", message)
    required = "steps" if form == "worker" else "agent"
    if required not in scope.declared() and not scope.is_broken((required,)):
        scope.report((required,), "missing", f"`{required}` is missing")


def _interactive(scope: Scope, types: Types) -> dict[str, Any]:
    """Return what answers triggers: a main thread, triggers and their handlers."""
    parts: dict[str, Any] = {
        "format": "interactive",
        "triggers": triggers(scope, types, scope.doc.triggers),
        "handlers": compile_handlers(scope, types),
        "main": None,
    }
    if (doc := scope.doc.agent) is None:
        return parts
    limits = doc.budget or BudgetDoc()
    return {
        **parts,
        "main": main_thread(scope, doc),
        "when_busy": doc.when_busy,
        "budget_of_turn": budget(limits.turn),
        "budget_of_session": budget(limits.session),
    }


def _child(scope: Scope, types: Types, declared: dict[str, Any]) -> dict[str, Any]:
    """Return what an agent runs that another one started: one handler, whose trigger brings the agent's input."""
    scope.check_output(scope.doc.output, None, "", ("output",))
    return {
        "format": "worker",
        "main": None,
        "triggers": {CHILD_TRIGGER: Trigger(CHILD_TRIGGER, ())},
        "handlers": {CHILD_TRIGGER: compile_steps(scope, types) if "steps" in scope.declared() else ()},
        "output": scope.doc.output,
    }
