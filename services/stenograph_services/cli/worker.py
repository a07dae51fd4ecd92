"""`stenograph worker FILE.py`: the SDK's worker, as a command here; customers have `stenograph-worker`."""

from pathlib import Path
from typing import Annotated

import typer

from stenograph_services.cli.connect import DEFAULT_DATA, DEFAULT_TENANT, Data, NatsUrl, Place


def worker(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.py", help="The file that defines the tools.", show_default=False)
    ],
    name: Annotated[str | None, typer.Option(metavar="NAME", help="How the log names this worker.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Calls at once.")] = 16,
    credentials: Annotated[
        Path | None,
        typer.Option(envvar="STENOGRAPH_CREDENTIALS", metavar="FILE", help="A NATS credentials file."),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(envvar="STENOGRAPH_NATS_CA", metavar="FILE", help="Certificates to trust, for a CA of your own."),
    ] = None,
    inbox_prefix: Annotated[
        str | None,
        typer.Option(envvar="STENOGRAPH_INBOX_PREFIX", metavar="PREFIX", help="Behind a leaf node: as it says."),
    ] = None,
    nats_url: NatsUrl = None,
    tenant: Annotated[
        str | None,
        typer.Option(
            envvar="STENOGRAPH_TENANT",
            metavar="NAME",
            help="Whose tools: as the credentials say, else default.",
        ),
    ] = None,
    data: Data = DEFAULT_DATA,
) -> None:
    """Serve the tools that a Python file defines, until Ctrl-C or SIGTERM.

    Example: stenograph worker agents/support-chat/tools.py
    """
    from stenograph_sdk.cli import main

    place = Place.of(nats_url, tenant or DEFAULT_TENANT, data)
    arguments = [str(file), "--nats-url", place.url, "--concurrency", str(concurrency)]
    if tenant:
        arguments += ["--tenant", tenant]
    if name:
        arguments += ["--name", name]
    if credentials:
        arguments += ["--credentials", str(credentials)]
    if ca:
        arguments += ["--ca", str(ca)]
    if inbox_prefix:
        arguments += ["--inbox-prefix", inbox_prefix]
    if code := main(arguments):
        raise typer.Exit(code)
