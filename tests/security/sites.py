"""A customer's network: a nats-server on the configuration that we generated, and where there may be one, a namespace.

async with site(directory) as site:             # leaf.conf and leaf.creds are there
    Worker(site.url, identity=site.identity)
async with outbound_only() as network:                # a namespace of its own, with one link out
    async with site(directory, network.name): …
"""

import asyncio
import os
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.support.wait import until

from stenograph_sdk.credentials import said_by
from stenograph_services.runtime.nats_server import server_program

ENTER = "import os, sys; from pyroute2 import netns; netns.setns(sys.argv[1]); os.execvp(sys.argv[2], sys.argv[2:])"


class Network(NamedTuple):
    """A network namespace, and the two ends of its only link."""

    name: str
    ours: str
    theirs: str


class Site(NamedTuple):
    """A leaf node that runs, and how its workers connect to it."""

    url: str
    identity: Path
    log: Path

    @property
    def inbox_prefix(self) -> str:
        return said_by(self.identity).inbox_prefix or ""

    def said(self) -> str:
        return self.log.read_text(errors="replace")


def entering(namespace: str | None, *command: str) -> Sequence[str]:
    """Return the command that runs `command` inside of a namespace."""
    return (sys.executable, "-c", ENTER, namespace, *command) if namespace else command


@asynccontextmanager
async def site(directory: Path, namespace: str | None = None) -> AsyncIterator[Site]:
    """Run nats-server on `leaf.conf` in `directory`, as a customer does, until the end."""
    config = (directory / "leaf.conf").read_text()
    listen, identity = re.search(r'^listen: "(.*)"', config, re.MULTILINE), re.search(r"--identity (\S+)", config)
    assert listen, config
    assert identity, config
    async with server(directory, entering(namespace, server_program(), "-c", "leaf.conf")) as log:
        running = Site(f"nats://{listen[1]}", directory / identity[1], log)
        await until(lambda: "Leafnode connection created" in running.said(), what="the leaf node has dialled")
        yield running


@asynccontextmanager
async def server(directory: Path, command: Sequence[str]) -> AsyncIterator[Path]:
    """Run a nats-server in `directory` until the end; yield its log when it is ready."""
    log = directory / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=directory, stdout=out, stderr=out)  # noqa: ASYNC220 - it starts at once
    try:
        await until(lambda: "Server is ready" in log.read_text() or process.poll(), what="the server is ready")
        assert process.poll() is None, log.read_text()
        yield log
    finally:
        process.terminate()
        process.wait()


@asynccontextmanager
async def outbound_only() -> AsyncIterator[Network]:
    """Make a namespace that reaches one address of this machine and nothing else; skip where that may not be."""
    pytest.importorskip("pyroute2")
    if os.geteuid() != 0:
        pytest.skip("only root may make a network namespace")
    network = Network(f"stenograph-{os.getpid()}", "10.251.0.1", "10.251.0.2")
    try:
        await asyncio.to_thread(_make, network)  # pyroute2 wants an event loop of its own
    except OSError as error:
        pytest.skip(f"no network namespace can be made here: {error}")
    try:
        yield network
    finally:
        await asyncio.to_thread(_remove, network)


def _make(network: Network) -> None:
    import pyroute2

    here, there = f"sth{os.getpid()}", f"stc{os.getpid()}"
    pyroute2.netns.create(network.name)
    try:
        with pyroute2.IPRoute() as ip:
            ip.link("add", ifname=here, kind="veth", peer={"ifname": there, "net_ns_fd": network.name})
            _up(ip, here, network.ours)
        with pyroute2.NetNS(network.name) as inside:
            _up(inside, there, network.theirs)
            _up(inside, "lo", None)
    except BaseException:
        _remove(network)
        raise


def _remove(network: Network) -> None:
    import pyroute2

    pyroute2.netns.remove(network.name)  # its end of the link goes with it, and so does ours


def dial(host: str, port: int) -> int:
    """Return the error of a connection from here, or 0."""
    with socket.socket() as dialled:
        dialled.settimeout(2.0)
        return dialled.connect_ex((host, port))


def _up(ip: Any, interface: str, address: str | None) -> None:
    [index] = ip.link_lookup(ifname=interface)
    if address:
        ip.addr("add", index=index, address=address, prefixlen=30)
    ip.link("set", index=index, state="up")
