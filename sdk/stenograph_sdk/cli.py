"""`stenograph-worker FILE.py`: serve the tools that a Python file defines.

    # tools.py
    from stenograph_sdk import tool

    @tool("get-user-account", retry="safe")
    async def get_user_account(userId: str) -> dict[str, str]:
        return {"plan": "pro"}

    $ stenograph-worker tools.py --nats-url nats://127.0.0.1:4222

Every `Tool` among the file's names is served. SIGTERM and Ctrl-C finish what runs, then end.
"""

import argparse
import asyncio
import importlib.util
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from stenograph_events.errors import EventError
from stenograph_sdk.errors import NoTools, StenographSdkError, WorkerFileError
from stenograph_sdk.tools import Tool
from stenograph_sdk.worker import Worker

DEFAULT_URL = "nats://127.0.0.1:4222"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until stopped and return the exit code: 0, or 1 after one line that says what is wrong."""
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("nats").setLevel(logging.CRITICAL)  # what it reports, the SDK's log says in one line
    try:
        worker = Worker(
            options.nats_url, options.credentials, options.tenant, options.name, options.concurrency,
            inbox_prefix=options.inbox_prefix, signers=options.signers.split(",") if options.signers else (),
            ca=options.ca,
        )  # fmt: skip
        worker.add(*load_tools(options.file))
        asyncio.run(worker.run())
    except (StenographSdkError, EventError) as error:
        print(f"stenograph-worker: {error}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="stenograph-worker", description="Serve the tools that a Python file defines with stenograph_sdk.tool."
    )
    made.add_argument("file", type=Path, metavar="FILE.py", help="the file that defines the tools")
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
    return made


def positive(text: str) -> int:
    """Return `text` as a number of at least 1, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def load_tools(path: Path) -> list[Tool]:
    """Return the tools that the Python file at `path` defines, in its order.

    Raises `WorkerFileError` if it cannot be read or run, naming the line, and `NoTools`.
    """
    if not path.is_file():
        raise WorkerFileError(f"there is no file {path}")
    tools = {id(value): value for value in vars(_import(path)).values() if isinstance(value, Tool)}
    if not tools:
        raise NoTools(f"{path} defines no tools: decorate functions with @tool(…), from stenograph_sdk import tool")
    return list(tools.values())


def _import(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise WorkerFileError(f"{path} is not a Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(path.resolve().parent))  # as `python FILE.py` would: its neighbours can be imported
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise WorkerFileError(f"{error.filename or path}, line {error.lineno}: {error.msg}") from error
    except Exception as error:
        raise WorkerFileError(f"{path}, line {_line(path, error)}: {type(error).__name__}: {error}") from error
    return module


def _line(path: Path, error: Exception) -> int | str:
    """Return the last line of the file itself that led to `error`."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path]
    return next((line for line in reversed(lines) if line), "?")


if __name__ == "__main__":
    sys.exit(main())
