"""Several nats-servers on one machine that replicate to each other: for tests of what differs there, and it does.

<directory>/stenograph-1/   <directory>/stenograph-2/   <directory>/stenograph-3/     one `NatsServer` each
"""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Self

import httpx

from stenograph_services.runtime.nats_server import POLL_SECONDS, ClusterPlace, NatsServer, free_ports


class NatsCluster:
    """Three (or `size`) nats-servers on one machine that replicate to each other."""

    def __init__(self, directory: Path, *, size: int = 3, name: str = "stenograph") -> None:
        ports = free_ports(3 * size)
        routes = tuple(ports[:size])
        self.servers = [
            NatsServer(
                directory / f"{name}-{i + 1}",
                name=f"{name}-{i + 1}",
                port=ports[size + i],
                monitor_port=ports[2 * size + i],
                cluster=ClusterPlace(name, routes[i], routes),
            )
            for i in range(size)
        ]

    @property
    def urls(self) -> list[str]:
        return [server.url for server in self.servers]

    async def start(self, timeout: float = 60.0) -> Self:
        """Start all servers and return when they agree on a leader. On failure none is left running."""
        try:
            # A server is healthy once it follows the leader, so each one waits for the others.
            await asyncio.gather(*(server.start(timeout) for server in self.servers))
            await asyncio.wait_for(self._until_led(), timeout)
        except BaseException:
            await self.stop()
            raise
        return self

    async def stop(self) -> None:
        await asyncio.gather(*(server.stop() for server in self.servers))

    def named(self, name: str) -> NatsServer:
        """Return the server called `name`, as JetStream names the leader of a stream."""
        return next(server for server in self.servers if server.name == name)

    async def meta_leader(self) -> NatsServer | None:
        """Return the server that leads the cluster's own Raft group, if one does."""
        async with httpx.AsyncClient(trust_env=False, timeout=2.0) as http:
            for server in self.servers:
                with suppress(httpx.HTTPError):
                    answer = (await http.get(f"{server.monitor_url}/jsz")).json()
                    if leader := answer.get("meta_cluster", {}).get("leader"):
                        return self.named(leader)
        return None

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _until_led(self) -> None:
        while await self.meta_leader() is None:  # noqa: ASYNC110  (the leader is in another process: nothing to await)
            await asyncio.sleep(POLL_SECONDS)
