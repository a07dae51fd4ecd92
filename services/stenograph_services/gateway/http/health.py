"""Is it alive, and may it be asked: two answers that need no key.

GET /healthz   {"status":"ok"}
GET /readyz    {"ready":true,"nats":true,"durable":"true","missing":[]}      503 while it is not ready
"""

from typing import Any

from fastapi import APIRouter, Response
from nats.aio.client import Client
from nats.errors import Error as NatsError

from stenograph_services.gateway.http.shapes import answer
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.connection import durable
from stenograph_services.runtime.jetstream import JetStreamError, api
from stenograph_services.runtime.streams import streams


def health_routes(nc: Client, settings: Settings) -> APIRouter:
    """Return the routes that a supervisor asks."""
    routes = APIRouter()

    @routes.get("/healthz")
    async def healthz() -> Response:
        return answer({"status": "ok"})

    @routes.get("/readyz")
    async def readyz() -> Response:
        missing = await _missing(nc, settings)
        ready = missing == []
        body: dict[str, Any] = {"ready": ready, "nats": missing is not None, "durable": await durable(settings)}
        return answer(body | ({} if missing is None else {"missing": missing}), 200 if ready else 503)

    return routes


async def _missing(nc: Client, settings: Settings) -> list[str] | None:
    """Return the names of declared streams that are not there; None if the server does not answer."""
    if not nc.is_connected:
        return None
    try:
        found = (await api(nc, "STREAM.NAMES", {}, timeout_seconds=2))["streams"] or []
    except (NatsError, JetStreamError):
        return None
    return sorted({stream.name for stream in streams(settings)} - set(found))
