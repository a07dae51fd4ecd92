"""Records: what is written down of a tenant beside its key. Its account JWT is made of this, at any time anew.

tenants/acme.json   {"tenant":"acme","account":"AC…","tools":["get-account"],"credentials":[{"user":"UB…",…}]}
"""

from typing import Literal

import msgspec

Kind = Literal["worker", "leaf", "client"]


class ClientScope(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a client's credential is for: sessions of one agent, or one session, or all; and what it may beside.

    `approve`: decide on calls that wait for a person. `budget`: raise budgets.
    """

    agent: str | None = None
    session: str | None = None
    approve: bool = False
    budget: bool = False


class IssuedCredential(msgspec.Struct, frozen=True, omit_defaults=True):
    """A credential that was given out: everything but the secret. Times are in seconds since 1970; 0 is none.

    A worker's is for `tools`, a client's for its `scope`.
    """

    user: str
    kind: Kind
    name: str
    tools: list[str]
    issued_at: int
    expires_at: int = 0
    revoked_at: int = 0
    scope: ClientScope = ClientScope()
    renewed_at: int = 0


class TenantRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tenant: its account, the tools that its workers may serve, and its credentials, the oldest first."""

    tenant: str
    account: str
    created_at: int
    tools: list[str] = []
    credentials: list[IssuedCredential] = []
    suspended_at: int = 0
