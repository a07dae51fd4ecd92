"""`stenograph-worker FILE.py …`: serve the tools that Python files define.

    # tools.py
    from stenograph_sdk import tool

    @tool("get-user-account", retry="safe")
    async def get_user_account(userId: str) -> dict[str, str]:
        return {"plan": "pro"}

    $ stenograph-worker tools.py --nats-url nats://127.0.0.1:4222
    $ stenograph-worker tools.py --reload             # a new process whenever a Python file beside it changes
    $ stenograph-worker tools.py --list               # what it would serve, with its parameters

Every `Tool` among a file's names is served, and every `Lifespan` is opened. SIGTERM and Ctrl-C finish what runs, then
end.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from stenograph_events.errors import EventError
from stenograph_sdk import logs
from stenograph_sdk.errors import StenographSdkError
from stenograph_sdk.listing import listed, pages
from stenograph_sdk.loading import load
from stenograph_sdk.reloading import serve_again_and_again
from stenograph_sdk.worker import Worker

DEFAULT_URL = "nats://127.0.0.1:4222"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until stopped and return the exit code: 0, or 1 after one line that says what is wrong."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(given)
    logs.configure(as_json=options.log_json, verbose=options.verbose)
    try:
        if options.reload:
            return serve_again_and_again([one for one in given if one != "--reload"], options.files)
        return _list(options) if options.list else _serve(options)
    except (StenographSdkError, EventError) as error:
        print(f"stenograph-worker: {error}", file=sys.stderr)
        return 1


def _serve(options: argparse.Namespace) -> int:
    found = load(options.files)
    worker = Worker(
        options.nats_url,
        options.credentials,
        options.tenant,
        options.name,
        options.concurrency,
        lifespan=found.lifespans,
        inbox_prefix=options.inbox_prefix,
        signers=options.signers.split(",") if options.signers else (),
        ca=options.ca,
        identity=options.identity,
    )
    worker.add(*found.tools)
    asyncio.run(worker.run())
    return 0


def _list(options: argparse.Namespace) -> int:
    tools = load(options.files).tools
    if options.json:
        print(msgspec.json.encode(listed(tools)).decode())
    else:
        print("\n".join(pages(tools)))
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="stenograph-worker",
        description="Serve the tools that Python files define with stenograph_sdk.tool.",
        epilog="example: stenograph-worker tools.py --credentials acme.creds --reload",
    )
    made.add_argument("files", type=Path, metavar="FILE.py", nargs="+", help="a file that defines tools")
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
    made.add_argument("--name", help="how the log names this worker (default: the host's name and a random end)")
    made.add_argument("--concurrency", type=positive, default=16, help="calls at once (default: %(default)s)")
    made.add_argument("--reload", action="store_true", help="begin anew whenever a Python file beside FILE.py changes")
    made.add_argument("--list", action="store_true", help="show the tools and what they take, and serve nothing")
    made.add_argument("--json", action="store_true", help="with --list: as JSON, with the schemas whole")
    made.add_argument("--log-json", action="store_true", help="log one JSON object a line")
    made.add_argument("--verbose", action="store_true", help="log more, and the tracebacks of tools that raise")
    return made


def positive(text: str) -> int:
    """Return `text` as a number of at least 1, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
