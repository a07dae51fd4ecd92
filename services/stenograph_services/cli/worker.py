"""`stenograph worker FILE.py …`: the SDK's worker, as a command here; customers have `stenograph-worker`."""

from pathlib import Path
from typing import Annotated

import typer

from stenograph_services.cli.connect import DEFAULT_DATA, DEFAULT_TENANT, Data, NatsUrl, Place


def worker(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE.py …", help="The files that define the tools.", show_default=False)
    ],
    name: Annotated[str | None, typer.Option(metavar="NAME", help="How the log names this worker.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Calls at once.")] = 16,
    reload: Annotated[bool, typer.Option("--reload", help="Begin anew whenever a Python file there changes.")] = False,
    listing: Annotated[bool, typer.Option("--list", help="Show the tools and what they take; serve nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --list: JSON for programs to read.")] = False,
    log_json: Annotated[bool, typer.Option("--log-json", help="Log one JSON object a line.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more, and tracebacks of tools.")] = False,
    credentials: Annotated[
        Path | None,
        typer.Option(envvar="STENOGRAPH_CREDENTIALS", metavar="FILE", help="A NATS credentials file."),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(envvar="STENOGRAPH_NATS_CA", metavar="FILE", help="Certificates to trust, for a CA of your own."),
    ] = None,
    identity: Annotated[
        Path | None,
        typer.Option(
            envvar="STENOGRAPH_IDENTITY", metavar="FILE", help="Behind a leaf node: its credentials, to sign answers."
        ),
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
    """Serve the tools that Python files define, until Ctrl-C or SIGTERM.

    Example: stenograph worker agents/support-chat/tools.py --reload
    """
    from stenograph_sdk.cli import main

    place = Place.of(nats_url, tenant or DEFAULT_TENANT, data)
    arguments = [*map(str, files), "--nats-url", place.url, "--concurrency", str(concurrency)]
    switches = {
        "--reload": reload,
        "--list": listing,
        "--json": as_json,
        "--log-json": log_json,
        "--verbose": verbose,
    }
    arguments += [switch for switch, on in switches.items() if on]
    given = {
        "--tenant": tenant,
        "--name": name,
        "--credentials": credentials,
        "--ca": ca,
        "--identity": identity,
        "--inbox-prefix": inbox_prefix,
    }
    for option, value in given.items():
        if value:
            arguments += [option, str(value)]
    if code := main(arguments):
        raise typer.Exit(code)
