"""Ephemeral tokens: what an application hands to a browser, for one agent or one session, for an hour or so.

    oct_et_<JWT>     header  {"alg":"HS256","kid":"3f9a1c2b7d0e","typ":"JWT"}
                     claims  {"iss":"stenograph","aud":"stenograph-gateway","iat":…,"exp":…,"jti":"8c1f…",
                              "tenant":"default","agent":"0193…","session":"2f01…"}

Each is signed with a secret of its own key (`kid`), derived from that key's hash: it ends with its key, also with one
of the settings that was replaced. Clocks may differ by `LEEWAY`, so a token may live a minute longer than it says.
"""

import hmac
import uuid
from datetime import UTC, datetime, timedelta

import jwt
import msgspec

from stenograph_services.gateway.http.permissions import Caller, Grant
from stenograph_services.runtime.keyring import Keyring
from stenograph_services.runtime.keys import ApiKey

TOKEN_PREFIX = "oct_et_"
LEEWAY = timedelta(seconds=60)
DEFAULT_TTL, MAX_TTL = timedelta(hours=1), timedelta(hours=24)

_ALGORITHM = "HS256"
_ISSUER, _AUDIENCE = "stenograph", "stenograph-gateway"


class Claims(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a token says. Times are seconds since 1970, as JWT has them."""

    iss: str
    aud: str
    iat: int
    exp: int
    jti: str
    tenant: str
    agent: str
    session: str | None = None

    @property
    def expires_at(self) -> datetime:
        return datetime.fromtimestamp(self.exp, UTC)


class Tokens:
    """Makes tokens, reads them and ends them."""

    def __init__(self, keyring: Keyring, tenant: str) -> None:
        self._keyring = keyring
        self._tenant = tenant

    def mint(self, key: ApiKey, agent: str, session: str | None, ttl: timedelta) -> tuple[str, Claims]:
        """Return a new token of `key` for `agent`, an id, and perhaps only one `session`."""
        now = int(datetime.now(UTC).timestamp())
        expires = now + int(ttl.total_seconds())
        claims = Claims(_ISSUER, _AUDIENCE, now, expires, uuid.uuid4().hex, self._tenant, agent, session)
        signed = jwt.encode(msgspec.to_builtins(claims), self._signing(key), _ALGORITHM, headers={"kid": key.id})
        return TOKEN_PREFIX + signed, claims

    def caller(self, token: str) -> Caller | None:
        """Return whose token this is and what it is for, if it opens anything now."""
        read = self._read(token)
        if read is None or read[0].revoked_at is not None or self._keyring.is_revoked(read[1].jti):
            return None
        key, claims = read
        return Caller(key, Grant(claims.jti, claims.agent, claims.session), claims.expires_at + LEEWAY)

    async def revoke(self, token: str) -> str | None:
        """Let `token` open nothing any more and return its `jti`; None if it opens nothing anyway."""
        read = self._read(token)
        if read is None:
            return None
        await self._keyring.revoke_token(read[1].jti, read[1].expires_at + LEEWAY)
        return read[1].jti

    def _read(self, token: str) -> tuple[ApiKey, Claims] | None:
        """Return the key that signed `token`, and its claims, if it is one of ours and not over yet."""
        encoded = token.removeprefix(TOKEN_PREFIX)
        try:
            key = self._keyring.key(str(jwt.get_unverified_header(encoded).get("kid")))
            if key is None:
                return None
            claims = jwt.decode(
                encoded,
                self._signing(key),
                algorithms=[_ALGORITHM],
                issuer=_ISSUER,
                audience=_AUDIENCE,
                leeway=LEEWAY,
                options={"require": ["iss", "aud", "iat", "exp", "jti"]},
            )
            read = msgspec.convert(claims, Claims)
        except (jwt.InvalidTokenError, msgspec.ValidationError, ValueError, RecursionError):
            return None
        return (key, read) if read.tenant == self._tenant else None

    def _signing(self, key: ApiKey) -> bytes:
        return hmac.digest(self._keyring.secret, f"{key.id}.{key.sha256}".encode(), "sha256")
