"""What a credentials file says of its owner: tenant, inboxes that it may read, what it is for, and how long.

    {"iat":…,"exp":…,"nats":{"tags":["tenant:acme","kind:worker","signer:CB…"],"sub":{"allow":["_INBOX_UB….>"]},…}}

is the middle of its JWT.

The server believes the signature; we only read, so that nobody has to say twice whose worker or client this is.
"""

import base64
import re
from pathlib import Path
from typing import NamedTuple

import msgspec

_JWT = re.compile(r"BEGIN NATS USER JWT-+\s+([^.\s]+\.([^.\s]+)\.[^.\s]+)")
_SIGNER, _INBOX = "signer:", "_INBOX"


class Said(NamedTuple):
    """What a file says; None where it says nothing. Times are in seconds since 1970; 0 is never.

    `kind` is `worker`, `leaf` or `client` for those of a tenant; a client may be limited to an agent or a session.
    """

    tenant: str | None = None
    inbox_prefix: str | None = None
    signers: tuple[str, ...] = ()
    jwt: str | None = None
    issued_at: int = 0
    expires_at: int = 0
    kind: str | None = None
    agent: str | None = None
    session: str | None = None


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
    signers = tuple(tag.removeprefix(_SIGNER) for tag in claims.tags if tag.startswith(_SIGNER))
    tags = {key: value for key, colon, value in (tag.partition(":") for tag in claims.tags) if colon}
    kind = tags.get("kind", "worker" if "tenant" in tags else None)  # the first workers' files did not say so
    prefix, times = inbox and inbox.removesuffix(".>"), (whole.iat, whole.exp)
    limits = tags.get("agent"), tags.get("session")
    return Said(tags.get("tenant"), prefix, signers, found[1], *times, kind, *limits)
