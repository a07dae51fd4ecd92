"""The command line of `stenograph-worker`: what may be asked of it, and what is wrong with that."""

import argparse
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from stenograph_sdk.mcp_link import Server
from stenograph_sdk.mcp_pins import DEFAULT as DEFAULT_PINS
from stenograph_sdk.mcp_tools import Choice, env_from, headers_from

DEFAULT_URL = "nats://127.0.0.1:4222"


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Return what `arguments` ask for; end the process, as argparse does, with what is wrong with them."""
    made = parser()
    options = made.parse_args(arguments)
    options.only = [name for one in options.only for name in one.split(",") if name]
    if not options.files and not options.mcp and not options.mcp_url:
        made.error("name a file that defines tools, or an MCP server with --mcp or --mcp-url")
    try:
        servers(options)
    except ValueError as error:
        made.error(str(error))
    return options


def servers(options: argparse.Namespace) -> list[Server]:
    """Return the MCP servers that `options` name; raise `ValueError` for what cannot be one."""
    env, headers = env_from(options.mcp_env, os.environ), headers_from(options.mcp_header, os.environ)
    started = [Server(command=_command(one), env=env) for one in options.mcp]
    return started + [Server(url=_address(one), headers=headers) for one in options.mcp_url]


def choice(options: argparse.Namespace) -> Choice:
    """Return which tools of MCP servers `options` want, and how often each may run."""
    return Choice(options.only, options.retry, options.safe, options.trust_annotations)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="stenograph-worker",
        usage="%(prog)s [FILE.py …] [--mcp COMMAND] [--mcp-url URL] [OPTIONS]; --help explains them",
        description="Serve the tools that Python files define with stenograph_sdk.tool, and those of MCP servers.",
        epilog="examples: stenograph-worker tools.py --credentials acme.creds --reload;  "
        "stenograph-worker --mcp 'npx some-server' --only read_file --safe read_file",
    )
    made.add_argument("files", type=Path, metavar="FILE.py", nargs="*", help="a file that defines tools")
    _add_place(made)
    made.add_argument("--name", help="how the log names this worker (default: the host's name and a random end)")
    made.add_argument("--concurrency", type=positive, default=16, help="calls at once (default: %(default)s)")
    made.add_argument("--reload", action="store_true", help="begin anew whenever a Python file beside FILE.py changes")
    made.add_argument("--list", action="store_true", help="show the tools and what they take, and serve nothing")
    made.add_argument("--json", action="store_true", help="with --list: as JSON, with the schemas whole")
    made.add_argument("--log-json", action="store_true", help="log one JSON object a line")
    made.add_argument("--verbose", action="store_true", help="log more, and the tracebacks of tools that raise")
    _add_mcp(made.add_argument_group("MCP", "Tools of MCP servers; needs the package mcp, the extra [mcp]."))
    return made


def _add_place(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--nats-url",
        default=os.environ.get("STENOGRAPH_NATS_URL", DEFAULT_URL),
        help=f"where to connect (default: $STENOGRAPH_NATS_URL, else {DEFAULT_URL})",
    )
    made.add_argument(
        "--credentials",
        default=os.environ.get("STENOGRAPH_CREDENTIALS"),
        metavar="FILE",
        help="a NATS credentials file (default: $STENOGRAPH_CREDENTIALS)",
    )
    made.add_argument(
        "--ca",
        default=os.environ.get("STENOGRAPH_NATS_CA"),
        metavar="FILE",
        help="certificates to trust instead of the system's (default: $STENOGRAPH_NATS_CA)",
    )
    made.add_argument(
        "--identity",
        default=os.environ.get("STENOGRAPH_IDENTITY"),
        metavar="FILE",
        help="behind a leaf node: its credentials file, which says whose worker this is and signs the answers",
    )
    made.add_argument(
        "--inbox-prefix",
        default=os.environ.get("STENOGRAPH_INBOX_PREFIX"),
        metavar="PREFIX",
        help="where answers come, behind a leaf node: its configuration says it (default: as the credentials say)",
    )
    made.add_argument(
        "--signers",
        default=os.environ.get("STENOGRAPH_SIGNERS", ""),
        metavar="KEY,…",
        help="the platform's keys, behind a leaf node: requests that none of them signed are not run",
    )
    made.add_argument("--tenant", help="whose tools these are (default: as the credentials say, else default)")


def _add_mcp(made: "argparse._ArgumentGroup") -> None:
    for option, metavar, help in (
        ("--mcp", "COMMAND", "start this server and speak over its input and output"),
        ("--mcp-url", "URL", "speak to this server over streamable HTTP"),
        ("--mcp-env", "VARIABLE", "hand this variable of the environment on to the server"),
        ("--mcp-header", "NAME=VARIABLE", "send this header, whose value is that variable's"),
        ("--only", "NAME,…", "serve these of their tools (default: all)"),
        ("--safe", "NAME", "this tool may run again"),
        ("--accept", "HASH", "accept a tool, or a whole list, as --list shows it"),
    ):
        made.add_argument(option, metavar=metavar, help=help, action="append", default=[])
    made.add_argument(
        "--retry", choices=("safe", "never"), default="never", help="whether their tools may run again (default: never)"
    )
    made.add_argument(
        "--trust-annotations",
        action="store_true",
        help="believe a server that calls a tool read-only or idempotent: it may run again",
    )
    made.add_argument(
        "--pins", type=Path, default=DEFAULT_PINS, metavar="FILE", help="what is accepted (default: %(default)s)"
    )


def positive(text: str) -> int:
    """Return `text` as a number of at least 1, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _command(text: str) -> tuple[str, ...]:
    try:
        command = tuple(shlex.split(text))
    except ValueError as error:
        raise ValueError(f"--mcp {text!r} is no command: {error}") from error
    if not command:
        raise ValueError("--mcp is empty: name the command that starts the server")
    return command


def _address(text: str) -> str:
    if urlsplit(text).scheme not in ("http", "https") or not urlsplit(text).hostname:
        raise ValueError(f"--mcp-url {text!r} is no address: it begins with http:// or https://")
    return text
