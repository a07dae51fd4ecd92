"""`stenograph agents archive`: take an agent from new sessions."""

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
    from stenograph_services.runtime.agents import AgentEntry


def archive(
    slug: Annotated[str, typer.Argument(metavar="SLUG", help="The agent's slug.", show_default=False)],
    nats_url: NatsUrl = None,
    tenant: Tenant = DEFAULT_TENANT,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Take an agent from new sessions. Those that there are go on, and its versions are kept.

    Its slug is free again: what is stored under it next is another agent, with an id of its own.

    Example: stenograph agents archive order-desk
    """
    entry, now = run(_archive(Place.of(nats_url, tenant, data), slug))
    if as_json:
        output.print_json({"slug": entry.slug, "id": entry.id, "archived_at": entry.archived_at, "changed": now})
    else:
        typer.echo(f"{entry.slug} {'archived' if now else 'was archived before'}")


async def _archive(place: Place, slug: str) -> "tuple[AgentEntry, bool]":
    from stenograph_events import checked_id
    from stenograph_services.protocol.problems import did_you_mean
    from stenograph_services.runtime.agents import Agents
    from stenograph_services.runtime.errors import UnknownAgent

    async with connected(place) as client:
        agents, tenant = Agents(client.connection.nats), checked_id(place.tenant, "tenant")
        try:
            return await agents.archive(tenant, slug)
        except UnknownAgent as error:
            near = did_you_mean(slug, [entry.slug for entry in await agents.list(tenant)])
            raise output.Failure(f"{error}{near or '; `stenograph agents list` shows which there are'}") from error
