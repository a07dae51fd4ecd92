"""`stenograph workers …`: what workers in a customer's network connect with, each for exactly its tools.

$ stenograph workers creds acme --tools get-account,send-mail --expires 30d > acme.creds
$ stenograph workers list acme
credential  kind    tools                   name  issued (UTC)         expires (UTC)        revoked (UTC)
UB3F9A1C2B  worker  get-account, send-mail        2026-11-22 10:00:00  2026-12-22 10:00:00
$ stenograph workers renew acme --file acme.creds
$ stenograph workers revoke acme UB3F9A1C2B
"""

from typing import TYPE_CHECKING, Annotated

import typer

from stenograph_services.cli import output
from stenograph_services.cli.connect import DEFAULT_DATA, Data, Json, NatsUrl, run
from stenograph_services.cli.issued import (
    Expires,
    Name,
    NewTime,
    Renewed,
    RenewedFile,
    duration,
    list_issued,
    renew_issued,
    revoke_issued,
    show_file,
)
from stenograph_services.cli.tenants import Keys, Whose, folder_of, server_of

if TYPE_CHECKING:
    from stenograph_services.accounts.records import IssuedCredential, Kind

app = typer.Typer(no_args_is_help=True, help="Make, list, renew and revoke the credentials of a tenant's workers.")

KINDS: "tuple[Kind, ...]" = ("worker", "leaf")

Tools = Annotated[str, typer.Option(metavar="TOOL,…", help="The tools that it may serve; no other.")]


@app.command()
def creds(
    tenant: Whose,
    tools: Tools,
    expires: Expires = None,
    name: Name = "",
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
    show_file(made, tenant, ", ".join(wanted))


@app.command("list")
def list_(tenant: Whose, keys: Keys = None, data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """List the credentials of a tenant's workers and leaf nodes, the oldest first. Asks no server.

    Example: stenograph workers list acme
    """
    own = {"kind": _kind, "tools": _tools}
    list_issued(folder_of(keys, data), tenant, KINDS, as_json, own)


@app.command()
def renew(
    tenant: Whose,
    credential: Renewed = None,
    expires: NewTime = None,
    file: RenewedFile = None,
    keys: Keys = None,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Give a credential new time. Its secret stays as it is, and nobody has to be told it; asks no server.

    With --file the file is written anew, and a worker of our SDK that uses it changes over without losing a call.
    Without, the new JWT is printed: its owner puts it in the place of the one in the file.

    Example: stenograph workers renew acme --file acme.creds
    """
    renew_issued(folder_of(keys, data), tenant, credential, expires, file, KINDS, as_json)


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
    revoke_issued(folder_of(keys, data), server_of(nats_url, data), tenant, credential, KINDS, as_json)


def _kind(one: "IssuedCredential") -> str:
    return one.kind


def _tools(one: "IssuedCredential") -> str:
    return ", ".join(one.tools)


def tools_in(given: str) -> list[str]:
    """Return the names in `a,b`."""
    return [one.strip() for one in given.split(",") if one.strip()]
