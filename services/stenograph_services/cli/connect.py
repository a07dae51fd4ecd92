"""Where commands look: the options that all of them share, and the connection that they make.

--nats-url / $STENOGRAPH_NATS_URL     the server of `stenograph dev` in --data, else nats://127.0.0.1:4222
--tenant   / $STENOGRAPH_TENANT       default
--data     / $STENOGRAPH_DATA_DIR     .stenograph

$STENOGRAPH_NATS_CREDENTIALS names the credentials; those of a client are enough for some commands, and say the tenant.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

import typer

from stenograph_services.cli.output import Failure

if TYPE_CHECKING:
    from stenograph_sdk import Client
    from stenograph_services.runtime.config import Settings

T = TypeVar("T")

DEFAULT_URL = "nats://127.0.0.1:4222"
DEFAULT_TENANT = "default"
DEFAULT_DATA = Path(".stenograph")
CREDENTIALS = "STENOGRAPH_NATS_CREDENTIALS"
CONNECT_SECONDS = 3.0  # a person waits; a server that restarts is back within this

NatsUrl = Annotated[
    str | None,
    typer.Option(
        "--nats-url",
        envvar="STENOGRAPH_NATS_URL",
        metavar="URL",
        help=f"The nats-server: that of `stenograph dev` in --data by default, else {DEFAULT_URL}.",
    ),
]
Tenant = Annotated[
    str, typer.Option("--tenant", envvar="STENOGRAPH_TENANT", metavar="NAME", help="Whose agents and sessions.")
]
Data = Annotated[
    Path,
    typer.Option("--data", envvar="STENOGRAPH_DATA_DIR", metavar="DIR", help="The data folder of `stenograph dev`."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs to read.")]


class Place(NamedTuple):
    """A server, and whose part of it."""

    url: str
    tenant: str
    data: Path

    @classmethod
    def of(cls, nats_url: str | None, tenant: str, data: Path) -> "Place":
        """Return the place that the options name. A tenant's credential says which tenant it is for."""
        return cls(nats_url or _dev_server(data) or DEFAULT_URL, _tenant(tenant), data)

    @property
    def credentials(self) -> Path | None:
        """What to connect with: `STENOGRAPH_NATS_CREDENTIALS`, or what `stenograph dev` in `data` made for services."""
        from stenograph_services.cli.dev_wall import keys_of

        if given := os.environ.get(CREDENTIALS):
            return Path(given)
        return keys_of(self.data).platform_credentials if self.is_walled_dev else None

    @property
    def is_walled_dev(self) -> bool:
        """Return whether this is the server of a `stenograph dev` that lets in who has a credential, and no other."""
        from stenograph_services.runtime.nats_server import has_operator

        return self.url == _dev_server(self.data) and has_operator(self.data / "nats")


def _tenant(given: str) -> str:
    """Return the tenant of the credentials, or the one that is given; raise `Failure` if that is another one."""
    from stenograph_sdk.credentials import said_by

    file = os.environ.get(CREDENTIALS)
    theirs = said_by(file).tenant
    if theirs is None or given == theirs:
        return given
    if given != DEFAULT_TENANT:
        raise Failure(f"the credentials in {file} are for tenant {theirs}, not for {given}")
    return theirs


def _dev_server(data: Path) -> str | None:
    """Return the address of the nats-server that `stenograph dev` runs on `data`, if it lives."""
    try:
        pid, _, url = (data / "nats" / "nats-server.lock").read_text().strip().partition(" ")
        os.kill(int(pid), 0)  # sends nothing: it asks whether there is such a process
    except (OSError, ValueError):
        return None
    return url or None


def run(work: Coroutine[Any, Any, T]) -> T:
    """Do `work` in an event loop of its own. What libraries would log is left out: the command says what matters."""
    hush()
    return asyncio.run(work)


def hush() -> None:
    """Keep the loggers of the SDK and the runtime off the terminal."""
    import structlog

    logging.getLogger("stenograph_sdk").addHandler(logging.NullHandler())
    logging.getLogger("nats").setLevel(logging.CRITICAL)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        logger_factory=structlog.ReturnLoggerFactory(),
    )


def sealing_settings(place: Place) -> "Settings":
    """Return the settings of who reads: with the keys of sealed sessions, if they are on this machine."""
    from stenograph_services.runtime.config import load_settings

    here = place.data / "keys" / "sealing.key"
    given = os.environ.get("STENOGRAPH_SEALING_KEY_FILE") or (here if here.exists() else None)
    return load_settings(nats_url=place.url, tenant=place.tenant, sealing=False, sealing_key_file=given)


@asynccontextmanager
async def connected(place: Place, *, for_clients: bool = False) -> "AsyncIterator[Client]":
    """Yield a client of the server at `place`. Raises `CannotConnect`; bad names are `InvalidId`.

    `for_clients`: whether a client's credential is enough for what is done there; where it is not, a `Failure` says so.
    Whatever fails there because the server never held our streams fails with a `Failure` that says so.
    """
    from stenograph_sdk import Client
    from stenograph_sdk.gated import Gated
    from stenograph_services.runtime.agents import Agents
    from stenograph_services.runtime.eventlog import EventLog
    from stenograph_services.runtime.secrets import Secrets

    settings = sealing_settings(place)
    async with Client.connect(
        place.url,
        credentials=place.credentials,
        tenant=place.tenant,
        name="stenograph cli",
        timeout=CONNECT_SECONDS,
        ca=os.environ.get("STENOGRAPH_NATS_CA"),
    ) as client:
        if isinstance(client.way, Gated):
            if not for_clients:
                raise Failure(
                    f"this needs the platform's own credentials, and {os.environ[CREDENTIALS]} is a client's: that is "
                    "enough for `stenograph chat` and, with a session's name, for `sessions`, `approvals` and `effects`"
                )
            yield client
            return
        log = EventLog(client.connection.nats, settings)
        client.connection.opened = log.seals.opened
        client.connection.closed = Secrets(log, Agents(client.connection.nats)).closed_body
        try:
            yield client
        except Exception as error:
            if await _holds_nothing(client):
                raise no_streams(place) from error
            raise


async def _holds_nothing(client: "Client") -> bool:
    """Return whether the server answers and has no log stream of ours."""
    from nats.errors import Error as NatsError

    from stenograph_events.subjects import Pattern
    from stenograph_services.runtime.jetstream import JetStreamError, api

    try:
        answer = await api(client.connection.nats, "STREAM.NAMES", {"subject": Pattern.EVENTS}, timeout_seconds=2.0)
    except (NatsError, JetStreamError):
        return False
    return not answer.get("streams")


def no_streams(place: Place) -> Failure:
    """Return what is wrong when the server knows nothing of us."""
    return Failure(
        f"the server at {place.url} holds no Stenograph streams: start `stenograph dev`, or a service, first"
    )
