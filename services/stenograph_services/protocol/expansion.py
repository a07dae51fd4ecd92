"""A prompt with its includes in place and its labels held against what it may see.

    system.md:   {{@rules.md}} Hello {{USER}}        →     "Be kind.", " Hello ", Say("USER")

All that is wrong is gathered, each where it stands: in the file that holds it, also when that was included.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from stenograph_services.protocol.agent import Choose, Condition, Piece, Say
from stenograph_services.protocol.problems import MAX_PROBLEMS, Problem, Severity, did_you_mean, plain, shown
from stenograph_services.protocol.templates import (
    MAX_NESTED,
    MAX_TAGS,
    Branch,
    If,
    Include,
    Label,
    Mistake,
    Node,
    Template,
    parse,
)

MAX_INCLUDED = 16  # files that include each other in a row
MAX_LENGTH = 1024 * 1024  # characters of a prompt with what it includes: as many as one file may have


class LabelInfo(NamedTuple):
    """What is known of the value behind a label: whether it may be omitted, and the texts that it is one of."""

    optional: bool = False
    enum: tuple[str, ...] | None = None


class Prompts:
    """The prompts of one agent while it is compiled: each file is read once, however many blocks use it.

    `texts` are the files by their names without `.md`; `file_of` gives the file of a prompt as problems name it.
    """

    def __init__(self, texts: Mapping[str, str], file_of: Callable[[str], str]) -> None:
        self.texts = texts
        self.file_of = file_of
        self._read: dict[tuple[str, bool], Template] = {}

    def compile(
        self, name: str, labels: Mapping[str, LabelInfo], keep_missing: bool
    ) -> tuple[tuple[Piece, ...], list[Problem]]:
        """Return the pieces of prompt `name`, includes in place, and all that is wrong with it.

        `labels` are those that it may show. A label without a value shows `NONE` if it is optional; otherwise its
        placeholder if `keep_missing`, else nothing.
        """
        expansion = _Expansion(self, labels, keep_missing)
        try:
            pieces = tuple(expansion.file(name, lines=False))
        except _TooMuch:
            pieces = ()
        return pieces, list(expansion.problems)

    def template(self, name: str, lines: bool) -> Template:
        """Return the tree of prompt `name`. What ends a file is no part of what it says, unless it stands for lines."""
        key = (name, lines)
        if key not in self._read:
            self._read[key] = parse(self.texts[name].rstrip("\n") + ("\n" if lines else ""))
        return self._read[key]


class _TooMuch(Exception):
    """The prompt is too large, or has too many mistakes, to go on."""


class _Expansion:
    """One prompt while its includes are put in place and its labels are checked."""

    def __init__(self, prompts: Prompts, labels: Mapping[str, LabelInfo], keep_missing: bool) -> None:
        self.prompts = prompts
        self.labels = labels
        self.says = {label: Say(label, _otherwise(info, keep_missing)) for label, info in labels.items()}
        self.inside: list[str] = []  # the prompts that are being read, each included by the one before
        self.depth = 0
        self.length = 0
        self.tags = 0
        self.problems: dict[Problem, None] = {}  # a file that is included twice is wrong once

    def file(self, name: str, lines: bool) -> Iterator[Piece]:
        template = self.prompts.template(name, lines)
        self.inside.append(name)
        for mistake in template.mistakes:
            self.report(mistake)
        yield from self.pieces(template.nodes)
        self.inside.pop()

    def pieces(self, nodes: tuple[Node, ...]) -> Iterator[Piece]:
        for node in nodes:
            match node:
                case str():
                    yield self.text(node)
                case Label():
                    yield self.label(node)
                case Include():
                    yield from self.include(node)
                case If():
                    yield self.choose(node)

    def text(self, text: str) -> str:
        self.length += len(text)
        return text

    def label(self, label: Label) -> Piece:
        self.count(label)
        if label.dotted and label.name not in self.labels:
            return self.text(label.tag)
        if label.dotted:
            self.wrong(label, "placeholder", label.dotted)
        if label.name not in self.labels:
            # The language leaves such a placeholder standing, so an agent that has one runs; seldom is it meant.
            self.wrong(label, "placeholder", self.unmapped(label.name), "warning")
        return self.says.get(label.name, label.tag)

    def include(self, include: Include) -> Iterator[Piece]:
        self.count(include)
        name, path = include.name, [*self.inside, include.name]
        if name not in self.prompts.texts:
            self.wrong(include, "include", self.unknown(name))
        elif name in self.inside:
            circle = " → ".join(plain(each, 40) for each in path[path.index(name) :])
            self.wrong(include, "include", f"includes itself: {circle}")
        elif len(path) > MAX_INCLUDED:
            self.wrong(include, "too-deep", f"is the {len(path)}th file in a row; at most {MAX_INCLUDED} are read")
        elif self.length + len(self.prompts.texts[name]) > MAX_LENGTH:
            self.wrong(include, "too-large", f"makes the prompt longer than {MAX_LENGTH} characters")
            raise _TooMuch
        else:
            yield from self.file(name, include.lines)

    def unknown(self, name: str) -> str:
        beside = f"{self.inside[-1].rpartition('/')[0]}/{name}"
        if beside in self.prompts.texts:
            return f"no prompt {shown(name)}; paths begin at prompts/: write {{{{@{beside}.md}}}}"
        return f"no prompt {shown(name)}{did_you_mean(name, self.prompts.texts)}"

    def choose(self, node: If) -> Choose:
        self.depth += 1
        if self.depth > MAX_NESTED:
            self.wrong(node.branches[0], "too-deep", f"stands inside more than {MAX_NESTED - 1} others")
            raise _TooMuch
        branches = tuple(self.branch(branch) for branch in node.branches)
        otherwise = tuple(self.pieces(node.otherwise))
        self.depth -= 1
        return Choose(branches, otherwise)

    def branch(self, branch: Branch) -> tuple[Condition, tuple[Piece, ...]]:
        self.count(branch)
        condition = branch.condition or Condition("")
        if branch.condition and condition.label not in self.labels:
            self.wrong(branch, "unknown-name", self.unmapped(condition.label))
        elif condition.equals is not None:
            self.check_text(condition.label, condition.equals, branch)
        return condition, tuple(self.pieces(branch.nodes))

    def check_text(self, label: str, text: str, at: Branch) -> None:
        known = self.labels[label].enum
        if known is not None and text not in known:
            near = did_you_mean(text, known) or f"; it is one of {', '.join(shown(one) for one in known[:10])}"
            self.wrong(at, "enum", f"{label} is never {shown(text)}{near}")

    def unmapped(self, label: str) -> str:
        near = did_you_mean(label, self.labels)
        return f"{shown(label)} is not in the `input` that fills this prompt{near}"

    def count(self, tag: Label | Include | Branch) -> None:
        self.tags += 1
        if self.tags > MAX_TAGS:
            self.wrong(tag, "too-large", f"is one tag too many: a prompt holds at most {MAX_TAGS}, includes counted in")
            raise _TooMuch

    def wrong(self, tag: Label | Include | Branch, code: str, message: str, severity: Severity = "error") -> None:
        self.report(Mistake(tag.at, tag.tag, code, message), severity)

    def report(self, mistake: Mistake, severity: Severity = "error") -> None:
        name = self.inside[-1]
        text = self.prompts.texts[name]
        problem = Problem(
            file=self.prompts.file_of(name),
            line=text.count("\n", 0, mistake.at) + 1,
            column=mistake.at - text.rfind("\n", 0, mistake.at),
            path=plain(mistake.tag, 60),
            code=mistake.code,
            message=mistake.message,
            severity=severity,
        )
        self.problems[problem] = None
        if len(self.problems) >= MAX_PROBLEMS:
            raise _TooMuch


def _otherwise(info: LabelInfo, keep_missing: bool) -> str | None:
    """Return what stands for a value that is missing; None: the placeholder stays."""
    if info.optional:
        return "NONE"
    return None if keep_missing else ""
