"""Pushing: a running server is told of a changed account, and acts on it at once, connections that are open included.

$SYS.REQ.CLAIMS.UPDATE    an account's JWT
$SYS.REQ.CLAIMS.DELETE    the operator's word that an account is gone
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import nats
from nats.aio.client import Client
from nats.errors import Error as NatsError

from stenograph_services.accounts.errors import NotInForce
from stenograph_services.accounts.folder import KeyFolder
from stenograph_services.accounts.minting import deletion_jwt, tenant_jwt
from stenograph_services.accounts.private import read_private
from stenograph_services.accounts.records import TenantRecord
from stenograph_services.runtime.config import load_settings
from stenograph_services.runtime.connection import trusted

CONNECT_SECONDS, ANSWER_SECONDS = 3.0, 5.0


class _Answer(msgspec.Struct):
    data: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


class Pusher:
    """Tells one server, and through it its whole cluster, of accounts."""

    def __init__(self, nc: Client, folder: KeyFolder) -> None:
        self._nc = nc
        self._folder = folder

    async def push(self, record: TenantRecord) -> None:
        """Bring the account of a tenant in force as its record says; raise `NotInForce`."""
        folder = self._folder
        account = folder.tenant_key(record.tenant)
        token = tenant_jwt(folder.key("operator"), folder.key("platform"), account, record)
        await self.ask("UPDATE", token, record.tenant)

    async def delete(self, record: TenantRecord) -> None:
        """Let the server forget the account of a tenant."""
        await self.ask("DELETE", deletion_jwt(self._folder.key("operator"), record.account), record.tenant)

    async def ask(self, verb: str, token: str, tenant: str) -> None:
        """Hand the server a JWT about the account of `tenant`; raise `NotInForce`."""
        try:
            reply = await self._nc.request(f"$SYS.REQ.CLAIMS.{verb}", token.encode(), timeout=ANSWER_SECONDS)
            answer = msgspec.json.decode(reply.data, type=_Answer)
        except (NatsError, msgspec.MsgspecError) as error:
            raise NotInForce(f"the server says nothing to the account of {tenant}: {error}") from error
        if answer.error is not None:
            raise NotInForce(f"the server refuses the account of {tenant}: {answer.error.get('description')}")


@asynccontextmanager
async def pusher(url: str, folder: KeyFolder) -> AsyncIterator[Pusher]:
    """Connect with the credentials of the system account; raise `NotInForce` if that cannot be."""
    async with connected(url, folder.system_credentials) as nc:
        yield Pusher(nc, folder)


@asynccontextmanager
async def connected(url: str, credentials: Path) -> AsyncIterator[Client]:
    """Connect once, for a change or two; raise `NotInForce` if that cannot be."""
    read_private(credentials)
    said: list[str] = []

    async def note(error: Exception) -> None:
        said.append(str(error))

    try:
        nc = await asyncio.wait_for(
            nats.connect(
                url.split(","), user_credentials=str(credentials), allow_reconnect=False, error_cb=note,
                connect_timeout=2, name="stenograph accounts", tls=trusted(load_settings().nats_ca),
            ),
            CONNECT_SECONDS,
        )  # fmt: skip
    except (OSError, TimeoutError, NatsError) as error:
        raise NotInForce(f"cannot reach the server at {url}: {said[0] if said else error}") from error
    try:
        yield nc
    finally:
        await nc.close()
