"""Requests of the sync client: sent again while no gateway answers, refused in words."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from stenograph_sdk.http.errors import GatewayUnreachable
from stenograph_sdk.http.exchange import RETRIED, TIMEOUT, base_url, headers, pauses, refusal


class SyncTransport:
    """The way to one gateway. `timeout` is how long a request is tried, in seconds."""

    def __init__(self, url: str, api_key: str | None, timeout: float) -> None:
        self._url = base_url(url)
        self._timeout = timeout
        self._http = httpx.Client(headers=headers(api_key), timeout=TIMEOUT)

    def close(self) -> None:
        self._http.close()

    def request(self, method: str, path: str, *, what: str, session: str | None = None, **more: Any) -> httpx.Response:
        """Return the successful answer to a request; one that got no answer is asked again."""
        try:
            with self.stream(method, path, what=what, session=session, **more) as response:
                response.read()
                return response
        except httpx.TransportError as error:
            raise GatewayUnreachable(self._url, f"it broke off its answer: {error}") from error

    @contextmanager
    def stream(
        self, method: str, path: str, *, what: str, session: str | None = None, **more: Any
    ) -> Iterator[httpx.Response]:
        """Yield the successful answer to a request, its body unread. Raises `HttpRefused` and `GatewayUnreachable`."""
        response = self._sent(method, path, **more)
        try:
            if not response.is_success:
                response.read()
                raise refusal(what, response, session)
            yield response
        finally:
            response.close()

    def _sent(self, method: str, path: str, **more: Any) -> httpx.Response:
        until = time.monotonic() + self._timeout
        for pause in pauses():
            failure: httpx.TransportError | None = None
            late = time.monotonic() + pause > until
            try:
                request = self._http.build_request(method, self._url + path, **more)
                response = self._http.send(request, stream=True)
                if response.status_code not in RETRIED or late:
                    return response
                response.close()
            except httpx.TransportError as error:
                failure = error
            if failure and late:
                raise GatewayUnreachable(self._url, str(failure) or type(failure).__name__) from failure
            time.sleep(pause)
        raise AssertionError("pauses never end")
