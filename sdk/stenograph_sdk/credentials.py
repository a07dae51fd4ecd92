"""What a credentials file says of its owner: tenant, inboxes that it may read, whose requests it may run, and how long.

    {"iat":…,"exp":…,"nats":{"tags":["tenant:acme","signer:CB…"],"sub":{"allow":["_INBOX_UB….>"]},…}}   its JWT's middle

The server believes the signature; we only read, so that nobody has to say twice whose worker this is.
"""

import base64
import re
from pathlib import Path
from typing import NamedTuple

import msgspec

_JWT = re.compile(r"BEGIN NATS USER JWT-+\s+([^.\s]+\.([^.\s]+)\.[^.\s]+)")
_TENANT, _SIGNER, _INBOX = "tenant:", "signer:", "_INBOX"


class Said(NamedTuple):
    """What a file says; None where it says nothing. Times are in seconds since 1970; 0 is never."""

    tenant: str | None = None
    inbox_prefix: str | None = None
    signers: tuple[str, ...] = ()
    jwt: str | None = None
    issued_at: int = 0
    expires_at: int = 0


class _Subjects(msgspec.Struct, frozen=True):
    allow: list[str] = []


class _Nats(msgspec.Struct):
    sub: _Subjects = _Subjects()
    tags: list[str] = []


class _Claims(msgspec.Struct):
    nats: _Nats
    iat: int = 0
    exp: int = 0


def said_by(credentials: str | Path | None) -> Said:
    """Return what the file says; nothing for one that cannot be read, which connecting will complain about."""
    try:
        found = _JWT.search(Path(credentials).read_text(encoding="utf-8", errors="replace")) if credentials else None
        if found is None:
            return Said()
        body = found[2] + "=" * (-len(found[2]) % 4)
        whole = msgspec.json.decode(base64.urlsafe_b64decode(body), type=_Claims)
    except (OSError, ValueError, msgspec.MsgspecError):
        return Said()
    claims = whole.nats
    inbox = next((one for one in claims.sub.allow if one.startswith(_INBOX) and one.endswith(".>")), None)
    tenant = next((tag.removeprefix(_TENANT) for tag in claims.tags if tag.startswith(_TENANT)), None)
    signers = tuple(tag.removeprefix(_SIGNER) for tag in claims.tags if tag.startswith(_SIGNER))
    return Said(tenant, inbox and inbox.removesuffix(".>"), signers, found[1], whole.iat, whole.exp)
