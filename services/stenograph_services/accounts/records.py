"""Records: what is written down of a tenant beside its key. Its account JWT is made of this, at any time anew.

tenants/acme.json   {"tenant":"acme","account":"AC…","tools":["get-account"],"credentials":[{"user":"UB…",…}]}
"""

from typing import Literal

import msgspec


class IssuedCredential(msgspec.Struct, frozen=True, omit_defaults=True):
    """A credential that was given out: everything but the secret. Times are in seconds since 1970; 0 is none."""

    user: str
    kind: Literal["worker", "leaf"]
    name: str
    tools: list[str]
    issued_at: int
    expires_at: int = 0
    revoked_at: int = 0


class TenantRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tenant: its account, the tools that its workers may serve, and its credentials, the oldest first."""

    tenant: str
    account: str
    created_at: int
    tools: list[str] = []
    credentials: list[IssuedCredential] = []
    suspended_at: int = 0
