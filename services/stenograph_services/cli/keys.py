"""`stenograph keys …`: the API keys of the HTTP gateway. A running gateway knows of a change within a second.

$ stenograph keys create --scopes sessions,agents --name ci
oct_sk_3f9a1c2b7d0e_Zk3x…
$ stenograph keys list
id            tenant   scopes            name  created (UTC)        revoked (UTC)
3f9a1c2b7d0e  default  sessions, agents  ci    2026-11-22 10:00:00
$ stenograph keys revoke 3f9a1c2b7d0e
"""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

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
    from stenograph_services.runtime.keys import ApiKey, Scope

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke the API keys of the HTTP gateway.")

Owner = Annotated[
    str, typer.Argument(metavar="[TENANT]", envvar="STENOGRAPH_TENANT", show_default=True, help="Whose key it is.")
]


@app.command()
def create(
    tenant: Owner = DEFAULT_TENANT,
    scopes: Annotated[
        str, typer.Option(metavar="SCOPE,…", help="What it may: sessions, agents, mint (ephemeral tokens).")
    ] = "sessions",
    name: Annotated[str, typer.Option(help="What it is for, so that people know it again.")] = "",
    nats_url: NatsUrl = None,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Make an API key and print it. It is shown this once: only a hash of it is stored.

    From the first key on, every request to the gateway needs one.

    Example: stenograph keys create --scopes sessions,agents --name ci
    """
    from stenograph_events import checked_id
    from stenograph_services.runtime.keys import new_key

    key, secret = new_key(checked_id(tenant, "tenant"), _checked_scopes(scopes), name)
    run(_add(Place.of(nats_url, tenant, data), key))
    if as_json:
        output.print_json(_document(key) | {"key": secret})
        return
    typer.echo(secret)
    output.note(f"key {key.id} of {tenant}, for {', '.join(key.scopes)}: keep it now, it is not shown again")


@app.command("list")
def list_(
    nats_url: NatsUrl = None, tenant: Tenant = DEFAULT_TENANT, data: Data = DEFAULT_DATA, as_json: Json = False
) -> None:
    """List the keys of a tenant, the oldest first, and those that were revoked.

    Example: stenograph keys list
    """
    found = run(_all(Place.of(nats_url, tenant, data)))
    if as_json:
        output.print_json([_document(key) for key in found])
        return
    columns = ("id", "tenant", "scopes", "name", "created (UTC)", "revoked (UTC)")
    output.print_table(columns, map(_row, found))


@app.command()
def revoke(
    id: Annotated[str, typer.Argument(metavar="ID", help="As `keys list` shows it.", show_default=False)],
    nats_url: NatsUrl = None,
    tenant: Tenant = DEFAULT_TENANT,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Let a key, and every token that was made with it, open nothing any more.

    Example: stenograph keys revoke 3f9a1c2b7d0e
    """
    key = run(_revoke(Place.of(nats_url, tenant, data), id))
    if as_json:
        output.print_json(_document(key))
    else:
        typer.echo(f"revoked {key.id}")


def _checked_scopes(given: str) -> "list[Scope]":
    from stenograph_services.runtime.keys import SCOPES

    asked = [one.strip() for one in given.split(",") if one.strip()]
    if not asked or (unknown := [one for one in asked if one not in SCOPES]):
        what = f"{unknown[0]!r} is no scope" if asked else "a key needs a scope"
        raise typer.BadParameter(f"{what}: choose from {', '.join(SCOPES)}", param_hint="--scopes")
    return [scope for scope in SCOPES if scope in asked]


async def _add(place: Place, key: "ApiKey") -> None:
    from stenograph_services.runtime.keys import KeyStore

    async with connected(place) as client:
        await KeyStore(client.connection.nats).add(key)


async def _all(place: Place) -> "list[ApiKey]":
    from stenograph_services.runtime.keys import KeyStore

    async with connected(place) as client:
        return await KeyStore(client.connection.nats).list(place.tenant)


async def _revoke(place: Place, id: str) -> "ApiKey":
    from stenograph_services.runtime.keys import KeyStore

    async with connected(place) as client:
        return await KeyStore(client.connection.nats).revoke(place.tenant, id)


def _document(key: "ApiKey") -> dict[str, Any]:
    shown = {name: getattr(key, name) for name in ("id", "tenant", "scopes", "name", "created_at", "revoked_at")}
    return {name: value for name, value in shown.items() if value is not None}


def _row(key: "ApiKey") -> tuple[str, ...]:
    scopes, name = ", ".join(key.scopes), output.printable(key.name)
    return (key.id, key.tenant, scopes, name, _time(key.created_at), _time(key.revoked_at))


def _time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else ""
