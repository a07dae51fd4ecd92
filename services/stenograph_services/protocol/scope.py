"""What a part of a protocol may refer to, and where the mistakes of one agent are gathered."""

from collections.abc import Iterable, Mapping, Sequence

from stenograph_services.protocol.agent import Piece, Prompt
from stenograph_services.protocol.documents import InputDoc, ProtocolDoc, VariableDoc
from stenograph_services.protocol.forms import InputMap
from stenograph_services.protocol.names import Kind, broken_name, mended_name
from stenograph_services.protocol.problems import MAX_PROBLEMS, AgentError, Path, Problem, did_you_mean, shown
from stenograph_services.protocol.prompts import LabelInfo, Prompts
from stenograph_services.protocol.source import Source

Names = Mapping[str, VariableDoc | None]
"""What may be referred to by name, and how it is declared; None where the declaration is broken."""


class Files:
    """The texts of an agent that a protocol refers to, by their names, and how problems call their place."""

    def __init__(
        self, folder: str, prompts: Mapping[str, str], scripts: Iterable[str], references: Iterable[str]
    ) -> None:
        self.folder = folder
        self.prompts = prompts
        self.scripts = tuple(scripts)
        self.references = tuple(references)
        self.compiler = Prompts(prompts, self.prompt_file)

    def prompt_file(self, name: str) -> str:
        return f"{self.folder}prompts/{name}.md"


class Scope:
    """One protocol file while it is compiled: what it declares, and the mistakes found so far."""

    def __init__(self, source: Source, doc: ProtocolDoc, broken: frozenset[Path], files: Files) -> None:
        self.source = source
        self.doc = doc
        self.broken = frozenset(path[:end] for path in broken for end in range(len(path) + 1))
        self.files = files
        self.found: list[Problem] = []
        self.mistakes = 0

    def report(self, path: Path, code: str, message: str) -> None:
        self.add(self.source.problem(path, code, message))

    def warn(self, path: Path, code: str, message: str) -> None:
        self.add(self.source.problem(path, code, message, "warning"))

    def add(self, problem: Problem) -> None:
        """Keep `problem`; raise `AgentError` with all of them once there are too many to go on."""
        if problem.severity == "error":
            self.mistakes += 1
        elif len(self.found) - self.mistakes >= MAX_PROBLEMS:
            return
        self.found.append(problem)
        if self.mistakes >= MAX_PROBLEMS:
            raise AgentError(self.found)

    def is_broken(self, path: Path) -> bool:
        """Return whether something at or below `path` was left out, so that what is missing there says nothing."""
        return path in self.broken

    def declared(self, *path: str) -> tuple[str, ...]:
        """Return the names in the mapping at `path` as the author wrote them, also those whose values are broken."""
        value = self.source.root
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        return tuple(value) if isinstance(value, dict) else ()

    def names(self, docs: Mapping[str, VariableDoc], *path: str) -> Names:
        return {name: docs.get(name) for name in self.declared(*path)}

    def session_names(self) -> Names:
        """Return what every part of the protocol may refer to."""
        return {
            **self.names(self.doc.resources, "resources"),
            **self.names(self.doc.variables, "variables"),
            **self.names(self.doc.input, "input"),
        }

    def setting_names(self) -> Names:
        """Return what the settings of a thread may refer to: the input and the variables of the session."""
        return {**self.names(self.doc.variables, "variables"), **self.names(self.doc.input, "input")}

    # ---- checks that several parts need

    def check_names(self, kind: Kind, path: tuple[str, ...]) -> None:
        for name in self.declared(*path):
            self.check_name(kind, name, (*path, name))

    def check_name(self, kind: Kind, name: str, path: Path) -> bool:
        """Return whether `name` is spelled as names of its kind are, and report it if it is not."""
        wrong = broken_name(kind, name)
        if wrong is not None:
            mended = mended_name(kind, name)
            self.report(path, "bad-name", f"{shown(name)}: {wrong}{f'; write {shown(mended)}' if mended else ''}")
        return wrong is None

    def check_known(self, what: str, name: str, known: Iterable[str], path: Path) -> bool:
        """Return whether `name` is one of `known`, and report it if it is not."""
        known = known if isinstance(known, Mapping) else tuple(known)
        if name in known:
            return not isinstance(known, Mapping) or self.check_shown(name, known[name], path)
        self.report(path, "unknown-name", f"no {what} {shown(name)}{did_you_mean(name, known)}")
        return False

    def check_shown(self, name: str, declared: object, path: Path) -> bool:
        """Return whether what `declared` declares may stand where people or models see it; report it if it is secret.

        Whoever looks a name up comes through here: only what takes secrets asks for them in another way.
        """
        if not isinstance(declared, InputDoc) or not declared.secret:
            return True
        mend = "what takes it is a tool's parameter, or a child agent's input, that is `secret: true`"
        message = f"{shown(name)} is secret, and would be shown here; {mend}"
        self.report(path, "secret", message)
        return False

    def check_list(self, what: str, names: Sequence[str], known: Iterable[str], path: Path) -> None:
        """Check a list of names, each of which must be `known` and may be listed once."""
        known, seen = dict.fromkeys(known), set[str]()
        for at, name in enumerate(names):
            if self.check_known(what, name, known, (*path, at)) and name in seen:
                self.report((*path, at), "duplicate", f"{shown(name)} is listed twice")
            seen.add(name)

    def check_type(self, name: str, names: Names, types: Sequence[str], purpose: str, path: Path) -> None:
        """Report `name`, which must be one of `names`, if its type is not one of `types` that `purpose` needs."""
        if not self.check_known("input, variable or resource", name, names, path):
            return
        declared = names[name]
        if declared is not None and declared.type not in (*types, "unknown"):
            message = f"{shown(name)} is of type {declared.type}; {purpose} is of type {' or '.join(types)}"
            self.report(path, "type", message)

    def check_output(self, name: str | None, types: Sequence[str] | None, purpose: str, path: Path) -> None:
        """Check the variable that takes what a block gives; `types` None: whatever it is."""
        variables = self.names(self.doc.variables, "variables")
        if name is None:
            return
        if name in self.session_names() and name not in variables:
            self.report(path, "unknown-name", f"{shown(name)} is no variable, and nothing else can be written")
        elif self.check_known("variable", name, variables, path) and types is not None:
            self.check_type(name, variables, types, purpose, path)

    def check_enum(self, expression: str, enum: Sequence[str], path: Path) -> None:
        if expression != "string":
            self.report((*path, "enum"), "enum", f"belongs to `type: string`, not to {shown(expression)}")
        seen = set[str]()
        for at, value in enumerate(enum):
            if value in seen:
                self.report((*path, "enum", at), "duplicate", f"{shown(value)} is listed twice")
            seen.add(value)

    # ---- prompts

    def prompt(self, name: str, mapping: InputMap, names: Names, path: Path, key: str) -> Prompt:
        """Return prompt `name`, which `path`.`key` refers to, filled by `mapping` from `names`."""
        for label, source, at in mapping:
            self.check_name("variable", label, (*path, "input", *at))
            self.check_known("input, variable or resource", source, names, (*path, "input", *at))
        pieces: tuple[Piece, ...] = ()
        if self.check_known("prompt", name, self.files.prompts, (*path, key)):
            pieces = self.pieces(name, {label: _label(names.get(source)) for label, source, _ in mapping}, path)
        return Prompt(name=name, pieces=pieces, input=tuple((label, source) for label, source, _ in mapping))

    def pieces(self, name: str, labels: Mapping[str, LabelInfo], path: Path) -> tuple[Piece, ...]:
        keep_missing = self.doc.missing_values == "keep"
        pieces, wrong = self.files.compiler.compile(name, labels, keep_missing)
        if not self.is_broken((*path, "input")):
            for problem in wrong:
                self.add(problem)
        return pieces


def _label(declared: VariableDoc | None) -> LabelInfo:
    if not isinstance(declared, InputDoc):
        return LabelInfo(optional=False, enum=None)
    optional = declared.optional and declared.default is None
    return LabelInfo(optional=optional, enum=None if declared.enum is None else tuple(declared.enum))
