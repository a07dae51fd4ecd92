"""`stenograph audit`: what nats-server denied, a line for each denial: who, what, and why.

    $ stenograph audit --server-log /var/log/nats-server.log
    2026-11-22 10:00:00  acme  UB3F9A1C2B  subscribe  ev.>  Subscription Violation
    $ stenograph audit --follow --json >> audit.jsonl

What the gateway itself denies to clients it logs as `access.denied`, with the same keys.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from stenograph_services.cli import output
from stenograph_services.cli.connect import CONNECT_SECONDS, DEFAULT_DATA, Data, Json, NatsUrl, run
from stenograph_services.cli.issued import SHOWN
from stenograph_services.cli.tenants import Keys, folder_of, server_of

if TYPE_CHECKING:
    from stenograph_services.accounts.auditing import Denial
    from stenograph_services.accounts.folder import KeyFolder
    from stenograph_services.accounts.records import IssuedCredential

LOOK_SECONDS = 0.2  # how often a log is looked at for more


def audit(
    server_log: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The log of nats-server: that of `stenograph dev` in --data by default."),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is denied from now on, until Ctrl-C.")
    ] = False,
    nats_url: NatsUrl = None,
    keys: Keys = None,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Say what nats-server denied: a line for each denial, with the public key of who tried it, the subject, and why.

    Where the operator's keys lie it says of which credential that key is, and --follow also hears of connections that
    were refused, and what they showed. The log's times are read as UTC (`logtime_utc: true`).

    Example: stenograph audit --server-log /var/log/nats-server.log --json
    """
    path = server_log or data / "nats" / "nats-server.log"
    if not path.is_file():
        raise output.Failure(f"there is no log of a nats-server at {path}: name it with --server-log")
    folder = folder_of(keys, data)
    told = _Told(folder, as_json)
    if not follow:
        for line in _lines(path):
            told.line(line)
        return
    with contextlib.suppress(KeyboardInterrupt):
        run(_follow(path, folder, server_of(nats_url, data), told))


class _Told:
    """What is printed. `hears`: whether the server itself tells of refused connections, of which its log knows less."""

    def __init__(self, folder: "KeyFolder", as_json: bool) -> None:
        self.hears: Callable[[], bool] = lambda: False
        self._folder = folder
        self._as_json = as_json
        self._issued: dict[str, IssuedCredential] = {}

    def line(self, line: str) -> None:
        from stenograph_services.accounts.auditing import denied

        denial = denied(line)
        if denial is not None and not (denial.action == "connect" and self.hears()):
            self.denial(denial)

    def denial(self, denial: "Denial") -> None:
        issued = self._credential(denial.user)
        if self._as_json:
            output.print_json_line(_document(denial, issued))
        else:
            typer.echo(output.printable("  ".join(_words(denial, issued))))

    def _credential(self, user: str | None) -> "IssuedCredential | None":
        """Return what is written down of a credential; it may have been made since the last one was looked for."""
        if user is None or not self._folder.exists:
            return None
        if user not in self._issued:
            with self._folder.locked():
                known = [one for tenant in self._folder.tenants() for one in tenant.credentials]
            self._issued = {one.user: one for one in known}
        return self._issued.get(user)


def _document(denial: "Denial", issued: "IssuedCredential | None") -> bytes:
    import msgspec

    shown: dict[str, Any] = msgspec.to_builtins(denial)
    if issued is not None:
        limits = {"agent": issued.scope.agent, "session": issued.scope.session, "name": issued.name}
        shown |= {"kind": issued.kind} | {key: value for key, value in limits.items() if value}
    return msgspec.json.encode({"event": denial.event} | shown)


def _words(denial: "Denial", issued: "IssuedCredential | None") -> Iterator[str]:
    yield f"{denial.at:%Y-%m-%d %H:%M:%S}"
    yield denial.tenant or "-"
    yield (denial.user or "-")[:SHOWN] + (f" ({issued.kind})" if issued else "")
    yield denial.action
    yield denial.subject or denial.address or "-"
    yield denial.reason


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", errors="replace") as log:
        for line in log:
            yield line.rstrip("\n")


async def _follow(path: Path, folder: "KeyFolder", url: str, told: _Told) -> None:
    log = path.open(encoding="utf-8", errors="replace")
    log.seek(0, os.SEEK_END)
    async with _refusals(folder, url, told):
        output.note(f"following {path}: Ctrl-C ends")
        await _read_on(path, log, told.line)


@asynccontextmanager
async def _refusals(folder: "KeyFolder", url: str, told: _Told) -> AsyncIterator[None]:
    """Tell of refused connections meanwhile, if the operator's keys are here."""
    from stenograph_sdk.connection import connect
    from stenograph_services.accounts.auditing import REFUSALS, refused

    if not folder.system_credentials.is_file():
        yield
        return

    async def hear(message: Any) -> None:
        told.denial(refused(message.data))

    connection = await connect(
        url,
        credentials=folder.system_credentials,
        name="stenograph audit",
        timeout=CONNECT_SECONDS,
        ca=os.environ.get("STENOGRAPH_NATS_CA"),
    )
    try:
        await connection.nats.subscribe(REFUSALS, cb=hear)
        await connection.nats.flush()
        told.hears = lambda: connection.nats.is_connected
        yield
    finally:
        await connection.close()


async def _read_on(path: Path, log: TextIO, tell: Callable[[str], None]) -> None:
    """Tell each line that is added, for ever. A log that is another file now, or shorter, is read from its start."""
    rest = ""
    while True:
        if more := log.read():
            *whole, rest = (rest + more).split("\n")
            for line in whole:
                tell(line)
            continue
        await asyncio.sleep(LOOK_SECONDS)
        log = _current(path, log)


def _current(path: Path, log: TextIO) -> TextIO:
    """Return the file that is at `path` now, where it has to be read on."""
    with contextlib.suppress(FileNotFoundError):
        there, here = path.stat(), os.fstat(log.fileno())
        if there.st_ino != here.st_ino:
            log.close()
            return path.open(encoding="utf-8", errors="replace")
        if there.st_size < log.tell():
            log.seek(0)
    return log
