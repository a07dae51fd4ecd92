"""`stenograph agents sync` and `agents list`: store agents, and see which ones are stored."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from stenograph_services.cli import output
from stenograph_services.cli.agents.validating import Folders, count, line
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
    from stenograph_services.protocol import Bundle
    from stenograph_services.runtime.agents import AgentEntry


def sync(
    folders: Folders,
    nats_url: NatsUrl = None,
    tenant: Tenant = DEFAULT_TENANT,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Store agents: new sessions get this version, running ones keep theirs. Nothing is stored if one has a mistake.

    A version is the hash of the files that run (not of tests/), so storing the same again makes no new one.

    Example: stenograph agents sync agents
    """
    from stenograph_services.cli.agents.checking import checked, folders_of

    found = [checked(folder, cases=False) for folder in folders_of(folders)]
    errors = [problem for each in found for problem in each.errors]
    for problem in (*errors, *(problem for each in found for problem in each.warnings)):
        typer.echo(line(problem).plain, err=True)
    if errors:
        raise output.Failure(f"{count(errors, ())}, so nothing is stored")
    bundles = [each.bundle for each in found if each.bundle is not None]
    stored = run(_store(Place.of(nats_url, tenant, data), bundles))
    if as_json:
        output.print_json([{"slug": e.slug, "version": e.version, "id": e.id, "change": how} for e, how in stored])
        return
    for entry, how in stored:
        typer.echo(f"{entry.slug} {how}, version {entry.version}")


def list_(
    archived: Annotated[bool, typer.Option("--archived", help="Also those that are archived, and since when.")] = False,
    nats_url: NatsUrl = None,
    tenant: Tenant = DEFAULT_TENANT,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """List the stored agents with the version that new sessions get.

    Example: stenograph agents list --json
    """
    entries = run(_entries(Place.of(nats_url, tenant, data), archived))
    if as_json:
        output.print_json(entries)
        return
    columns = ("agent", "version", "stored (UTC)", *(["archived (UTC)"] if archived else []), "name")
    output.print_table(columns, [_row(entry, archived) for entry in entries])


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


def _row(entry: "AgentEntry", archived: bool) -> tuple[str, ...]:
    since = (_time(entry.archived_at) if entry.archived_at else "",) if archived else ()
    return (entry.slug, entry.version, _time(entry.updated_at), *since, output.printable(entry.name))


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


async def _entries(place: Place, archived: bool) -> "list[AgentEntry]":
    from stenograph_events import checked_id
    from stenograph_services.runtime.agents import Agents

    async with connected(place) as client:
        return await Agents(client.connection.nats).list(checked_id(place.tenant, "tenant"), archived=archived)
