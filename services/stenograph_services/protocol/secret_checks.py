"""What may be declared of secrets, and where none may stand: told with its place, before anything runs.

tools.charge.parameters.apiKey.from: the input 'API_KEY' is not secret: mark that one `secret: true`, too
"""

import re
from collections.abc import Iterable

from stenograph_services.protocol.agent import Argument
from stenograph_services.protocol.documents import InputDoc, ParameterDoc, ToolDoc, VariableDoc
from stenograph_services.protocol.problems import Path, did_you_mean, shown
from stenograph_services.protocol.scope import Names, Scope

MARK = "mark that one `secret: true`, too"


def check_input(scope: Scope, doc: VariableDoc, path: Path) -> bool:
    """Return whether what `doc` declares is secret, and report what a secret cannot be."""
    if not isinstance(doc, InputDoc) or not doc.secret:
        return False
    _check_text(scope, doc.type, path)
    if doc.enum is not None:
        scope.report((*path, "enum"), "secret", "tells what a secret may be; leave it out")
    if doc.default is not None:
        scope.report((*path, "default"), "secret", "would stand here for everybody to read; leave it out")
    return True


def parameter_secrets(scope: Scope, doc: ToolDoc, path: Path) -> dict[str, str | None]:
    """Return the secret parameters of a tool, with the inputs that fill them, and report what cannot be."""
    for name, parameter in doc.parameters.items():
        _check_parameter(scope, parameter, (*path, "parameters", name))
    for name, result in doc.result.items() if isinstance(doc.result, dict) else ():
        for key, is_said in (("secret", result.secret), ("from", result.source is not None)):
            if is_said:
                scope.report((*path, "result", name, key), "secret", "is for parameters: what a tool answers is shown")
    found = {name: parameter.source for name, parameter in doc.parameters.items() if parameter.secret}
    for name in found:
        word = re.escape(name)
        if re.search(rf"""arguments\s*(\.\s*{word}\b|\[\s*["']{word}["']\s*\])""", doc.approval):
            message = f"names {shown(name)}, which is secret: an expression is not given it"
            scope.report((*path, "approval"), "secret", message)
    return found


def check_offered(scope: Scope, names: Iterable[str], path: Path) -> None:
    """Report each tool in a list for a model that nobody gives a secret which it needs."""
    for at, tool in enumerate(names):
        doc = scope.doc.tools.get(tool)
        for name, parameter in doc.parameters.items() if doc else ():
            if parameter.secret and not parameter.optional and parameter.source is None:
                message = (
                    f"a model calls {shown(tool)} without its parameter {shown(name)}, which is secret: "
                    f"write `from: INPUT` at the parameter, with a secret input that fills it"
                )
                scope.report((*path, at), "secret", message)


def check_argument(
    scope: Scope, parameter: ParameterDoc, name: str, argument: Argument, names: Names, path: Path
) -> None:
    """Report what a block gives parameter `name` if a secret would go where it is shown, or come from there."""
    kind, value = argument
    is_secret = kind == "variable" and is_secret_name(names, value)
    if is_secret and not parameter.secret:
        scope.report(path, "secret", f"{shown(value)} is secret, and the parameter {shown(name)} is not: {MARK}")
    if parameter.secret and not is_secret:
        near = did_you_mean(value, names) if kind == "literal" and isinstance(value, str) else ""
        what = f"{shown(value)} is none" if kind == "variable" else "what is written here, everybody can read"
        scope.report(path, "secret", f"{shown(name)} is secret: name an input that is secret; {what}{near}")


def is_secret_name(names: Names, name: str) -> bool:
    """Return whether `name` stands for a secret."""
    doc = names.get(name)
    return isinstance(doc, InputDoc) and doc.secret


def _check_parameter(scope: Scope, doc: ParameterDoc, path: Path) -> None:
    if doc.secret:
        _check_text(scope, doc.type, path)
    if doc.source is None:
        return
    if not doc.secret:
        scope.report((*path, "from"), "secret", "fills secret parameters alone: write `secret: true`, too")
    found = [docs[doc.source] for docs in (scope.doc.input, *_inputs(scope)) if doc.source in docs]
    declared = {name for docs in (scope.doc.input, *_inputs(scope)) for name in docs}
    if not found:
        if not scope.is_broken(("input",)) and not scope.is_broken(("triggers",)):
            scope.check_known("input", doc.source, declared, (*path, "from"))
    elif not all(one.secret for one in found):
        scope.report((*path, "from"), "secret", f"the input {shown(doc.source)} is not secret: {MARK}")


def _inputs(scope: Scope) -> list[dict[str, InputDoc]]:
    return [trigger.input for trigger in scope.doc.triggers.values()]


def _check_text(scope: Scope, kind: str, path: Path) -> None:
    if kind != "string":
        message = f"a secret is a text, so its type is string, not {shown(kind)}"
        scope.report((*path, "type"), "secret", message)
