"""`stenograph tenants …`: the wall between customers. A running server knows of a change at once.

$ stenograph tenants init
$ stenograph tenants create acme
$ stenograph tenants list
tenant  state   tools        credentials  created (UTC)
acme    active  get-account            1  2026-11-22 10:00:00
$ stenograph tenants quota acme --uploads 1GiB
tenant  uploads  in use   set
acme    1.0GiB   12.4MiB  for this tenant
$ stenograph tenants suspend acme
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stenograph_services.cli import output, quotas
from stenograph_services.cli.connect import DEFAULT_DATA, DEFAULT_TENANT, Data, Json, NatsUrl, Place, run

if TYPE_CHECKING:
    from stenograph_services.accounts.folder import KeyFolder
    from stenograph_services.accounts.records import TenantRecord

app = typer.Typer(no_args_is_help=True, help="Make, list, suspend and delete tenants: an account of NATS for each.")

app.command("quota")(quotas.quota)

Whose = Annotated[str, typer.Argument(metavar="TENANT", help="Its name, as in every subject.", show_default=False)]
Keys = Annotated[
    Path | None,
    typer.Option(
        "--keys",
        envvar="STENOGRAPH_KEYS_DIR",
        metavar="DIR",
        help="Where the operator's keys lie: `keys` in --data by default. No service needs them.",
    ),
]


def folder_of(keys: Path | None, data: Path) -> "KeyFolder":
    """Return the folder of keys that the options name."""
    from stenograph_services.accounts.folder import KeyFolder

    return KeyFolder(keys or data / "keys")


def server_of(nats_url: str | None, data: Path) -> str:
    """Return the address of the server that the options name."""
    return Place.of(nats_url, DEFAULT_TENANT, data).url


@app.command()
def init(keys: Keys = None, data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """Make the keys of the operator, of the server's own account and of the platform's. Once for an installation.

    nats-server includes operator.conf, beside `resolver: { type: full, dir: "…" }`; services connect with
    platform.creds (STENOGRAPH_NATS_CREDENTIALS). Whoever has operator.nk is above every wall: keep it offline.

    Example: stenograph tenants init --keys /etc/stenograph/keys
    """
    folder = folder_of(keys, data)
    folder.make()
    if as_json:
        output.print_json({"keys": str(folder.directory), "server_config": str(folder.server_config)})
        return
    typer.echo(str(folder.server_config))
    output.note(f"keys made in {folder.directory}, for its owner alone: keep a copy where no server is")


@app.command()
def create(
    tenant: Whose, nats_url: NatsUrl = None, keys: Keys = None, data: Data = DEFAULT_DATA, as_json: Json = False
) -> None:
    """Make a tenant on the running server, or let one in again that was suspended. Doing it twice is safe.

    Example: stenograph tenants create acme
    """
    from stenograph_services.accounts import changes

    _say("active", run(changes.create(folder_of(keys, data), server_of(nats_url, data), tenant)), as_json)


@app.command("list")
def list_(keys: Keys = None, data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """List the tenants by name, with the tools that their workers may serve. Asks no server.

    Example: stenograph tenants list
    """
    folder = folder_of(keys, data)
    with folder.locked():
        found = folder.tenants()
    if as_json:
        output.print_json([_document(one) for one in found])
        return
    columns = ("tenant", "state", "tools", "credentials", "created (UTC)")
    output.print_table(columns, map(_row, found), right=("credentials",))


@app.command()
def suspend(
    tenant: Whose, nats_url: NatsUrl = None, keys: Keys = None, data: Data = DEFAULT_DATA, as_json: Json = False
) -> None:
    """Shut a tenant out: its connections are closed at once. `tenants create` lets it in again.

    Its sessions stay as they are; calls that its workers had in hand end at their deadline.

    Example: stenograph tenants suspend acme
    """
    from stenograph_services.accounts import changes

    _say("suspended", run(changes.suspend(folder_of(keys, data), server_of(nats_url, data), tenant)), as_json)


@app.command()
def delete(
    tenant: Whose, nats_url: NatsUrl = None, keys: Keys = None, data: Data = DEFAULT_DATA, as_json: Json = False
) -> None:
    """Shut a tenant out for good and forget its key: every credential of it is void. Its sessions stay in the log.

    Example: stenograph tenants delete acme
    """
    from stenograph_services.accounts import changes
    from stenograph_services.accounts.errors import AccountsError

    folder, url = folder_of(keys, data), server_of(nats_url, data)
    record = run(changes.delete(folder, url, tenant))
    try:
        run(changes.free_uploads(folder, url, tenant))
    except AccountsError as error:
        output.note(f"{error}: delete its stream UPLOADS_{tenant} by hand, the server keeps room for it")
    _say("deleted", record, as_json)


def time_text(seconds: int) -> str:
    """Return a time as claims count it for people, nothing for 0."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}" if seconds else ""


def _say(what: str, record: "TenantRecord", as_json: bool) -> None:
    if as_json:
        output.print_json(_document(record) | {"state": what})
    else:
        typer.echo(f"{what} {record.tenant}")


def _state(record: "TenantRecord") -> str:
    return "suspended" if record.suspended_at else "active"


def _document(record: "TenantRecord") -> dict[str, Any]:
    return {
        "tenant": record.tenant,
        "state": _state(record),
        "account": record.account,
        "tools": record.tools,
        "credentials": sum(not one.revoked_at for one in record.credentials),
        "created_at": record.created_at,
    }


def _row(record: "TenantRecord") -> tuple[str, ...]:
    there = sum(not one.revoked_at for one in record.credentials)
    return (record.tenant, _state(record), ", ".join(record.tools), str(there), time_text(record.created_at))
