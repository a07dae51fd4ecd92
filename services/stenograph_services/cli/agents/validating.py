"""`stenograph agents validate`: every mistake in the files of agents, as compilers print them.

agents/x/protocol.yaml:31:13: error: agent.tools[0]: no tool 'look-oder'; did you mean 'look-order'? [unknown-name]
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stenograph_services.cli import output
from stenograph_services.cli.connect import Json

if TYPE_CHECKING:
    from rich.text import Text

    from stenograph_services.cli.agents.checking import Checked
    from stenograph_services.protocol import Problem

Folders = Annotated[
    list[Path], typer.Argument(metavar="DIR...", help="An agent's folder, or a folder of such.", show_default=False)
]
Strict = Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")]


def validate(folders: Folders, strict: Strict = False, as_json: Json = False) -> None:
    """Check agents, without a server: protocol, prompts, references, scripts and test cases.

    Every mistake is printed with its file, line and column, errors before warnings. A warning says what will not run
    here, or not as it looks. The exit code is 1 if there is an error, with --strict also if there is a warning.

    Example: stenograph agents validate agents

    Example: stenograph agents validate agents/order-desk --strict --json
    """
    from stenograph_services.cli.agents.checking import checked, folders_of

    found = [checked(folder) for folder in folders_of(folders)]
    errors = [problem for each in found for problem in each.errors]
    warnings = [problem for each in found for problem in each.warnings]
    bad = bool(errors or (strict and warnings))
    if as_json:
        output.print_json({"ok": not bad, "agents": _good(found), "errors": errors, "warnings": warnings})
    else:
        output.print_lines(line(problem) for problem in (*errors, *warnings))
        _say_which_are_good(found)
    if bad:
        raise output.Failure(count(errors, warnings))
    if warnings and not as_json:
        output.note(count(errors, warnings))


def line(problem: "Problem") -> "Text":
    """Return a problem as one line, in the form in which compilers print theirs: editors find the place."""
    from rich.text import Text

    place = f":{problem.line}:{problem.column}" if problem.line else ""
    where = f"{problem.path}: " if problem.path else ""
    return Text.assemble(
        (f"{problem.file}{place}: ", "bold"),
        (f"{problem.severity}: ", "bold red" if problem.severity == "error" else "bold yellow"),
        (where, "cyan"),
        output.printable(problem.message),
        (f" [{problem.code}]", "dim"),
    )


def count(errors: "Sequence[Problem]", warnings: "Sequence[Problem]") -> str:
    """Return `2 errors and 1 warning in 2 files`."""
    from stenograph_services.cli.story import counted

    kinds = (("error", errors), ("warning", warnings))
    files = {problem.file for problem in (*errors, *warnings)}
    said = " and ".join(counted(len(problems), kind) for kind, problems in kinds if problems)
    return f"{said} in {counted(len(files), 'file')}"


def _good(found: "list[Checked]") -> list[dict[str, str]]:
    return [
        {"slug": each.agent.slug, "version": each.agent.version, "folder": str(each.folder)}
        for each in found
        if each.agent is not None and each.good
    ]


def _say_which_are_good(found: "list[Checked]") -> None:
    for each in found:
        if each.agent is not None and each.good:
            output.note(f"{each.agent.slug} {each.agent.version}: good")
