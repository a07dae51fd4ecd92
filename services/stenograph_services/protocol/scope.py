"""What a part of a protocol may refer to, and where the mistakes of one agent are gathered."""

import re
from collections.abc import Iterable, Mapping

from stenograph_services.protocol.agent import Prompt
from stenograph_services.protocol.documents import InputMap
from stenograph_services.protocol.names import Kind, broken_name
from stenograph_services.protocol.problems import MAX_PROBLEMS, AgentError, Path, Problem, did_you_mean, dotted, shown
from stenograph_services.protocol.prompts import PLACEHOLDER
from stenograph_services.protocol.source import Source

# `{{ NAME }}`, `{{#if NAME}}`, `{{@file.md}}`: meant as something, but rendered as nothing.
_NEAR_PLACEHOLDER = re.compile(r"\{\{ *(?:[A-Z][A-Z0-9_]*|[#/@][^{}\n]{0,80}|else(?: [^{}\n]{0,80})?) *\}\}")


class Scope:
    """One protocol file while it is compiled: its prompts, the names it declares, the mistakes found so far."""

    def __init__(self, source: Source, broken: frozenset[Path], prompts: Mapping[str, str], folder: str) -> None:
        self.source = source
        self.broken = broken
        self.prompts = prompts
        self.folder = folder
        self.found: list[Problem] = []

    def report(self, path: Path, code: str, message: str) -> None:
        self.add(self.source.problem(path, code, message))

    def add(self, problem: Problem) -> None:
        """Keep `problem`; raise `AgentError` with all of them once there are too many to go on."""
        self.found.append(problem)
        if len(self.found) >= MAX_PROBLEMS:
            raise AgentError(self.found)

    def is_broken(self, path: Path) -> bool:
        """Return whether something at or below `path` was left out, so that what is missing there says nothing."""
        return any(left_out[: len(path)] == path for left_out in self.broken)

    def declared(self, *path: str) -> tuple[str, ...]:
        """Return the names in the mapping at `path` as the author wrote them, also those whose values are broken."""
        value = self.source.root
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        return tuple(value) if isinstance(value, dict) else ()

    def session_names(self) -> tuple[str, ...]:
        """Return what every part of the protocol may refer to."""
        return (*self.declared("input"), *self.declared("variables"), *self.declared("resources"))

    def check_names(self, kind: Kind, path: tuple[str, ...]) -> None:
        for name in self.declared(*path):
            self.check_name(kind, name, (*path, name))

    def check_name(self, kind: Kind, name: str, path: Path) -> None:
        if wrong := broken_name(kind, name):
            self.report(path, "bad-name", f"{shown(name)}: {wrong}")

    def check_known(self, what: str, name: str, known: Iterable[str], path: Path) -> bool:
        """Return whether `name` is one of `known`, and report it if it is not."""
        known = tuple(known)
        if name in known:
            return True
        self.report(path, "unknown-name", f"no {what} {shown(name)}{did_you_mean(name, known)}")
        return False

    def prompt(self, name: str, mapping: InputMap, names: tuple[str, ...], path: Path, key: str) -> Prompt:
        """Return prompt `name`, which `path`.`key` refers to, filled by `mapping` from `names`."""
        for label, source, at in mapping:
            self.check_name("variable", label, (*path, "input", *at))
            self.check_known("input, variable or resource", source, names, (*path, "input", *at))
        if self.check_known("prompt", name, self.prompts, (*path, key)):
            self._check_placeholders(name, [mapped.label for mapped in mapping], path)
        text = self.prompts.get(name, "").rstrip("\n")  # what ends a file is no part of what it says
        return Prompt(name, text, tuple((label, source) for label, source, _ in mapping))

    def _check_placeholders(self, name: str, labels: list[str], path: Path) -> None:
        if self.is_broken((*path, "input")):
            return
        template, file = self.prompts[name], f"{self.folder}prompts/{name}.md"
        for found in _NEAR_PLACEHOLDER.finditer(template):
            if message := _wrong_placeholder(found[0], labels, f"{dotted(path)}.input"):
                line = template.count("\n", 0, found.start()) + 1
                column = found.start() - template.rfind("\n", 0, found.start())
                code = "placeholder"
                self.add(Problem(file=file, line=line, column=column, path=found[0], code=code, message=message))


def _wrong_placeholder(text: str, labels: list[str], where: str) -> str | None:
    if exact := PLACEHOLDER.fullmatch(text):
        return None if exact[1] in labels else f"not in {where}{did_you_mean(exact[1], labels)}"
    inside = text.strip("{}").strip()
    if PLACEHOLDER.fullmatch("{{" + inside + "}}"):
        return f"write {{{{{inside}}}}}, without spaces"
    return "conditions and includes are not supported yet"
