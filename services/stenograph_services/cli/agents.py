"""`stenograph agents …`: begin an agent, check it, store it, see which ones are stored.

$ stenograph agents new order-desk
$ stenograph agents validate agents/order-desk
$ stenograph agents sync agents
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stenograph_services.cli import output
from stenograph_services.cli.connect import (
    DEFAULT_DATA,
    DEFAULT_TENANT,
    Data,
    Json,
    NatsUrl,
    Place,
    Tenant,
    connected,
    run,
)

if TYPE_CHECKING:
    from stenograph_services.protocol import Agent, Bundle, Problem
    from stenograph_services.runtime.agents import AgentEntry

app = typer.Typer(no_args_is_help=True, help="Begin agents, check them, store them.")

Folders = Annotated[
    list[Path], typer.Argument(metavar="DIR...", help="An agent's folder, or a folder of such.", show_default=False)
]


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The agent's slug, or DIR/NAME.", show_default=False)],
    directory: Annotated[Path, typer.Option("--dir", metavar="DIR", help="Where its folder goes.")] = Path("agents"),
    as_json: Json = False,
) -> None:
    """Write a small agent that runs at once: its model plays a script, so no account is needed.

    Example: stenograph agents new order-desk
    """
    from stenograph_services.cli.scaffold import write_agent

    folder = Path(name) if "/" in name else directory / name
    written = write_agent(folder)
    if as_json:
        output.print_json({"folder": str(folder), "files": [str(path) for path in written]})
        return
    for path in written:
        typer.echo(path)
    output.note(f"try it: stenograph agents sync {folder} && stenograph chat {folder.name}")


@app.command()
def validate(folders: Folders, as_json: Json = False) -> None:
    """Check agents, without a server, and print every mistake with its file and line; the exit code is then 1.

    Example: stenograph agents validate agents
    """
    agents, problems = _checked(folders)
    if as_json:
        good = [{"slug": agent.slug, "version": agent.version, "folder": str(folder)} for folder, _, agent in agents]
        output.print_json({"ok": not problems, "agents": good, "problems": problems})
    else:
        for problem in problems:
            typer.echo(str(problem))
        for _, _, agent in agents:
            output.note(f"{agent.slug} {agent.version}: good")
    if problems:
        raise output.Failure(_count(problems))


@app.command()
def sync(
    folders: Folders,
    nats_url: NatsUrl = None,
    tenant: Tenant = DEFAULT_TENANT,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Store agents: new sessions get this version, running ones keep theirs. Nothing is stored if one has a mistake.

    Example: stenograph agents sync agents
    """
    agents, problems = _checked(folders)
    if problems:
        for problem in problems:
            typer.echo(str(problem), err=True)
        raise output.Failure(f"{_count(problems)}, so nothing is stored")
    stored = run(_store(Place.of(nats_url, tenant, data), [bundle for _, bundle, _ in agents]))
    if as_json:
        output.print_json([{"slug": e.slug, "version": e.version, "id": e.id, "change": how} for e, how in stored])
        return
    for entry, how in stored:
        typer.echo(f"{entry.slug} {how}, version {entry.version}")


@app.command("list")
def list_(
    nats_url: NatsUrl = None, tenant: Tenant = DEFAULT_TENANT, data: Data = DEFAULT_DATA, as_json: Json = False
) -> None:
    """List the stored agents with the version that new sessions get.

    Example: stenograph agents list --json
    """
    entries = run(_entries(Place.of(nats_url, tenant, data)))
    if as_json:
        output.print_json(entries)
        return
    rows = [(e.slug, e.version, f"{e.updated_at:%Y-%m-%d %H:%M:%S}", output.printable(e.name)) for e in entries]
    output.print_table(("agent", "version", "stored (UTC)", "name"), rows)


def _checked(folders: list[Path]) -> "tuple[list[tuple[Path, Bundle, Agent]], list[Problem]]":
    """Return the good agents in `folders`, and the problems of the others."""
    from stenograph_services.cli.agent_folder import agents_in
    from stenograph_services.protocol import AgentError, load_bundle, read_folder

    good: list[tuple[Path, Bundle, Agent]] = []
    problems: list[Problem] = []
    for given in folders:
        found = agents_in(given)
        if not found:
            why = "no agent in it: protocol.yaml and settings.json belong into this folder, or into folders in it"
            raise output.Failure(f"{given}: {why if given.is_dir() else 'there is no such folder'}")
        for folder in found:
            try:
                bundle = read_folder(folder)
                good.append((folder, bundle, load_bundle(bundle, folder=str(folder))))
            except AgentError as error:
                problems += error.problems
    return good, problems


async def _store(place: Place, bundles: "list[Bundle]") -> "list[tuple[AgentEntry, str]]":
    from stenograph_services.runtime.agents import Agents

    stored = []
    async with connected(place) as client:
        agents = Agents(client.connection.nats)
        for bundle in bundles:
            entry, changed = await agents.store(place.tenant, bundle)
            how = "unchanged" if not changed else "created" if entry.created_at == entry.updated_at else "updated"
            stored.append((entry, how))
    return stored


async def _entries(place: Place) -> "list[AgentEntry]":
    from stenograph_events import checked_id
    from stenograph_services.runtime.agents import Agents

    async with connected(place) as client:
        return await Agents(client.connection.nats).list(checked_id(place.tenant, "tenant"))


def _count(problems: "list[Problem]") -> str:
    from stenograph_services.cli.story import counted

    return f"{counted(len(problems), 'problem')} in {counted(len({problem.file for problem in problems}), 'file')}"
