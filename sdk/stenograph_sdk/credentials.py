"""What a credentials file says of its owner: tenant, inboxes that it may read, what it is for, and how long.

    {"iat":…,"exp":…,"nats":{"tags":["tenant:acme","kind:worker","signer:CB…"],"sub":{"allow":["_INBOX_UB….>"]},…}}

is the middle of its JWT.

The server believes the signature; we only read, so that nobody has to say twice whose worker or client this is.
"""

import base64
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from stenograph_events.boxes import ToolKey
from stenograph_events.signatures import NoKey, Signer

_SEED = re.compile(r"BEGIN USER NKEY SEED-+\s+(S[A-Z2-7]+)\s")
_JWT = re.compile(r"BEGIN NATS USER JWT-+\s+([^.\s]+\.([^.\s]+)\.[^.\s]+)")
_TOOL_KEYS = re.compile(r"BEGIN STENOGRAPH TOOL KEYS-+\n(.*?)-+END STENOGRAPH TOOL KEYS", re.DOTALL)
_SIGNER, _INBOX, _PROGRESS = "signer:", "_INBOX", "tool.progress."


class Said(NamedTuple):
    """What a file says; None where it says nothing. Times are in seconds since 1970; 0 is never.

    `kind` is `worker`, `leaf` or `client` for those of a tenant; a client may be limited to an agent or a session.
    `progress`: a worker may say how far its calls are.
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
    progress: bool = True


class _Subjects(msgspec.Struct, frozen=True):
    allow: list[str] = []


class _Nats(msgspec.Struct):
    pub: _Subjects = _Subjects()
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
    progress = not claims.pub.allow or any(one.startswith(_PROGRESS) for one in claims.pub.allow)
    return Said(tags.get("tenant"), prefix, signers, found[1], *times, kind, *limits, progress)


def signer_of(credentials: str | Path | None) -> Signer | None:
    """Return the file's own key, which answers are signed with; None for a file without one, or without PyNaCl here."""
    try:
        found = _SEED.search(Path(credentials).read_text(encoding="utf-8", errors="replace")) if credentials else None
        return Signer(found[1]) if found else None
    except (OSError, NoKey, ImportError):  # connecting says what is wrong
        return None


def tool_keys_of(credentials: str | Path) -> dict[str, ToolKey]:
    """Return the keys that open the requests of the file's tools; none for a file that holds none, or without PyNaCl.

    -----BEGIN STENOGRAPH TOOL KEYS-----
    get-account 3kPq…=
    ------END STENOGRAPH TOOL KEYS------
    """
    try:
        found = _TOOL_KEYS.search(Path(credentials).read_text(encoding="utf-8", errors="replace"))
        lines = (line.split() for line in found[1].strip().splitlines()) if found else ()
        return {tool: ToolKey(private) for tool, private in lines}
    except (OSError, ValueError, ImportError):  # the gateway refuses to register a tool without its key
        return {}


LOOK_SECONDS = 0.1  # each call asks several times, and a look at the file costs as much as a tenth of a signature


class Identity:
    """What a credentials file says and signs now, also after it was renewed. Without a file: nothing."""

    def __init__(self, credentials: str | Path | None) -> None:
        self._file = Path(credentials) if credentials else None
        self._read_at = -1
        self._look_at = 0.0
        self._said = Said()
        self._signer: Signer | None = None
        self._tool_keys: dict[str, ToolKey] = {}

    @property
    def said(self) -> Said:
        self._refresh()
        return self._said

    @property
    def signer(self) -> Signer | None:
        self._refresh()
        return self._signer

    def tool_key(self, tool: str) -> ToolKey | None:
        """Return the key that opens the requests of `tool`, None if the file holds none.

        `*` stands for every tool that is not named: so it is in the file that `stenograph dev` makes.
        """
        self._refresh()
        return self._tool_keys.get(tool) or self._tool_keys.get("*")

    def _refresh(self) -> None:
        now = time.monotonic()
        if self._file is None or now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        with suppress(OSError):  # it is being replaced: what it said still holds
            changed_at = self._file.stat().st_mtime_ns
            if changed_at == self._read_at:
                return
            before = self._said.signers  # whoever verified goes on to: a renewed file may name other keys, not none
            said = said_by(self._file)
            self._said = said._replace(signers=said.signers or before)
            self._tool_keys = tool_keys_of(self._file)
            self._signer, self._read_at = signer_of(self._file) or self._signer, changed_at


NOBODY = Identity(None)
