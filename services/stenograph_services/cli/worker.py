"""`stenograph worker FILE.py …`: the SDK's worker, as a command here; customers have `stenograph-worker`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from stenograph_services.cli.connect import DEFAULT_DATA, DEFAULT_TENANT, Data, NatsUrl, Place

MCP = "Tools of MCP servers"
Given = list[str] | None


def of_mcp(option: str, metavar: str, help: str) -> Any:
    return typer.Option(option, metavar=metavar, help=help, rich_help_panel=MCP)


Commands = Annotated[
    list[str] | None, of_mcp("--mcp", "COMMAND", "Start this server; speak over its input and output.")
]
Urls = Annotated[Given, of_mcp("--mcp-url", "URL", "Speak to this server over streamable HTTP.")]
Variables = Annotated[list[str] | None, of_mcp("--mcp-env", "VARIABLE", "Hand this variable on to the server.")]
Headers = Annotated[
    list[str] | None, of_mcp("--mcp-header", "NAME=VARIABLE", "Send this header, its value a variable's.")
]
Only = Annotated[Given, of_mcp("--only", "NAME,…", "Serve these of their tools; all by default.")]
Safe = Annotated[Given, of_mcp("--safe", "NAME", "This tool may run again.")]
Accepted = Annotated[list[str] | None, of_mcp("--accept", "HASH", "Accept a tool or a list as --list shows it.")]


def worker(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE.py …", help="The files that define the tools.", show_default=False),
    ] = None,
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
    mcp: Commands = None,
    mcp_url: Urls = None,
    mcp_env: Variables = None,
    mcp_header: Headers = None,
    only: Only = None,
    safe: Safe = None,
    accept: Accepted = None,
    retry: Annotated[str, of_mcp("--retry", "safe|never", "Whether their tools may run again.")] = "never",
    trust_annotations: Annotated[
        bool, typer.Option("--trust-annotations", help="Read-only or idempotent: may run again.", rich_help_panel=MCP)
    ] = False,
    pins: Annotated[Path | None, of_mcp("--pins", "FILE", "What is accepted; .stenograph/mcp-pins.json.")] = None,
) -> None:
    """Serve the tools that Python files define, and those of MCP servers, until Ctrl-C or SIGTERM.

    Example: stenograph worker agents/support-chat/tools.py --reload

    Example: stenograph worker --mcp 'npx some-server' --only read_file --safe read_file
    """
    from stenograph_sdk.cli import main
    from stenograph_services.cli.dev_wall import worker_credentials_of

    place = Place.of(nats_url, tenant or DEFAULT_TENANT, data)
    if credentials is None and place.is_walled_dev:
        credentials = worker_credentials_of(data)
    arguments = [*map(str, files or ()), "--nats-url", place.url, "--concurrency", str(concurrency)]
    switches = {
        "--reload": reload,
        "--list": listing,
        "--json": as_json,
        "--log-json": log_json,
        "--verbose": verbose,
        "--trust-annotations": trust_annotations,
    }
    arguments += [switch for switch, on in switches.items() if on]
    given = {
        "--tenant": tenant,
        "--name": name,
        "--credentials": credentials,
        "--ca": ca,
        "--identity": identity,
        "--inbox-prefix": inbox_prefix,
        "--retry": retry,
        "--pins": pins,
    }
    for option, value in given.items():
        if value:
            arguments += [option, str(value)]
    several = {
        "--mcp": mcp,
        "--mcp-url": mcp_url,
        "--mcp-env": mcp_env,
        "--mcp-header": mcp_header,
        "--only": only,
        "--safe": safe,
        "--accept": accept,
    }
    arguments += [f"{option}={value}" for option, values in several.items() for value in values or ()]
    if code := main(arguments):
        raise typer.Exit(code)
