"""`stenograph agents test`: rehearse the cases in the folders of agents, and show where they go another way.

ok      support-chat plan            17 events  A question about the plan is answered from the account.
differs support-chat tool-error      11 events  A tool that fails is told to the model.
--- agents/support-chat/tests/tool-error.log
+++ this rehearsal
…
2 cases: 1 ok, 1 differs
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stenograph_services.cli import output
from stenograph_services.cli.connect import Json

if TYPE_CHECKING:
    from rich.text import Text

    from stenograph_services.cli.rehearsal import Verdict

BAD_CASE = 2
SHOWN = {
    "passed": "ok",
    "written": "written",
    "differs": "differs",
    "new": "new",
    "invalid": "invalid",
    "broken": "bad",
}
STYLES = {"passed": "green", "written": "yellow"}


def rehearse_cases(
    given: Annotated[
        list[str],
        typer.Argument(
            metavar="DIR... [NAME...]",
            help="An agent's folder, or a folder of such; names of cases, if not all are meant.",
            show_default=False,
        ),
    ],
    update: Annotated[bool, typer.Option("--update", help="Write what happens as what is expected.")] = False,
    as_json: Json = False,
) -> None:
    """Rehearse agents, without a server: run their test cases and compare what happens with what is expected.

    A case is tests/NAME.yaml in the agent's folder: triggers, what the model answers, what the tools answer. What is
    expected is tests/NAME.log, the session's log as text: read it once, then let --update write it whenever a change
    is meant. Every log is also checked against the rules of `stenograph sessions verify`. Child agents are run too;
    their folders lie beside the agent's, or in its tests/children/.

    The exit code is 1 if a log differs or breaks a rule, 2 if a case cannot be rehearsed.

    Example: stenograph agents test agents

    Example: stenograph agents test agents/order-desk look-up --update

    A case:

        about: An order is looked up.
        turns:
          - trigger: user-message
            input: {USER_MESSAGE: Where is order 1001?}
            model:                       # in the format of scripts/
              - calls: [{tool: look-up-order, arguments: {orderId: "1001"}}]
              - text: It is on its way.
        tools:                           # an answer for each call
          look-up-order: [{result: {status: on its way}}, {error: down}]
    """
    folders, names = _sorted_out(given)
    _check_names(names, folders)
    found: list[Verdict] = []
    for verdict in _watched(_verdicts(folders, names, update), quiet=as_json):
        found.append(verdict)
        if not as_json:
            output.print_lines(_lines(verdict))
    if as_json:
        output.print_json({"ok": all(verdict.ok for verdict in found), "cases": found})
    _conclude(found, quiet=as_json)


def _sorted_out(given: list[str]) -> tuple[list[Path], list[str]]:
    """Return the folders of agents and the names of cases in `given`: what is no folder and no path is a name."""
    from stenograph_services.cli.agents.checking import folders_of

    places = [each for each in given if "/" in each or Path(each).is_dir()]
    names = [each for each in given if each not in places]
    if not places:
        raise typer.BadParameter(f"{given[0]!r} is no folder; name the agent's folder first", param_hint="DIR")
    return folders_of(Path(place) for place in places), names


def _verdicts(folders: list[Path], names: list[str], update: bool) -> "Iterator[Verdict]":
    from stenograph_services.cli.rehearsal import verdicts
    from stenograph_services.cli.rehearsal.verdicts import Verdict
    from stenograph_services.protocol import AgentError

    for folder in folders:
        try:
            yield from verdicts(folder, names, update=update)
        except AgentError as error:
            yield Verdict(agent=folder.name, case="", file=str(folder), status="broken", problems=error.problems)


def _watched(verdicts: "Iterator[Verdict]", *, quiet: bool) -> "Iterator[Verdict]":
    """Return `verdicts`; on a terminal a line at the bottom says how far it is."""
    from rich.status import Status

    screen = output.console(err=True)
    if quiet or not screen.is_terminal:
        yield from verdicts
        return
    with Status("", console=screen) as status:
        for number, verdict in enumerate(verdicts, 1):
            status.update(f"{number} rehearsed")
            yield verdict


def _lines(verdict: "Verdict") -> "Iterator[Text]":
    from rich.text import Text

    from stenograph_services.cli.agents.validating import line
    from stenograph_services.cli.story import counted

    style = STYLES.get(verdict.status, "bold red")
    events = counted(verdict.events, "event") if verdict.events else ""
    yield Text.assemble(
        (f"{SHOWN[verdict.status]:<8}", style),
        f"{verdict.agent} {verdict.case:<16} ",
        (f"{events:>10}  {output.printable(verdict.about)}", "dim"),
    )
    yield from map(line, verdict.problems)
    for broken in verdict.rules:
        yield Text(f"  event {broken.n} breaks {broken.rule}: {broken.detail}", "red")
    if verdict.status == "new":
        yield Text(f"  {Path(verdict.file).with_suffix('.log')} is not there; --update writes it", "yellow")
    elif not verdict.ok:
        yield from diff_lines(verdict.diff)


def diff_lines(diff: str) -> "Iterator[Text]":
    """Return a unified diff in colours."""
    from rich.text import Text

    styles = {"+": "green", "-": "red", "@": "cyan"}
    for text in diff.splitlines():
        style = "bold" if text[:3] in ("+++", "---") else styles.get(text[:1], "dim")
        yield Text(output.printable(text), style)


def _check_names(names: Iterable[str], folders: Iterable[Path]) -> None:
    from stenograph_services.cli.rehearsal import case_files
    from stenograph_services.protocol.problems import did_you_mean

    there = {file.stem for folder in folders for file in case_files(folder)}
    for name in names:
        if name not in there:
            raise typer.BadParameter(f"no case {name!r} in any of these agents{did_you_mean(name, there)}")


def _conclude(found: "list[Verdict]", *, quiet: bool) -> None:
    """Say what all came to, and end with the exit code that it means."""
    from stenograph_services.cli.story import counted

    kinds = Counter(SHOWN[verdict.status] for verdict in found)
    said = ", ".join(f"{number} {kind}" for kind, number in kinds.items())
    if not quiet:
        output.note(f"{counted(len(found), 'case')}: {said}" if found else "no cases: write one as tests/NAME.yaml")
    if any(verdict.status == "broken" for verdict in found):
        raise typer.Exit(BAD_CASE)
    if not all(verdict.ok for verdict in found):
        raise typer.Exit(1)
