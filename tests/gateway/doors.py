"""Gateways with a door, keys to open it, and clients that hold one.

key, secret = await key_for(services, "sessions")
async with gateway_with(services, api_key="all") as gate, gate.client(secret) as http: ...
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from tests.support.services import TENANT, Stage
from tests.support.wait import until

from stenograph_services.gateway import app as gateway
from stenograph_services.gateway.app import Gateway
from stenograph_services.runtime.keys import ApiKey, KeyStore, Scope, new_key
from stenograph_services.runtime.service import Running

WITHIN = 1.0  # seconds in which a running gateway knows of a change


class Gate:
    """A running gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.url = f"http://127.0.0.1:{gateway.port}"

    def client(self, secret: str | None = None) -> httpx.AsyncClient:
        """Return a client that sends `secret` with every request."""
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=30)

    async def status(self, secret: str | None, path: str = "/api/agents") -> int:
        async with self.client(secret) as http:
            return (await http.get(path)).status_code

    async def knows(self, secret: str) -> None:
        """Return when the gateway lets `secret` in."""

        async def let_in() -> bool:
            return await self.status(secret) != 401

        await until(let_in, WITHIN, what="the key counts")

    async def misses_the_client(self, session: str, turn: str) -> None:
        """Return when the gateway has noticed that nobody follows `turn` here any more."""
        left = self.gateway._streams.repeats.is_left
        await until(lambda: left(session, turn), what="the gateway notices that its client is gone")

    async def refuses(self, secret: str, path: str = "/api/agents") -> None:
        """Return when the gateway lets `secret` in no more."""

        async def kept_out() -> bool:
            return await self.status(secret, path) == 401

        await until(kept_out, WITHIN, what="the end of the key counts")


@asynccontextmanager
async def gateway_with(services: Stage, **settings: Any) -> AsyncIterator[Gate]:
    """Yield one more gateway, with settings of its own."""
    running = Running(gateway.build, services.settings.model_copy(update=settings))
    await running.start()
    assert isinstance(running.service, Gateway)
    try:
        yield Gate(running.service)
    finally:
        await running.stop()


async def key_for(services: Stage, *scopes: Scope, tenant: str = TENANT) -> tuple[ApiKey, str]:
    """Store a new key and return it with its secret."""
    key, secret = new_key(tenant, scopes)
    await KeyStore(services.nc).add(key)
    return key, secret
