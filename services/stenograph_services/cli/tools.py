"""`stenograph tools …`: the tools that workers serve. What no worker serves is asked of whoever follows the session.

$ stenograph tools list
tool              worker  retry  seen (UTC)           waiting  asked
get-user-account  w-1     safe   2026-11-22 10:00:00        0  yes
send-mail         w-1     never  2026-11-22 10:00:00        5  not before 10:00:30, failed 5 times
$ stenograph tools show get-user-account
$ stenograph tools close send-mail
$ stenograph tools retire get-user-account
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from msgspec.structs import replace

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
    from nats.aio.client import Client as Nats

    from stenograph_services.runtime.breaker import Breaker
    from stenograph_services.runtime.registry import ToolEntry, ToolRegistry

STILL_THERE = timedelta(minutes=2)  # a worker that runs was seen in the last minute and a half

app = typer.Typer(no_args_is_help=True, help="See which tools workers serve; say that none serves a tool any more.")


class Served(msgspec.Struct, frozen=True):
    """A tool, its last worker, and how many of its calls wait for one or are in hand.

    `breaker`: it failed again and again, and is not asked for a while.
    """

    tool: str
    worker: str
    retry: str
    seen_at: datetime
    waiting: int
    breaker: "Breaker | None" = None


@app.command("list")
def list_(
    nats_url: NatsUrl = None, tenant: Tenant = DEFAULT_TENANT, data: Data = DEFAULT_DATA, as_json: Json = False
) -> None:
    """List the tools that workers serve: who did last and when, and how many calls wait or are in hand.

    A tool stays on the list while its workers are away: its calls wait for them. `tools retire` takes it off.
    One that fails again and again is not asked for a while: its calls are refused at once. `tools close` ends that.

    Example: stenograph tools list
    """
    found = run(_all(Place.of(nats_url, tenant, data)))
    if as_json:
        output.print_json(found)
        return
    now = datetime.now(UTC)
    rows = [
        (one.tool, one.worker, one.retry, f"{one.seen_at:%Y-%m-%d %H:%M:%S}", str(one.waiting), asked(one.breaker, now))
        for one in found
    ]
    output.print_table(("tool", "worker", "retry", "seen (UTC)", "waiting", "asked"), rows, right=("waiting",))


@app.command()
def show(
    tool: Annotated[str, typer.Argument(metavar="TOOL", help="As `tools list` shows it.", show_default=False)],
    nats_url: NatsUrl = None,
    tenant: Tenant = DEFAULT_TENANT,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Show what the last worker of a tool said of it: its description, and the schemas of its parameters and result.

    They are for people, to hold against the protocol that declares the tool: models read what the protocol says.

    Example: stenograph tools show get-user-account
    """
    entry = run(_entry(Place.of(nats_url, tenant, data), tool))
    if as_json:
        output.print_json(entry)
        return
    typer.echo(f"{entry.tool}, served by {entry.worker}, retry {entry.retry}, seen {entry.at:%Y-%m-%d %H:%M:%S} UTC")
    if entry.breaker:
        typer.echo(f"asked: {asked(entry.breaker, datetime.now(UTC))}")
    if entry.description:
        typer.echo(f"\n{output.printable(entry.description, lines=True)}")
    for what, schema in (("parameters", entry.parameters), ("result", entry.result)):
        said = "not said" if schema is None else msgspec.json.format(msgspec.json.encode(schema)).decode()
        typer.echo(f"\n{what}: {said}")


@app.command()
def close(
    tool: Annotated[str, typer.Argument(metavar="TOOL", help="As `tools list` shows it.", show_default=False)],
    nats_url: NatsUrl = None,
    tenant: Tenant = DEFAULT_TENANT,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Close the circuit breaker of a tool that failed again and again: its next call is asked at once, as all others.

    It closes by itself when a call is answered, and lets one try after a pause, or when a worker begins to serve the
    tool. So this is for who knows better, such as that what the tool needs is back.

    Example: stenograph tools close send-mail
    """
    closed = run(_close(Place.of(nats_url, tenant, data), tool))
    if as_json:
        output.print_json(closed)
    elif closed.breaker is None:
        typer.echo(f"{closed.tool} is asked as it is: nothing to close")
    else:
        typer.echo(f"closed {closed.tool}, which failed {closed.breaker.failures} times in a row")


@app.command()
def retire(
    tool: Annotated[str, typer.Argument(metavar="TOOL", help="As `tools list` shows it.", show_default=False)],
    nats_url: NatsUrl = None,
    tenant: Tenant = DEFAULT_TENANT,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Say that no worker serves a tool any more: its next calls are asked of whoever follows the session.

    Calls that wait for a worker go on waiting, until one comes back or their time is up. A worker that registers the
    tool, and one that still runs does so within half a minute, serves it again.

    Example: stenograph tools retire get-user-account
    """
    gone = run(_retire(Place.of(nats_url, tenant, data), tool))
    if as_json:
        output.print_json(gone)
    else:
        typer.echo(f"retired {gone.tool}")
    if gone.waiting:
        output.note(f"{gone.waiting} of its calls wait for a worker until their time is up", dim=False)
    if datetime.now(UTC) - gone.seen_at < STILL_THERE:
        output.note(f"worker {gone.worker} was seen a moment ago: if it still runs, it serves {gone.tool} again soon")


async def _all(place: Place) -> list[Served]:
    from stenograph_events import checked_id
    from stenograph_services.runtime.registry import ToolRegistry

    async with connected(place) as client:
        nc, tenant = client.connection.nats, checked_id(place.tenant, "tenant")
        return [await _served(nc, tenant, entry) for entry in await ToolRegistry(nc).all(tenant)]


async def _entry(place: Place, tool: str) -> "ToolEntry":
    from stenograph_events import checked_id
    from stenograph_services.runtime.registry import ToolRegistry

    async with connected(place) as client:
        return await _found(ToolRegistry(client.connection.nats), checked_id(place.tenant, "tenant"), tool)


async def _close(place: Place, tool: str) -> Served:
    """Return the tool as it was before its breaker was closed."""
    from stenograph_events import checked_id
    from stenograph_services.runtime.registry import ToolRegistry

    async with connected(place) as client:
        nc, tenant = client.connection.nats, checked_id(place.tenant, "tenant")
        registry = ToolRegistry(nc)
        before = await _served(nc, tenant, await _found(registry, tenant, tool))
        await registry.change(tenant, tool, lambda entry: entry and replace(entry, breaker=None))
        return before


async def _retire(place: Place, tool: str) -> Served:
    from stenograph_events import checked_id
    from stenograph_services.runtime.registry import ToolRegistry

    async with connected(place) as client:
        nc, tenant = client.connection.nats, checked_id(place.tenant, "tenant")
        registry = ToolRegistry(nc)
        gone = await _served(nc, tenant, await _found(registry, tenant, tool))
        await registry.retire(tenant, tool)
        return gone


async def _found(registry: "ToolRegistry", tenant: str, tool: str) -> "ToolEntry":
    from stenograph_services.protocol.problems import did_you_mean

    entries = {entry.tool: entry for entry in await registry.all(tenant)}
    if tool not in entries:
        near = did_you_mean(tool, entries)
        why = near or "; `stenograph tools list` shows which tools workers serve"
        raise output.Failure(f"no worker serves a tool {tool!r}{why}")
    return entries[tool]


async def _served(nc: "Nats", tenant: str, entry: "ToolEntry") -> Served:
    waiting = await _waiting(nc, tenant, entry.tool)
    return Served(entry.tool, entry.worker, entry.retry, entry.at, waiting, entry.breaker)


def asked(breaker: "Breaker | None", now: datetime) -> str:
    """Return in a few words whether a tool is asked, and if not, when it is again."""
    if breaker is None:
        return "yes"
    failed = f"failed {breaker.failures} times"
    if not breaker.holds_back(now):
        return f"the next call tries it, {failed}"
    return f"one call tries it, {failed}" if breaker.trial else f"not before {breaker.until:%H:%M:%S}, {failed}"


async def _waiting(nc: "Nats", tenant: str, tool: str) -> int:
    """Return how many calls of `tool` no worker has answered; 0 if none ever pulled them."""
    from stenograph_events.subjects import tool_consumer
    from stenograph_services.runtime.jetstream import NOT_FOUND, JetStreamError, api
    from stenograph_services.runtime.streams import TOOLS

    try:
        info = await api(nc, f"CONSUMER.INFO.{TOOLS}.{tool_consumer(tenant, tool)}")
    except JetStreamError as error:
        if error.code not in NOT_FOUND:
            raise
        return 0
    waiting: int = info["num_pending"] + info["num_ack_pending"]
    return waiting
