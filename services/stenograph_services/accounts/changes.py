"""Changes of tenants and credentials: each is written down and in force on the running server when it returns.

What takes a right away is written down first, so that a server that was not reached is told by the next change, or by
the same command once more. What gives a right is in force first, so that nobody holds a credential that does nothing.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Literal, NamedTuple

from msgspec.structs import replace
from nats.errors import Error as NatsError

from stenograph_events import checked_id
from stenograph_services.accounts import minting, walls
from stenograph_services.accounts.errors import AccountsError, NotInForce
from stenograph_services.accounts.folder import KeyFolder
from stenograph_services.accounts.pushing import connected, pusher
from stenograph_services.accounts.records import ClientScope, IssuedCredential, Kind, TenantRecord
from stenograph_services.runtime.jetstream import JetStreamError
from stenograph_services.runtime.uploads import drop_uploads

ENOUGH = 8  # of a public key: so much of it a person has to type


async def create(folder: KeyFolder, url: str, tenant: str) -> TenantRecord:
    """Make a tenant, or bring the one that is there in force again, also if it was suspended."""
    with folder.locked():
        async with pusher(url, folder) as server:
            record = replace(folder.add(tenant), suspended_at=0)
            await server.push(record)
            folder.write(record)
    return record


async def suspend(folder: KeyFolder, url: str, tenant: str) -> TenantRecord:
    """Shut a tenant out: its connections are closed, and no credential of it opens one."""
    with folder.locked():
        record = replace(folder.tenant(tenant), suspended_at=minting.now())
        folder.write(record)
        async with pusher(url, folder) as server:
            await server.push(record)
    return record


async def delete(folder: KeyFolder, url: str, tenant: str) -> TenantRecord:
    """Shut a tenant out for good, and forget its key. What its sessions hold stays in the log."""
    with folder.locked():
        record = replace(folder.tenant(tenant), suspended_at=minting.now())
        folder.write(record)
        async with pusher(url, folder) as server:
            await server.push(record)
            await server.delete(record)
        folder.remove(tenant)
    return record


async def free_uploads(folder: KeyFolder, url: str, tenant: str) -> None:
    """Delete what the workers of a deleted tenant uploaded and nothing refers to; raise `NotInForce`."""
    async with connected(url, folder.platform_credentials) as nc:
        try:
            await drop_uploads(nc, tenant)
        except (JetStreamError, NatsError) as error:
            raise NotInForce(f"the server does not delete the uploads of {tenant}: {error}") from error


async def worker_credentials(
    folder: KeyFolder, url: str, tenant: str, tools: list[str], name: str, expires: timedelta | None
) -> minting.Minted:
    """Make a credential that serves exactly `tools` of a tenant, for the time `expires` or until it is revoked."""
    return await _serving_credential(folder, url, "worker", tenant, tools, name, expires)


async def every_tool_credentials(folder: KeyFolder, url: str, tenant: str, name: str) -> minting.Minted:
    """Make a credential that serves every tool of a tenant, those to come included: see `open_doors`."""
    with folder.locked():
        record = _open_tenant(folder, tenant)
        tools = [walls.EVERY_TOOL]
        made = minting.worker(folder.tenant_key(tenant), tenant, tools, name, 0, folder.signers.trusted)
        await _issue(folder, url, record, IssuedCredential(made.user, "worker", name, tools, minting.now()))
    return made


async def open_doors(folder: KeyFolder, url: str, tenant: str, tools: Iterable[str]) -> None:
    """Let the account of a tenant import the calls of `tools`, beside those that it does already."""
    with folder.locked():
        record = folder.tenant(tenant)
        new = [checked_id(tool, "tool") for tool in dict.fromkeys(tools) if tool not in record.tools]
        if new:
            record = replace(record, tools=[*record.tools, *new])
            async with pusher(url, folder) as server:
                await server.push(record)
            folder.write(record)


async def leaf_credentials(
    folder: KeyFolder, url: str, tenant: str, tools: list[str], name: str, expires: timedelta | None
) -> minting.Minted:
    """Make a credential for a leaf node in a tenant's network, behind which workers serve exactly `tools`."""
    return await _serving_credential(folder, url, "leaf", tenant, tools, name, expires)


async def _serving_credential(
    folder: KeyFolder,
    url: str,
    kind: Literal["worker", "leaf"],
    tenant: str,
    tools: list[str],
    name: str,
    expires: timedelta | None,
) -> minting.Minted:
    wanted = [checked_id(tool, "tool") for tool in dict.fromkeys(tools)]
    if not wanted:
        raise AccountsError(f"the credential of a {kind} needs at least one tool")
    mint = minting.worker if kind == "worker" else minting.leaf
    with folder.locked():
        record, until = _open_tenant(folder, tenant), _until(expires)
        made = mint(folder.tenant_key(tenant), tenant, wanted, name, until, folder.signers.trusted)
        record = replace(record, tools=[*record.tools, *(tool for tool in wanted if tool not in record.tools)])
        await _issue(folder, url, record, IssuedCredential(made.user, kind, name, wanted, minting.now(), until))
    return made


async def client_credentials(
    folder: KeyFolder, url: str, tenant: str, scope: ClientScope, name: str, expires: timedelta | None
) -> minting.Minted:
    """Make a credential for the sessions of `scope`, for the time `expires` or until it is revoked."""
    if scope.agent and scope.session:
        raise AccountsError("a client's credential is for one agent or for one session: choose one of them")
    with folder.locked():
        record, until = _open_tenant(folder, tenant), _until(expires)
        made = minting.client(folder.tenant_key(tenant), tenant, scope, name, until)
        issued = IssuedCredential(made.user, "client", name, [], minting.now(), until, scope=scope)
        await _issue(folder, url, record, issued)
    return made


class Renewed(NamedTuple):
    """A credential with new time: its JWT, to stand in the file of its owner, whose secret stays as it is."""

    credential: IssuedCredential
    jwt: str


def renew(
    folder: KeyFolder, tenant: str, user: str, expires: timedelta | None = None, kinds: Sequence[Kind] = ()
) -> Renewed:
    """Sign a credential anew for the same user, for the time `expires`, or for as long as it was made for.

    It may do what it could before, and names the keys that sign requests now. No server is told: it believes the
    signature. `user` and `kinds` are those of `revoke`.
    """
    with folder.locked():
        record = _open_tenant(folder, tenant)
        found = _named(record, user, kinds)
        if found.revoked_at:
            anew = "leaf config" if found.kind == "leaf" else f"{found.kind}s creds"
            raise AccountsError(f"credential {found.user} was revoked: `stenograph {anew} {tenant} …` makes another")
        life = found.expires_at - (found.renewed_at or found.issued_at) if found.expires_at else 0
        until = _until(expires) or (life and minting.now() + life)
        renewed = replace(found, renewed_at=minting.now(), expires_at=until)
        token = minting.again(folder.tenant_key(tenant), tenant, renewed, folder.signers.trusted)
        kept = [renewed if one is found else one for one in record.credentials]
        folder.write(replace(record, credentials=kept))
    return Renewed(renewed, token)


async def revoke(folder: KeyFolder, url: str, tenant: str, user: str, kinds: Sequence[Kind] = ()) -> IssuedCredential:
    """End a credential, one of `kinds` if they are given: its connections are closed at once.

    `user` is its public key, or the beginning of it.
    """
    with folder.locked():
        record = folder.tenant(tenant)
        found = _named(record, user, kinds)
        revoked = replace(found, revoked_at=found.revoked_at or minting.now())
        kept = [revoked if one is found else one for one in record.credentials]
        record = replace(record, credentials=kept)
        folder.write(record)
        async with pusher(url, folder) as server:
            await server.push(record)
    return revoked


def _open_tenant(folder: KeyFolder, tenant: str) -> TenantRecord:
    record = folder.tenant(tenant)
    if record.suspended_at:
        raise AccountsError(f"tenant {tenant} is suspended: `stenograph tenants create {tenant}` lets it in again")
    return record


def _until(expires: timedelta | None) -> int:
    return minting.now() + int(expires.total_seconds()) if expires else 0


async def _issue(folder: KeyFolder, url: str, record: TenantRecord, issued: IssuedCredential) -> None:
    """Bring what a new credential needs in force, and write it down."""
    record = replace(record, credentials=[*record.credentials, issued])
    async with pusher(url, folder) as server:
        await server.push(record)
    folder.write(record)


def _named(record: TenantRecord, user: str, kinds: Sequence[Kind]) -> IssuedCredential:
    fitting = [one for one in record.credentials if not kinds or one.kind in kinds]
    found = [one for one in fitting if one.user.startswith(user)] if len(user) >= ENOUGH else []
    if len(found) == 1:
        return found[0]
    problem = "several begin with it" if found else "none begins with it"
    kind = kinds[0] if kinds else "worker"
    where = f"`stenograph {kind}s list {record.tenant}` shows all"
    raise AccountsError(f"{user!r} names no {kind}'s credential of {record.tenant}: {problem}; {where}")
