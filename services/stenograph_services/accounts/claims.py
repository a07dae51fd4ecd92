"""Claims: what a key says of another one, as the JWTs (version 2) that nats-server reads.

    {"jti":"…","iat":1764000000,"iss":"OD…","sub":"AC…","name":"acme","nats":{"type":"account","version":2,…}}

Source: github.com/nats-io/jwt, v2. Its Python port on PyPI calls itself untested and brings four packages.
"""

import base64
import hashlib
import time
from typing import Any, Literal

import msgspec

from stenograph_services.accounts.errors import AccountsError
from stenograph_services.accounts.keys import Key

ConnectionType = Literal["STANDARD", "WEBSOCKET", "LEAFNODE", "LEAFNODE_WS"]

EVERYBODY = "*"
"""In a list of revocations: every user of the account."""


class Permission(msgspec.Struct, frozen=True, omit_defaults=True):
    """Subjects that may be used. An empty list allows everything, so ours never is one."""

    allow: list[str] = []


class Permissions(msgspec.Struct, frozen=True):
    """What a user may whose own claims do not say: everything in its account."""

    pub: Permission = Permission()
    sub: Permission = Permission()


class UserClaims(msgspec.Struct, frozen=True, tag_field="type", tag="user"):
    """A user of an account. `subs` bounds its subscriptions; -1 is no bound."""

    pub: Permission
    sub: Permission
    tags: list[str] = []
    allowed_connection_types: list[ConnectionType] = []
    subs: int = -1
    data: int = -1
    payload: int = -1
    version: int = 2


class Limits(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an account may hold. Without the fields of storage it has no JetStream at all."""

    subs: int = 0
    data: int = 0
    payload: int = 0
    imports: int = 0
    exports: int = 0
    conn: int = 0
    leaf: int = 0
    wildcards: bool = False
    mem_storage: int = 0
    disk_storage: int = 0
    streams: int = 0
    consumer: int = 0


class Export(msgspec.Struct, frozen=True, omit_defaults=True):
    """Subjects that other accounts may import, with a token of ours for each import."""

    name: str
    subject: str
    type: Literal["service", "stream"]
    response_type: Literal["Stream"] | None = None
    token_req: bool = False


class Import(msgspec.Struct, frozen=True, omit_defaults=True):
    """Subjects of another account, by `local_subject` if it is given; `token` is that account's word that we may.

    `share`: the other account is told which user of ours it is who asks, in the header Nats-Request-Info.
    """

    name: str
    subject: str
    account: str
    token: str
    type: Literal["service", "stream"]
    local_subject: str = ""
    share: bool = False


class AccountClaims(msgspec.Struct, frozen=True, tag_field="type", tag="account"):
    """An account. `revocations` maps public keys of users to a time: what was signed until then is void."""

    limits: Limits
    exports: list[Export] = []
    imports: list[Import] = []
    revocations: dict[str, int] = {}
    default_permissions: Permissions = Permissions()
    version: int = 2


class OperatorClaims(msgspec.Struct, frozen=True, tag_field="type", tag="operator"):
    """Who signs accounts, and which of them is the server's own."""

    system_account: str
    version: int = 2


class ActivationClaims(msgspec.Struct, frozen=True, tag_field="type", tag="activation"):
    """The word of an exporting account that another one may import `subject`."""

    subject: str
    kind: Literal["service", "stream"]
    version: int = 2


class DeletionClaims(msgspec.Struct, frozen=True):
    """A request to forget accounts, signed by the operator in its own name."""

    accounts: list[str]
    type: str = "generic"
    version: int = 2


AnyClaims = UserClaims | AccountClaims | OperatorClaims | ActivationClaims | DeletionClaims


class Token(msgspec.Struct, frozen=True, omit_defaults=True):
    """The envelope of claims: `iss` says `nats` of `sub`, from `iat` until `exp` (seconds; 0 is for ever)."""

    iat: int
    iss: str
    sub: str
    name: str
    nats: UserClaims | AccountClaims | OperatorClaims | ActivationClaims
    exp: int = 0
    jti: str = ""


def signed(signer: Key, subject: str, name: str, claims: AnyClaims, *, expires_at: int = 0, issued_at: int = 0) -> str:
    """Return the JWT in which `signer` says `claims` of the public key `subject`. Times are in seconds since 1970."""
    body: dict[str, Any] = {"iat": issued_at or int(time.time()), "iss": signer.public, "sub": subject, "name": name}
    body |= {"nats": msgspec.to_builtins(claims)} | ({"exp": expires_at} if expires_at else {})
    digest = hashlib.sha512(msgspec.json.encode(body)).digest()[:32]
    body["jti"] = base64.b32encode(digest).decode().rstrip("=")
    head = _text(msgspec.json.encode({"typ": "JWT", "alg": "ed25519-nkey"}))
    unsigned = f"{head}.{_text(msgspec.json.encode(body))}"
    return f"{unsigned}.{_text(signer.sign(unsigned.encode()))}"


def claimed(token: str) -> Token:
    """Return what a JWT says, without asking who signed it; raise `AccountsError` if it is none of ours."""
    try:
        body = token.split(".")[1]
        return msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=Token)
    except (IndexError, ValueError, msgspec.MsgspecError) as error:
        raise AccountsError(f"this is no NATS JWT: {error}") from error


def credentials(token: str, user: Key, tool_keys: dict[str, str] | None = None) -> str:
    """Return the text of a credentials file, as every NATS client reads it.

    `tool_keys`, by tool, are in a block of their own at its end, which those clients pass over.
    """
    keys = "".join(f"{tool} {private}\n" for tool, private in (tool_keys or {}).items())
    block = f"\n-----BEGIN STENOGRAPH TOOL KEYS-----\n{keys}------END STENOGRAPH TOOL KEYS------\n" if keys else ""
    return (
        f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
        "************************* IMPORTANT *************************\n"
        "This seed is the secret of its user: keep the file to yourself.\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n{block}"
    )


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
