"""How often somebody may ask: a token bucket for each credential and one for each tenant, in this process's memory.

429 {"error":"key 3f9a1c2b7d0e asks more than 300 times a second; …","code":"RATE_LIMITED"}       Retry-After: 1

Several gateways allow several times as much: a bucket that they shared would cost each request a round trip. What an
ephemeral token asks is counted for the key that made it. Over HTTP and over NATS the same buckets are taken from.
"""

import math
import time
from collections.abc import Callable

from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.runtime.config import Settings

BURST_SECONDS = 2.0  # a page that loads, or a client that starts, asks for much at once and then for little


class Bucket:
    """Holds what may still be asked; fills by `rate` a second, up to `BURST_SECONDS` of it, and never under one."""

    def __init__(self, rate: float, now: float) -> None:
        self.rate = rate
        self._most = max(rate * BURST_SECONDS, 1.0)
        self._left = self._most
        self._at = now

    def wait(self, now: float) -> float:
        """Return in how many seconds one more may be asked: 0 is now."""
        self._left = min(self._left + (now - self._at) * self.rate, self._most)
        self._at = now
        return max(1.0 - self._left, 0.0) / self.rate

    def take(self) -> None:
        """Take one out."""
        self._left -= 1.0


class Limits:
    """The buckets of this gateway. There are as many as there are keys and clients' credentials."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._rates = {"key": settings.key_requests_per_second, "tenant": settings.tenant_requests_per_second}
        self._clock = clock
        self._buckets: dict[tuple[str, str], Bucket] = {}

    def take(self, key: str, tenant: str) -> None:
        """Count one request of `key`; raise `Refusal`, and count nothing, if that is one too many."""
        now = self._clock()
        asked = [(who, self._bucket(*who, now)) for who in (("key", key), ("tenant", tenant)) if self._rates[who[0]]]
        for (kind, name), bucket in asked:
            if wait := bucket.wait(now):
                raise _too_often(f"{kind} {name}", bucket.rate, wait)
        for _, bucket in asked:
            bucket.take()

    def _bucket(self, kind: str, name: str, now: float) -> Bucket:
        if (kind, name) not in self._buckets:
            self._buckets[kind, name] = Bucket(self._rates[kind], now)
        return self._buckets[kind, name]


def _too_often(who: str, rate: float, wait_seconds: float) -> Refusal:
    sentence = f"{who} asks more than {rate:g} times a second; wait as long as Retry-After says"
    return Refusal(429, sentence, code="RATE_LIMITED", retry_after_seconds=math.ceil(wait_seconds))
