"""`stenograph workers …`: what workers in a customer's network connect with, each for exactly its tools.

$ stenograph workers creds acme --tools get-account,send-mail --expires 30d > acme.creds
$ stenograph workers list acme
credential  kind    tools                   name  issued (UTC)         expires (UTC)        revoked (UTC)
UB3F9A1C2B  worker  get-account, send-mail        2026-11-22 10:00:00  2026-12-22 10:00:00
$ stenograph workers revoke acme UB3F9A1C2B
"""

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stenograph_services.cli import output
from stenograph_services.cli.connect import DEFAULT_DATA, Data, Json, NatsUrl, run
from stenograph_services.cli.tenants import Keys, Whose, folder_of, server_of, time_text

if TYPE_CHECKING:
    from stenograph_services.accounts.records import IssuedCredential

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke the credentials of a tenant's workers.")

SHOWN = 10  # of a public key: so much tells two of them apart

Tools = Annotated[str, typer.Option(metavar="TOOL,…", help="The tools that it may serve; no other.")]
Expires = Annotated[str | None, typer.Option(metavar="TIME", help="Such as 30d, 12h; never by default.")]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@app.command()
def creds(
    tenant: Whose,
    tools: Tools,
    expires: Expires = None,
    name: Annotated[str, typer.Option(help="What it is for, so that people know it again.")] = "",
    nats_url: NatsUrl = None,
    keys: Keys = None,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Make a credential and print its file. It is shown this once: nothing keeps its secret.

    Whoever has it may offer these tools, pull their calls, answer them and upload large results: nothing else
    (docs/security.md). The worker needs no more than the file: `Worker(url, "acme.creds")`.

    Example: stenograph workers creds acme --tools get-account,send-mail --expires 30d > acme.creds
    """
    from stenograph_services.accounts import changes

    wanted = tools_in(tools)
    folder, server, lasts = folder_of(keys, data), server_of(nats_url, data), duration(expires)
    made = run(changes.worker_credentials(folder, server, tenant, wanted, name, lasts))
    if as_json:
        output.print_json({"credential": made.user, "tenant": tenant, "tools": wanted, "file": made.text})
        return
    typer.echo(made.text, nl=False)
    output.note(f"credential {made.user[:SHOWN]} of {tenant}, for {', '.join(wanted)}: keep it to its owner (mode 600)")


@app.command("list")
def list_(tenant: Whose, keys: Keys = None, data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """List the credentials of a tenant's workers and leaf nodes, the oldest first. Asks no server.

    Example: stenograph workers list acme
    """
    folder = folder_of(keys, data)
    with folder.locked():
        found = folder.tenant(tenant).credentials
    if as_json:
        output.print_json([_document(one) for one in found])
        return
    columns = ("credential", "kind", "tools", "name", "issued (UTC)", "expires (UTC)", "revoked (UTC)")
    output.print_table(columns, map(_row, found))


@app.command()
def revoke(
    tenant: Whose,
    credential: Annotated[str, typer.Argument(metavar="ID", help="As `workers list` shows it.", show_default=False)],
    nats_url: NatsUrl = None,
    keys: Keys = None,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """End a credential: its connections are closed at once. Doing it twice is safe.

    Example: stenograph workers revoke acme UB3F9A1C2B
    """
    from stenograph_services.accounts import changes

    revoked = run(changes.revoke(folder_of(keys, data), server_of(nats_url, data), tenant, credential))
    if as_json:
        output.print_json(_document(revoked))
    else:
        typer.echo(f"revoked {revoked.user[:SHOWN]}")


def tools_in(given: str) -> list[str]:
    """Return the names in `a,b`."""
    return [one.strip() for one in given.split(",") if one.strip()]


def duration(given: str | None) -> timedelta | None:
    """Return the time that `30d` or `12h` says."""
    if given is None:
        return None
    found = re.fullmatch(r"([1-9]\d{0,5})([smhd])", given)
    if found is None:
        raise typer.BadParameter(f"{given!r} is no time such as 30d, 12h, 90m, 60s", param_hint="--expires")
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


def _document(one: "IssuedCredential") -> dict[str, Any]:
    fields = ("user", "kind", "name", "tools", "issued_at", "expires_at", "revoked_at")
    shown = {name: getattr(one, name) for name in fields}
    return {"credential": shown.pop("user")} | {name: value for name, value in shown.items() if value}


def _row(one: "IssuedCredential") -> tuple[str, ...]:
    times = (time_text(one.issued_at), time_text(one.expires_at), time_text(one.revoked_at))
    return (one.user[:SHOWN], one.kind, ", ".join(one.tools), output.printable(one.name), *times)
