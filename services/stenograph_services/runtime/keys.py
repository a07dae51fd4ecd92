"""API keys: who may ask what of a gateway. The bucket KEYS holds them, hashed; the secret itself is shown once.

    oct_sk_3f9a1c2b7d0e_Zk3x…      what its owner sends: prefix, id, 256 random bits in base64url
    KEYS key.<tenant>.<id>         {"id":"3f9a1c2b7d0e","tenant":"default","scopes":["sessions"],"sha256":"…",…}
    KEYS revoked.<tenant>.<jti>    the end of an ephemeral token that was revoked; goes when the token is over
    KEYS secret                    what ephemeral tokens are signed with

One SHA-256 is enough, without salt or stretching: those make guessing slow, and nobody guesses 256 random bits.
Whoever can read the bucket can sign tokens, unless STENOGRAPH_TOKEN_SECRET is set: it is for the services alone.
A key that is revoked stays on the list, so that a gateway that once asked for keys never opens again by itself.
"""

import base64
import hashlib
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal, get_args

import msgspec
from nats.aio.client import Client
from nats.errors import NoRespondersError

from stenograph_events import InvalidId
from stenograph_events.subjects import access_key, bucket_subject, revoked_token
from stenograph_services.runtime.batches import BatchReader
from stenograph_services.runtime.errors import NoSuchKey, StorageUnavailable
from stenograph_services.runtime.jetstream import NOT_FOUND, WRONG_LAST_SEQUENCE, JetStreamError, api, publish

Scope = Literal["sessions", "agents", "mint", "approve"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

BUCKET, STREAM = "KEYS", "KV_KEYS"
KEY_PREFIX, SECRET = "oct_sk_", "secret"

_LAST = "Nats-Expected-Last-Subject-Sequence"
_SECRET_BYTES = 32
_ID_BYTES = 6  # ids are looked up, not guessed at: 48 bits keep them apart and can be read out loud


class ApiKey(msgspec.Struct, frozen=True):
    """A key as it is stored: everything but the secret."""

    id: str
    tenant: str
    scopes: tuple[Scope, ...]
    sha256: str
    created_at: datetime
    name: str = ""
    revoked_at: datetime | None = None


def new_key(tenant: str, scopes: Iterable[Scope], name: str = "") -> tuple[ApiKey, str]:
    """Return a new key and its secret, which exists nowhere else."""
    id = secrets.token_hex(_ID_BYTES)
    secret = f"{KEY_PREFIX}{id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    ordered = tuple(scope for scope in SCOPES if scope in set(scopes))
    return ApiKey(id, tenant, ordered, hashed(secret), datetime.now(UTC), name), secret


def hashed(secret: str) -> str:
    """Return what is kept of a secret."""
    return hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()


def id_of(secret: str) -> str | None:
    """Return the id that a key says it has; None if it does not look like one of ours."""
    id, underscore, _ = secret.removeprefix(KEY_PREFIX).partition("_")
    return id if secret.startswith(KEY_PREFIX) and underscore else None


class KeyStore:
    """Writes keys, and reads them as they are stored now."""

    def __init__(self, nc: Client) -> None:
        self._nc = nc
        self._batches = BatchReader(nc)

    async def add(self, key: ApiKey) -> None:
        """Store a new key."""
        await self._put(access_key(key.tenant, key.id), msgspec.json.encode(key), {_LAST: "0"})

    async def list(self, tenant: str) -> list[ApiKey]:
        """Return every key of `tenant`, revoked ones too, the oldest first; without what can no longer be read."""
        found = await self._batches.read_last(STREAM, [bucket_subject(BUCKET, access_key(tenant, "*"))])
        keys = [key for key in map(_readable, found.values()) if key is not None]
        return sorted(keys, key=lambda key: (key.created_at, key.id))

    async def revoke(self, tenant: str, id: str) -> ApiKey:
        """Let a key open nothing any more; raise `NoSuchKey`. Doing it again changes nothing."""
        key = await self._get(tenant, id)
        if key.revoked_at is None:
            key = msgspec.structs.replace(key, revoked_at=datetime.now(UTC))
            await self._put(access_key(tenant, id), msgspec.json.encode(key))
        return key

    async def revoke_token(self, tenant: str, jti: str, until: datetime) -> None:
        """Say that a token is revoked, for as long as it could be used: until `until`, which is to come."""
        seconds = max(int((until - datetime.now(UTC)).total_seconds()) + 1, 1)
        await self._put(revoked_token(tenant, jti), msgspec.json.encode(until), {"Nats-TTL": f"{seconds}s"})

    async def make_secret(self) -> None:
        """Make what tokens are signed with, if no gateway has made it yet."""
        try:
            await self._put(SECRET, base64.urlsafe_b64encode(secrets.token_bytes(_SECRET_BYTES)), {_LAST: "0"})
        except JetStreamError as error:
            if error.code not in WRONG_LAST_SEQUENCE:
                raise

    async def secret(self) -> bytes:
        """Return what tokens are signed with, made now if nobody has made it yet."""
        await self.make_secret()
        found = await api(self._nc, f"STREAM.MSG.GET.{STREAM}", {"last_by_subj": bucket_subject(BUCKET, SECRET)})
        return base64.b64decode(found["message"]["data"])

    async def _get(self, tenant: str, id: str) -> ApiKey:
        try:
            wanted = {"last_by_subj": bucket_subject(BUCKET, access_key(tenant, id))}
            found = await api(self._nc, f"STREAM.MSG.GET.{STREAM}", wanted)  # of the leader: a follower may not know it
        except InvalidId as error:
            raise NoSuchKey(id, tenant) from error
        except JetStreamError as error:
            if error.code not in NOT_FOUND:
                raise
            raise NoSuchKey(id, tenant) from error
        if (key := _readable(base64.b64decode(found["message"].get("data", "")))) is None:
            raise NoSuchKey(id, tenant)
        return key

    async def _put(self, key: str, value: bytes, headers: dict[str, str] | None = None) -> None:
        try:
            await publish(self._nc, bucket_subject(BUCKET, key), value, headers)
        except NoRespondersError as error:
            raise StorageUnavailable(
                f"the server holds no bucket {BUCKET}: start a gateway of this version once, then try again"
            ) from error


def _readable(stored: bytes) -> ApiKey | None:
    try:
        return msgspec.json.decode(stored, type=ApiKey)
    except msgspec.MsgspecError:
        return None
