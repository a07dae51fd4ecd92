"""`stenograph clients …`: what applications connect to NATS with: for all sessions of a tenant, one agent's, or one.

$ stenograph clients creds acme --agent support-chat --expires 30d > app.creds
$ stenograph clients list acme
credential  sessions            may      name  issued (UTC)         expires (UTC)        revoked (UTC)
UB3F9A1C2B  agent support-chat                 2026-11-22 10:00:00  2026-12-22 10:00:00
$ stenograph clients revoke acme UB3F9A1C2B
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
    from stenograph_services.accounts.records import ClientScope, IssuedCredential

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke the credentials of a tenant's applications.")


@app.command()
def creds(
    tenant: Whose,
    agent: Annotated[str | None, typer.Option(metavar="SLUG", help="Only sessions of this agent.")] = None,
    session: Annotated[str | None, typer.Option(metavar="ID", help="Only this session; it makes no others.")] = None,
    approve: Annotated[bool, typer.Option("--approve", help="It may decide on calls that wait for a person.")] = False,
    budget: Annotated[bool, typer.Option("--budget", help="It may raise budgets.")] = False,
    expires: Expires = None,
    name: Name = "",
    nats_url: NatsUrl = None,
    keys: Keys = None,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Make a credential and print its file. It is shown this once: nothing keeps its secret.

    Whoever has it may make sessions, send triggers, cancel turns, answer calls that no worker serves, follow and read:
    nothing else (docs/security.md). An application needs no more than the file: `Client.connect(url,
    credentials="app.creds")`.

    Example: stenograph clients creds acme --agent support-chat --expires 30d > app.creds
    """
    from stenograph_services.accounts import changes
    from stenograph_services.accounts.records import ClientScope

    scope = ClientScope(agent, session, approve, budget)
    folder, server = folder_of(keys, data), server_of(nats_url, data)
    made = run(changes.client_credentials(folder, server, tenant, scope, name, duration(expires)))
    if as_json:
        limits = {what: of for what, of in (("agent", agent), ("session", session)) if of}
        output.print_json({"credential": made.user, "tenant": tenant, **limits, "file": made.text})
        return
    show_file(made, tenant, _sessions(scope))


@app.command("list")
def list_(tenant: Whose, keys: Keys = None, data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """List the credentials of a tenant's applications, the oldest first. Asks no server.

    Example: stenograph clients list acme
    """
    list_issued(folder_of(keys, data), tenant, ("client",), as_json, {"sessions": _of, "may": _may})


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

    With --file the file is written anew, and a client of our SDK that uses it changes over without losing an event.
    Without, the new JWT is printed: its owner puts it in the place of the one in the file.

    Example: stenograph clients renew acme --file app.creds
    """
    renew_issued(folder_of(keys, data), tenant, credential, expires, file, ("client",), as_json)


@app.command()
def revoke(
    tenant: Whose,
    credential: Annotated[str, typer.Argument(metavar="ID", help="As `clients list` shows it.", show_default=False)],
    nats_url: NatsUrl = None,
    keys: Keys = None,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """End a credential: its connections are closed at once. Doing it twice is safe.

    Example: stenograph clients revoke acme UB3F9A1C2B
    """
    revoke_issued(folder_of(keys, data), server_of(nats_url, data), tenant, credential, ("client",), as_json)


def _sessions(scope: "ClientScope") -> str:
    if scope.agent:
        return f"agent {scope.agent}"
    return f"session {scope.session}" if scope.session else "all sessions"


def _of(one: "IssuedCredential") -> str:
    return _sessions(one.scope)


def _may(one: "IssuedCredential") -> str:
    return ", ".join(name for name in ("approve", "budget") if getattr(one.scope, name))
