"""What a gateway knows of the bucket KEYS at any moment: it watches it, so that a change counts within a second."""

import asyncio
import contextlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError

from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.errors import Unreachable
from stenograph_services.runtime.keys import BUCKET, SCOPES, SECRET, ApiKey, KeyStore, hashed, id_of

log = structlog.get_logger()

OF_THE_SETTINGS = "setting"
"""The id of the key in STENOGRAPH_API_KEY."""
_LOAD_SECONDS = 10
_AGAIN_SECONDS = 0.2  # a revocation is to count within a second, also when the watch has just broken


class Keyring:
    """The keys of one tenant, by id. Only `start` makes it complete."""

    def __init__(self, nc: Client, settings: Settings) -> None:
        self._js = nc.jetstream()
        self._store = KeyStore(nc)
        self._tenant = settings.tenant
        self._stored: dict[str, ApiKey] = {}
        self._ever_stored = False
        self._given = _key_of(settings)
        self._revoked: dict[str, datetime] = {}
        self._secret = settings.token_secret.encode() if settings.token_secret else b""
        self._has_secret = asyncio.Event()
        self._loaded = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None
        self.on_end: set[Callable[[], None]] = set()
        """Who wants to hear that a key or a token opens nothing any more."""

    @property
    def locked(self) -> bool:
        """Whether a request needs a key: there is one, or there was."""
        return self._given is not None or self._ever_stored

    @property
    def secret(self) -> bytes:
        """What tokens are signed with."""
        assert self._secret, "the secret is known once the keyring is started"
        return self._secret

    def owner(self, secret: str) -> ApiKey | None:
        """Return the key whose secret this is, if it still opens anything.

        A key is found by its id, which is no secret; the rest is compared in constant time.
        """
        named = self._stored.get(id_of(secret) or "")
        given = hashed(secret)
        found = [key for key in (named, self._given) if key and hmac.compare_digest(key.sha256, given)]
        return next((key for key in found if key.revoked_at is None), None)

    def key(self, id: str) -> ApiKey | None:
        """Return the key with this id, revoked or not."""
        return self._given if id == OF_THE_SETTINGS else self._stored.get(id)

    def opens(self, key: ApiKey, jti: str | None = None) -> bool:
        """Return whether `key` still opens anything, and, with `jti`, the token of that id that was made with it."""
        known = self.key(key.id)
        good = known is not None and known.sha256 == key.sha256 and known.revoked_at is None
        return good and (jti is None or not self.is_revoked(jti))

    def is_revoked(self, jti: str) -> bool:
        """Return whether the token `jti` was revoked."""
        return jti in self._revoked

    async def revoke_token(self, jti: str, until: datetime) -> None:
        """Refuse a token from now on, here and in every other gateway."""
        await self._store.revoke_token(self._tenant, jti, until)
        self._revoked[jti] = until
        self._tell_of_end()

    async def start(self) -> None:
        """Follow the bucket from now on; return once all that it holds is known. Raises `Unreachable`."""
        self._watch = asyncio.create_task(self._follow(), name="watch KEYS")
        try:
            async with asyncio.timeout(_LOAD_SECONDS):
                await self._loaded.wait()
                if not self._secret:
                    await self._store.make_secret()
                    await self._has_secret.wait()
        except TimeoutError as error:
            await self.stop()
            raise Unreachable(f"the bucket {BUCKET} could not be read within {_LOAD_SECONDS} s") from error

    def refresh(self) -> None:
        """Begin the watch anew: the connection was lost, and perhaps what the server knew of us."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = asyncio.create_task(self._follow(), name="watch KEYS")

    async def stop(self) -> None:
        if self._watch is not None:
            self._watch.cancel()

    async def _follow(self) -> None:
        while True:
            try:
                await self._follow_once()
            except Exception as error:  # whatever it was: a gateway that stopped watching would honour revoked keys
                log.warning("keys.watch_ended", error=str(error) or type(error).__name__)
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _follow_once(self) -> None:
        watcher = await (await self._js.key_value(BUCKET)).watchall()
        try:
            async for update in watcher:
                if update is None:
                    self._loaded.set()
                else:
                    self._take(update.key, update.value)
        finally:
            with contextlib.suppress(NatsError):
                await watcher.stop()  # type: ignore[no-untyped-call]

    def _take(self, entry: str, value: bytes | None) -> None:
        try:
            match entry.split("."):
                case ["key", tenant, id]:
                    self._ever_stored = True
                    if tenant == self._tenant:
                        self._take_key(id, value)
                case ["revoked", self._tenant, jti] if value:
                    self._forget_what_is_over()
                    self._revoked[jti] = msgspec.json.decode(value, type=datetime)
                    self._tell_of_end()
                case [key] if key == SECRET and value and not self._secret:
                    self._secret = value
                    self._has_secret.set()
        except msgspec.MsgspecError as error:
            log.error("key.unreadable", entry=entry, error=str(error), mend="make another key; this one opens nothing")

    def _take_key(self, id: str, value: bytes | None) -> None:
        gone = self._stored.pop(id, None)
        if value:
            self._stored[id] = msgspec.json.decode(value, type=ApiKey)
        elif gone is not None:  # deleted by hand, which is as good as revoked
            self._stored[id] = msgspec.structs.replace(gone, revoked_at=datetime.now(UTC))
        if id in self._stored and self._stored[id].revoked_at is not None:
            self._tell_of_end()

    def _tell_of_end(self) -> None:
        for heard in tuple(self.on_end):
            heard()

    def _forget_what_is_over(self) -> None:
        now = datetime.now(UTC)
        for jti in [jti for jti, until in self._revoked.items() if until < now]:
            del self._revoked[jti]


def _key_of(settings: Settings) -> ApiKey | None:
    if not settings.api_key:
        return None
    return ApiKey(OF_THE_SETTINGS, settings.tenant, SCOPES, hashed(settings.api_key), datetime.now(UTC))
