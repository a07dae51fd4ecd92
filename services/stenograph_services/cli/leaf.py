"""`stenograph leaf …`: a nats-server in a customer's network, behind which workers need no credential of their own.

$ stenograph leaf config acme --tools get-account,send-mail --url tls://nats.example:7422 --out site/
site/leaf.conf
site/leaf.creds
$ stenograph leaf revoke acme UB3F9A1C2B
"""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from stenograph_services.cli import output
from stenograph_services.cli.connect import DEFAULT_DATA, Data, Json, NatsUrl, run
from stenograph_services.cli.issued import SHOWN, Expires, Name, duration
from stenograph_services.cli.tenants import Keys, Whose, folder_of, server_of
from stenograph_services.cli.workers import Tools, list_, renew, revoke, tools_in

app = typer.Typer(no_args_is_help=True, help="Let a customer's own nats-server in, with workers behind it.")
app.command("list")(list_)
app.command("renew")(renew)
app.command("revoke")(revoke)

PORT = 7422  # nats-server's own choice for leaf nodes


@app.command()
def config(
    tenant: Whose,
    tools: Tools,
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", help=f"Where our servers take leaf nodes: port {PORT} of --nats-url by default."),
    ] = None,
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where workers connect to.")] = "127.0.0.1:4222",
    ca: Annotated[
        str | None, typer.Option(metavar="FILE", help="There: the certificates to trust, for a CA of your own.")
    ] = None,
    expires: Expires = None,
    name: Name = "",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", file_okay=False, help="Write leaf.conf and leaf.creds there.")
    ] = None,
    nats_url: NatsUrl = None,
    keys: Keys = None,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Make a credential for a leaf node and print the configuration that goes with it.

    Without --out the credential is written to leaf.creds, here; nothing else keeps its secret. Whoever holds it may
    serve these tools of this tenant through a leaf node: nothing else (docs/security.md).

    Example: stenograph leaf config acme --tools get-account --url tls://nats.example:7422 --out site/
    """
    from stenograph_services.accounts import changes
    from stenograph_services.accounts.leafs import CREDENTIALS, Site, configuration
    from stenograph_services.accounts.private import write_private

    folder, server = folder_of(keys, data), server_of(nats_url, data)
    wanted, lasts = tools_in(tools), duration(expires)
    remote = url or f"nats-leaf://{urlsplit(server.split(',')[0]).hostname}:{PORT}"
    file = (out or Path()) / CREDENTIALS
    _check(remote, listen, file)
    made = run(changes.leaf_credentials(folder, server, tenant, wanted, name, lasts))
    text = configuration(Site(tenant, wanted, made.user, remote, listen, ca))
    if as_json:
        output.print_json(
            {"credential": made.user, "tenant": tenant, "tools": wanted, "config": text, "file": made.text}
        )
        return
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    write_private(file, made.text)
    if out is None:
        typer.echo(text, nl=False)
        output.note(f"credential {made.user[:SHOWN]} of {tenant} is in {file}: it belongs beside this configuration")
        return
    write_private(out / "leaf.conf", text)
    typer.echo(str(out / "leaf.conf"))
    typer.echo(str(file))


def _check(url: str, listen: str, file: Path) -> None:
    """Refuse before a credential is made what would only show on the customer's machine."""
    parts = urlsplit(url)
    if parts.scheme not in ("nats-leaf", "nats", "tls", "ws", "wss") or not parts.hostname:
        raise typer.BadParameter(f"{url!r} is no address such as tls://nats.example:{PORT}", param_hint="--url")
    host, colon, port = listen.rpartition(":")
    if not (host and colon and port.isdigit()):
        raise typer.BadParameter(f"{listen!r} is no address such as 127.0.0.1:4222", param_hint="--listen")
    if file.exists():
        raise output.Failure(f"{file} is there already, and may be in use: choose another folder with --out")
