"""From the files of an agent to the `Agent` that runs, or to every mistake in them at once.

load_folder("agents/support-chat")  →  Agent(slug="support-chat", version="3f9a0c12d4e7", …)
"""

import re
from pathlib import Path
from typing import Any

from stenograph_services.protocol.agent import Agent, Prompt
from stenograph_services.protocol.blocks import compile_handlers
from stenograph_services.protocol.bundle import Bundle
from stenograph_services.protocol.declarations import fields, tools, triggers
from stenograph_services.protocol.documents import AgentDoc, ProtocolDoc, SettingsDoc
from stenograph_services.protocol.folder import read_folder
from stenograph_services.protocol.grammar import read_document
from stenograph_services.protocol.names import Kind, broken_name
from stenograph_services.protocol.problems import AgentError, Problem, did_you_mean, plain, shown
from stenograph_services.protocol.scope import Scope
from stenograph_services.protocol.source import Source, read_json, read_yaml, refuse_oversize

ONE_CYCLE = 2  # steps of an agent that is not agentic: it may ask for tools once, then it answers

_MODEL = re.compile(r"[a-z][a-z0-9-]*(?:/[A-Za-z0-9][A-Za-z0-9._:@-]*)+")
_REFERENCE = re.compile(r"[A-Z][A-Z0-9_]*")


def load_folder(path: Path | str) -> Agent:
    """Return the agent in folder `path`; raise `AgentError` with every mistake in its files."""
    return load_bundle(read_folder(path), folder=str(path))


def load_bundle(bundle: Bundle, *, folder: str = "") -> Agent:
    """Return the agent of `bundle`; raise `AgentError` with every mistake. `folder` is what errors call its place."""
    return _Compiler(bundle, f"{folder.rstrip('/')}/" if folder else "").agent()


class _Compiler:
    def __init__(self, bundle: Bundle, folder: str) -> None:
        self.bundle = bundle
        self.folder = folder
        self.found: list[Problem] = []

    def agent(self) -> Agent:
        self.check_texts("prompt", self.bundle.prompts, "prompts", ".md")
        self.check_texts("script", self.bundle.scripts, "scripts", ".yaml")
        settings, parts = self.settings(), self.protocol()
        if self.found or settings is None or parts is None:
            raise AgentError(self.found)
        return Agent(
            slug=settings.slug,
            name=settings.name,
            description=settings.description,
            version=self.bundle.version,
            scripts=self.bundle.scripts,
            **parts,
        )

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

    def protocol(self) -> dict[str, Any] | None:
        """Return the fields of `Agent` that come from protocol.yaml."""
        source = self.read(read_yaml, "protocol.yaml", self.bundle.protocol)
        doc, broken = read_document(ProtocolDoc, source, self.found) if source else (None, frozenset())
        if source is None or doc is None:
            return None
        scope = Scope(source, broken, self.bundle.prompts, self.folder)
        try:
            return self.sections(scope, doc)
        except AgentError:  # too many mistakes to go on
            return None
        finally:
            self.found += scope.found

    def sections(self, scope: Scope, doc: ProtocolDoc) -> dict[str, Any]:
        return {
            "input": fields(scope, "input", doc.input),
            "variables": fields(scope, "variables", doc.variables),
            "resources": fields(scope, "resources", doc.resources),
            "triggers": triggers(scope, doc.triggers),
            "tools": tools(scope, doc.tools),
            "handlers": compile_handlers(scope, doc),
            **self.agent_section(scope, doc.agent),
        }

    def agent_section(self, scope: Scope, doc: AgentDoc | None) -> dict[str, Any]:
        if doc is None:
            if not scope.is_broken(("agent",)):
                scope.report(("agent",), "missing", "`agent` is missing")
            return {"model": "", "system": Prompt("", ""), "allowed": ()}
        self.check_model(scope, doc.model)
        for at, name in enumerate(doc.tools):
            known = scope.check_known("tool", name, scope.declared("tools"), ("agent", "tools", at))
            if known and name in doc.tools[:at]:
                scope.report(("agent", "tools", at), "duplicate", f"{shown(name)} is listed twice")
        return {
            "model": doc.model,
            "system": scope.prompt(doc.system, doc.input, scope.session_names(), ("agent",), "system"),
            "allowed": tuple(doc.tools),
            "max_steps": doc.max_steps if doc.agentic else min(doc.max_steps, ONE_CYCLE),
            "temperature": doc.temperature,
            "thinking": doc.thinking,
            "when_busy": doc.when_busy,
        }

    def check_model(self, scope: Scope, model: str) -> None:
        path = ("agent", "model")
        provider, _, name = model.partition("/")
        if _REFERENCE.fullmatch(model):
            scope.report(path, "unsupported", f"a reference such as {shown(model)} is not supported yet")
        elif not _MODEL.fullmatch(model):
            scope.report(path, "model", f"must be provider/model, such as openai/gpt-5, not {shown(model)}")
        elif provider == "scripted" and name not in self.bundle.scripts:
            near = did_you_mean(name, self.bundle.scripts)
            scope.report(path, "unknown-name", f"no script {shown(name)} in scripts/{near}")
