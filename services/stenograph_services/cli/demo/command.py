"""`stenograph demo`: one conversation, a tool, two kill -9, the replay. Exits 0 if every promise was kept, else 1."""

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from stenograph_services.cli.output import Failure

AGENT_FOLDER = Path("agents/support-chat")
STOPPED = 130  # as shells say it of a program that Ctrl-C ended


def demo(
    agent: Annotated[
        Path, typer.Option("--agent", metavar="DIR", help="The demo agent, with its tools.py")
    ] = AGENT_FOLDER,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the data folder, to look at it with other commands")
    ] = False,
    tamper: Annotated[
        int | None, typer.Option(metavar="N", hidden=True, help="Change a byte of event N in what is verified")
    ] = None,
) -> None:
    """See it work: a conversation with a tool, the orchestrator killed twice, the state rebuilt from the log."""
    import uvloop

    from stenograph_services.cli.demo.promises import BrokenPromise

    if not (agent / "tools.py").is_file():
        raise Failure(f"{agent} is not the demo agent: run this in the project's folder, or give --agent DIR")
    data = Path(tempfile.mkdtemp(prefix="stenograph-demo-"))
    try:
        uvloop.run(_play(data, agent, tamper))
    except BrokenPromise as error:
        raise Failure(f"the demo broke its promise in {error}; what happened is in {data}/logs") from error
    except asyncio.CancelledError:
        shutil.rmtree(data, ignore_errors=True)
        raise typer.Exit(STOPPED) from None
    if keep:
        typer.echo(f"The data is kept in {data}")
    else:
        shutil.rmtree(data, ignore_errors=True)


async def _play(data: Path, agent: Path, tamper: int | None) -> None:
    from rich.console import Console

    from stenograph_services.cli.connect import hush
    from stenograph_services.cli.demo.acts import Demo
    from stenograph_services.cli.demo.narrator import Narrator
    from stenograph_services.cli.demo.stage import open_stage
    from stenograph_services.cli.run import cancel_on_signals

    hush()
    cancel_on_signals()
    narrator = Narrator(Console(highlight=False))
    async with open_stage(data) as stage:
        await Demo(stage, narrator, agent, tamper).play()
    narrator.end()
