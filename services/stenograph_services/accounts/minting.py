"""Minting: the JWTs of accounts and users, from keys and from what is written down. Pure but for the clock."""

import base64
import time
from collections.abc import Sequence
from typing import NamedTuple

from stenograph_services.accounts import walls
from stenograph_services.accounts.claims import (
    EVERYBODY,
    AccountClaims,
    ActivationClaims,
    ConnectionType,
    DeletionClaims,
    Import,
    Limits,
    OperatorClaims,
    Permission,
    UserClaims,
    credentials,
    signed,
)
from stenograph_services.accounts.keys import Key, new_key
from stenograph_services.accounts.records import ClientScope, IssuedCredential, Kind, TenantRecord
from stenograph_services.runtime.sealing.master_keys import derived

_OPEN = Limits(subs=-1, data=-1, payload=-1, imports=-1, exports=-1, conn=-1, leaf=-1, wildcards=True)
_SHUT = Limits(subs=-1, data=-1, payload=-1, imports=-1, exports=-1, conn=0, leaf=0, wildcards=True)
_STORES = Limits(
    subs=-1, data=-1, payload=-1, imports=-1, exports=-1, conn=-1, leaf=-1, wildcards=True,
    mem_storage=-1, disk_storage=-1, streams=-1, consumer=-1,
)  # fmt: skip
WORKER_SUBSCRIPTIONS = 64  # an inbox for each tool, one for answers, and room
CLIENT_SUBSCRIPTIONS = 20_000  # an inbox for each session that is followed, and one for each page that is read


class Minted(NamedTuple):
    """A new credential: the public key that names it, and the text of its file."""

    user: str
    text: str


def operator_jwt(operator: Key, system: Key) -> str:
    return signed(operator, operator.public, "stenograph", OperatorClaims(system.public))


def system_jwt(operator: Key, system: Key) -> str:
    return signed(operator, system.public, "SYSTEM", AccountClaims(_OPEN))


def platform_jwt(operator: Key, platform: Key) -> str:
    """Return the account that owns JetStream and exports what `walls` says."""
    return signed(operator, platform.public, "PLATFORM", AccountClaims(_STORES, exports=walls.exports()))


def tenant_jwt(operator: Key, platform: Key, account: Key, record: TenantRecord) -> str:
    """Return the account of a tenant as its record says: its tools, and who is shut out of it."""
    imports = [_import(platform, account, door) for door in walls.doors(record.tenant, record.tools)]
    revoked = {one.user: one.revoked_at for one in record.credentials if one.revoked_at}
    if record.suspended_at:
        revoked[EVERYBODY] = record.suspended_at
    limits = _SHUT if record.suspended_at else _OPEN
    claims = AccountClaims(limits, imports=imports, revocations=revoked)
    return signed(operator, account.public, record.tenant, claims)


def deletion_jwt(operator: Key, account: str) -> str:
    return signed(operator, operator.public, "delete", DeletionClaims([account]))


def worker(
    account: Key, tenant: str, tools: list[str], name: str, expires_at: int = 0, signers: Sequence[str] = ()
) -> Minted:
    """Return a credential that serves exactly `tools`. `expires_at` is in seconds since 1970; 0 is never.

    Its worker runs only what one of the public keys `signers` has signed, if there are any.
    """
    user = new_key("user")
    token = worker_jwt(account, user.public, tenant, tools, name, expires_at, signers)
    return Minted(user.public, credentials(token, user, {tool: tool_key(account, tool) for tool in tools}))


def tool_key(account: Key, tool: str) -> str:
    """Return the private key, in base64, to which requests for `tool` are sealed: the same for all of its workers."""
    return base64.b64encode(derived(account.seed.encode(), "tool", tool)).decode()


def worker_jwt(
    account: Key, user: str, tenant: str, tools: list[str], name: str, expires_at: int, signers: Sequence[str]
) -> str:
    """Return what a worker's credential says of the public key `user`."""
    inbox = walls.inbox_of(user)
    every = walls.EVERY_TOOL in tools
    uses = walls.every_tool_uses(tenant, inbox) if every else walls.worker_uses(tenant, tools, inbox)
    claims = _claims(uses, _tags(tenant, "worker", signers), ["STANDARD", "WEBSOCKET"], WORKER_SUBSCRIPTIONS)
    return signed(account, user, name, claims, expires_at=expires_at)


def leaf(
    account: Key, tenant: str, tools: list[str], name: str, expires_at: int = 0, signers: Sequence[str] = ()
) -> Minted:
    """Return a credential for a nats-server in the tenant's network, behind which workers of `tools` connect."""
    user = new_key("user")
    token = leaf_jwt(account, user.public, tenant, tools, name, expires_at, signers)
    return Minted(user.public, credentials(token, user))


def leaf_jwt(
    account: Key, user: str, tenant: str, tools: list[str], name: str, expires_at: int, signers: Sequence[str]
) -> str:
    """Return what a leaf node's credential says of the public key `user`."""
    uses = walls.leaf_uses(tenant, tools, walls.inbox_of(user))
    claims = _claims(uses, _tags(tenant, "leaf", signers), ["LEAFNODE", "LEAFNODE_WS"], -1)
    return signed(account, user, name, claims, expires_at=expires_at)


def client(account: Key, tenant: str, scope: ClientScope, name: str, expires_at: int = 0) -> Minted:
    """Return a credential for the sessions of `scope`. `expires_at` is in seconds since 1970; 0 is never."""
    user = new_key("user")
    token = client_jwt(account, user.public, tenant, scope, name, expires_at)
    return Minted(user.public, credentials(token, user))


def client_jwt(account: Key, user: str, tenant: str, scope: ClientScope, name: str, expires_at: int) -> str:
    """Return what a client's credential says of the public key `user`."""
    uses = walls.client_uses(tenant, scope, walls.inbox_of(user))
    limits = [f"{what}:{of}" for what, of in (("agent", scope.agent), ("session", scope.session)) if of]
    tags = [*_tags(tenant, "client"), *limits]
    claims = _claims(uses, tags, ["STANDARD", "WEBSOCKET"], CLIENT_SUBSCRIPTIONS)
    return signed(account, user, name, claims, expires_at=expires_at)


def again(account: Key, tenant: str, one: IssuedCredential, signers: Sequence[str]) -> str:
    """Return what the credential `one` says now: its user keeps the secret."""
    match one.kind:
        case "worker":
            return worker_jwt(account, one.user, tenant, one.tools, one.name, one.expires_at, signers)
        case "leaf":
            return leaf_jwt(account, one.user, tenant, one.tools, one.name, one.expires_at, signers)
        case "client":
            return client_jwt(account, one.user, tenant, one.scope, one.name, one.expires_at)


def unbounded(account: Key, name: str) -> Minted:
    """Return a credential for all of one account: of our own services, and of who pushes accounts."""
    user = new_key("user")
    token = signed(account, user.public, name, UserClaims(Permission(), Permission()))
    return Minted(user.public, credentials(token, user))


def now() -> int:
    """Return the time in seconds, as claims count it."""
    return int(time.time())


def _claims(uses: list[walls.Use], tags: list[str], ways: list[ConnectionType], subscriptions: int) -> UserClaims:
    return UserClaims(
        Permission([use.subject for use in uses if use.way == "publish"]),
        Permission([use.subject for use in uses if use.way == "subscribe"]),
        tags=tags,
        allowed_connection_types=ways,
        subs=subscriptions,
    )


def _tags(tenant: str, kind: Kind, signers: Sequence[str] = ()) -> list[str]:
    return [f"tenant:{tenant}", f"kind:{kind}", *(f"signer:{one}" for one in signers)]


def _import(platform: Key, account: Key, door: walls.Door) -> Import:
    said = ActivationClaims(door.subject, door.type)
    token = signed(platform, account.public, door.subject, said)
    local = door.local or door.subject
    return Import(local, door.subject, platform.public, token, door.type, door.local, door.share)
