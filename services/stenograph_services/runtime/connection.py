"""The connection to NATS: one place for its options, and the question whether the server's acks mean "on disk"."""

import importlib.util
import ssl
from pathlib import Path
from typing import Any, Literal

import httpx
import structlog
from nats.aio.client import Client

from stenograph_sdk.line import WEB, schemes, trust
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.errors import InvalidSetting, StenographError

log = structlog.get_logger()

Durable = Literal["true", "false", "unknown"]


class NotDurable(StenographError):
    """`--require-sync` was given and the server acknowledges before it has synced."""


def connection_options(settings: Settings, name: str) -> dict[str, Any]:
    """Return what every connection of ours is opened with, for nats-py and for FastStream's broker alike."""
    options: dict[str, Any] = {
        "name": f"stenograph {name}",
        "max_reconnect_attempts": -1,
        "reconnect_time_wait": 0.2,  # the default of 2 s would be most of the recovery time
        "ping_interval": 10,
        "max_outstanding_pings": 2,
        "pending_size": 64 * 1024 * 1024,
        "connect_timeout": 5,
    }
    if settings.nats_credentials is not None:
        options["user_credentials"] = str(settings.nats_credentials)
    if schemes(settings.nats_url) & WEB and importlib.util.find_spec("aiohttp") is None:
        raise InvalidSetting("STENOGRAPH_NATS_URL: WebSocket needs aiohttp: pip install 'stenograph[websocket]'")
    if (context := trusted(settings.nats_ca)) is not None:
        options["tls"] = context
    return options


def trusted(ca: Path | None) -> ssl.SSLContext | None:
    """Return what to check a server's certificate with; raise `InvalidSetting` for a file that holds none."""
    try:
        return trust(ca)
    except (OSError, ssl.SSLError) as error:
        problem = f"STENOGRAPH_NATS_CA: {ca} holds no certificates to trust: {error.strerror or error}"
        raise InvalidSetting(problem) from error


def only_tls(settings: Settings) -> bool:
    """Return whether nothing may be said in plain text. What WebSocket does, its address says."""
    ways = schemes(settings.nats_url)
    return "tls" in ways or (settings.nats_ca is not None and not ways & WEB)


def outliving_subjects(nc: Client) -> Client:
    """Return `nc`, which from now on reads subjects that are no UTF-8 as such with `\ufffd` in them.

    The server stores and delivers them, and nats-py stops reading from its connection at the first one.
    """
    build = nc._build_message

    def tolerant(sid: int, subject: bytes, reply: bytes, data: bytes, headers: dict[str, str] | None) -> Any:
        return build(sid, subject.decode(errors="replace").encode(), reply, data, headers)

    nc._build_message = tolerant  # type: ignore[method-assign]
    return nc


async def durable(settings: Settings) -> Durable:
    """Return whether the server syncs every write before it acknowledges, as its monitoring endpoint says.

    Source: `/varz`, `jetstream.config.sync_always`. Without a monitoring URL nobody knows.
    """
    if settings.nats_monitor_url is None:
        return "unknown"
    try:
        async with httpx.AsyncClient(timeout=2) as client:
            answer = (await client.get(f"{settings.nats_monitor_url.rstrip('/')}/varz")).json()
    except (httpx.HTTPError, ValueError) as error:
        log.warning("monitor.unreachable", url=settings.nats_monitor_url, error=str(error))
        return "unknown"
    config = answer.get("jetstream", {}).get("config", {})
    return "true" if config.get("sync_always") else "false"


async def check_durable(settings: Settings) -> Durable:
    """Say whether what is acknowledged survives a power cut; raise `NotDurable` if it must and does not."""
    answer = await durable(settings)
    if answer == "true":
        log.info("durability.checked", durable=answer)
        return answer
    log.warning(
        "durability.checked",
        durable=answer,
        mend="run nats-server with `jetstream { sync_interval: always }` and set STENOGRAPH_NATS_MONITOR_URL",
    )
    if settings.require_sync:
        raise NotDurable(
            f"--require-sync: the server's durability is {answer}; run nats-server with "
            "`jetstream { sync_interval: always }` and give its monitoring address in STENOGRAPH_NATS_MONITOR_URL"
        )
    return answer
