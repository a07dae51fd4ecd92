"""Who may ask: `Authorization: Bearer <key>` against `STENOGRAPH_API_KEY`.

Without a key the gateway serves its own machine alone: it refuses to listen elsewhere, and answers only requests that
name the machine itself as their host, so that a web page cannot reach it through a name that points here.
"""

import hmac
import ipaddress

from fastapi import Request

from stenograph_services.gateway.refusals import Refusal
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.errors import InvalidSetting


def check_exposure(settings: Settings) -> None:
    """Raise `InvalidSetting` if everybody on the network could ask anything."""
    if not settings.api_key and not _is_loopback(settings.host):
        raise InvalidSetting(
            f"STENOGRAPH_API_KEY is needed to listen on {settings.host}: set it, or listen on 127.0.0.1"
        )


class Doorkeeper:
    """A FastAPI dependency: lets a request pass or raises `Refusal`."""

    def __init__(self, settings: Settings) -> None:
        self._key = settings.api_key.encode() if settings.api_key else None

    async def __call__(self, request: Request) -> None:
        if self._key is None:
            if not _is_loopback(request.url.hostname or ""):
                raise Refusal(403, "without STENOGRAPH_API_KEY only requests to 127.0.0.1 or localhost are answered")
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._key):
            raise Refusal(401, "the API key is missing or wrong: send `Authorization: Bearer <key>`")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
