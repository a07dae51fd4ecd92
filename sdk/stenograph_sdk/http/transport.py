"""Requests: sent again while no gateway answers, refused in words."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from stenograph_sdk.http.blocking import BlockingClient, blocking_sleep
from stenograph_sdk.http.errors import GatewayUnreachable
from stenograph_sdk.http.exchange import RETRIED, TIMEOUT, base_url, headers, pauses, refusal


class Transport:
    """The way to one gateway. `timeout` is how long a request is tried, in seconds.

    With `blocking`, nothing that it awaits suspends: see `stenograph_sdk.http.blocking`.
    """

    def __init__(self, url: str, api_key: str | None, timeout: float, *, blocking: bool = False) -> None:
        self._url = base_url(url)
        self._timeout = timeout
        client = BlockingClient if blocking else httpx.AsyncClient
        self._http = client(headers=headers(api_key), timeout=TIMEOUT)
        self.sleep = blocking_sleep if blocking else asyncio.sleep

    async def close(self) -> None:
        await self._http.aclose()

    async def check(self) -> None:
        """Raise `GatewayUnreachable`, or `HttpRefused`, if no gateway is there."""
        await self.request("GET", "/healthz", what="the gateway's health")

    async def request(
        self, method: str, path: str, *, what: str, session: str | None = None, **more: Any
    ) -> httpx.Response:
        """Return the successful answer to a request; one that got no answer is asked again."""
        try:
            async with self.stream(method, path, what=what, session=session, **more) as response:
                await response.aread()
                return response
        except httpx.TransportError as error:
            raise GatewayUnreachable(self._url, f"it broke off its answer: {error}") from error

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, *, what: str, session: str | None = None, **more: Any
    ) -> AsyncIterator[httpx.Response]:
        """Yield the successful answer to a request, its body unread. Raises `HttpRefused` and `GatewayUnreachable`."""
        response = await self._sent(method, path, **more)
        try:
            if not response.is_success:
                await response.aread()
                raise refusal(what, response, session)
            yield response
        finally:
            await response.aclose()

    async def _sent(self, method: str, path: str, **more: Any) -> httpx.Response:
        until = time.monotonic() + self._timeout
        for pause in pauses():
            failure: httpx.TransportError | None = None
            late = time.monotonic() + pause > until
            try:
                request = self._http.build_request(method, self._url + path, **more)
                response = await self._http.send(request, stream=True)
                if response.status_code not in RETRIED or late:
                    return response
                await response.aclose()
            except httpx.TransportError as error:
                failure = error
            if failure and late:
                raise GatewayUnreachable(self._url, str(failure) or type(failure).__name__) from failure
            await self.sleep(pause)
        raise AssertionError("pauses never end")
