"""`stenograph agents new`: the folder of an agent that runs at once, with a test case that says so."""

from pathlib import Path
from typing import Annotated

import typer

from stenograph_services.cli import output
from stenograph_services.cli.connect import Json


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The agent's slug, or DIR/NAME.", show_default=False)],
    directory: Annotated[Path, typer.Option("--dir", metavar="DIR", help="Where its folder goes.")] = Path("agents"),
    worker: Annotated[bool, typer.Option("--worker", help="One that other agents run: a child agent.")] = False,
    as_json: Json = False,
) -> None:
    """Write a small agent that runs at once: its model plays a script, so no account is needed.

    It has everything: protocol.yaml, settings.json, prompts/, a script of its model, a tool, and a test case.

    Example: stenograph agents new order-desk

    Example: stenograph agents new summarizer --worker
    """
    from stenograph_services.cli.agents.scaffold import write_agent

    folder = Path(name) if "/" in name else directory / name
    written = write_agent(folder, "worker" if worker else "interactive")
    if as_json:
        output.print_json({"folder": str(folder), "files": [str(path) for path in written]})
        return
    for path in written:
        typer.echo(path)
    if worker:
        output.note(f"try it: stenograph agents test {folder}")
    else:
        output.note(f"try it: stenograph agents test {folder} && stenograph agents sync {folder}", dim=True)
        output.note(f"        stenograph chat {folder.name}")
