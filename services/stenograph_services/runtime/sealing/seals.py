"""Seals: where bytes become events, they are opened; where events become bytes, they are closed.

Whoever reads a log comes through here, so that nobody else has to know whether it is sealed.
"""

from collections.abc import Awaitable, Callable

import structlog
from nats.aio.client import Client

from stenograph_events import AnyEvent, BrokenChain, StoredEvent, decode
from stenograph_events.boxes import BOXED, Unboxable, answer_of
from stenograph_events.sealing import header_of, seal_of, whose
from stenograph_events.subjects import parse_answer
from stenograph_events.types import ToolRequested, class_of
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.errors import NoKeys
from stenograph_services.runtime.sealing.data_key import DataKey, WrongSeal
from stenograph_services.runtime.sealing.data_keys import DataKeys, missing
from stenograph_services.runtime.sealing.master_keys import MasterKeys

log = structlog.get_logger()

SEALED = b"sealed "
NO_KEYS = (
    "secrets are sealed, and this service has no keys: set STENOGRAPH_SEALING_KEY_FILE to a file that `stenograph "
    "tenants init` makes; `stenograph dev` has one, unless it is told --insecure"
)


class Seals:
    """Opens and closes what is stored of sessions. Without keys what is in clear goes through as it is."""

    def __init__(self, nc: Client, settings: Settings) -> None:
        self._masters = MasterKeys.of(settings)
        self._on = bool(settings.sealing)
        self.tool_key: Callable[[str, str], str | None] = lambda tenant, tool: None
        """Returns the public key of a tool's workers; who appends requests puts the registry's here."""
        self.ends_sealed: Callable[[str, str], Awaitable[bool]] = _never
        """Returns whether the last event of a log is sealed; whoever appends puts the log here."""
        self.keys = DataKeys(nc, self._masters)

    async def event(self, data: bytes) -> StoredEvent:
        """Return the event that is stored as `data`; raises as `opened`, and `UndecodableEvent`."""
        return decode(await self.opened(data))

    async def opened(self, data: bytes) -> bytes:
        """Return an event's bytes as they were before they were sealed.

        Raises `KeyMissing` if they cannot be opened here, and `BrokenChain` if they are not what was stored.
        """
        seal = seal_of(data)
        if seal is None:
            return await self._in_clear(data) if self._masters else data
        return (await self.keys.get(*whose(seal.readable))).open_event(seal)

    async def _in_clear(self, data: bytes) -> bytes:
        """Return `data`, which is not sealed; raise `BrokenChain` if its session seals every event."""
        header = header_of(data)
        key = await self.keys.find(header.tenant, header.session)
        if key is not None and key.whole:
            raise BrokenChain(header.session, header.n, "it is in clear, and every event of this session is sealed")
        return data

    async def key_for(self, tenant: str, session: str, n: int) -> DataKey | None:
        """Return what seals event `n` of a session, None if it is stored in clear. A session's key is made once.

        Raises `KeyMissing` where a log is sealed already and its key is gone: with another one in its place, nobody
        could bring it back.
        """
        key = await self.known(tenant, session)
        if key is not None or not self._on:
            return key
        await self._check_first(tenant, session, n)
        return await self.keys.make(tenant, session, whole=n == 1)

    async def for_secrets(self, tenant: str, session: str, n: int) -> DataKey:
        """Return what seals the secrets of a session that stands before event `n`, also where nothing else is sealed.

        Raises `NoKeys` if this process has no keys, and as `key_for`.
        """
        if not self._masters:
            raise NoKeys(NO_KEYS)
        key = await self.key_for(tenant, session, n) or await self.keys.find(tenant, session)
        if key is None:
            await self._check_first(tenant, session, n)
            key = await self.keys.make(tenant, session, whole=False, seals=False)
        return key

    async def _check_first(self, tenant: str, session: str, n: int) -> None:
        """Raise `KeyMissing` where a session has, or had, a key that is not there any more."""
        if n != 1 and await self.ends_sealed(tenant, session):
            raise missing(session)

    def closed(self, key: DataKey, event: AnyEvent, data: bytes) -> bytes:
        """Return the bytes under which `event`, encoded as `data`, is stored."""
        if not isinstance(event, ToolRequested) or class_of(event) != "tool-request":
            return key.close_event(data)
        seal_to = self.tool_key(event.tenant, event.tool)
        if seal_to is None:
            log.error("request.for_nobody", tool=event.tool, mend="let its workers register with a key of the tool")
        return key.close_event(data, seal_to=seal_to, answer=answer_of(event.call, event.attempt))

    async def closed_body(self, tenant: str, session: str, subject: str, data: bytes) -> bytes:
        """Return a trigger, a control or an answer as it is stored: sealed, if its session is."""
        key = await self.key_for(tenant, session, 0)
        return data if key is None else SEALED + key.close(data, subject)

    async def opened_body(self, tenant: str, session: str, subject: str, data: bytes) -> bytes:
        """Return what `closed_body` was given, or a worker sealed; raise `WrongSeal`, or `KeyMissing`."""
        if data.startswith(SEALED):
            return (await self.keys.get(tenant, session)).open(data.removeprefix(SEALED), subject)
        if data.startswith(BOXED):
            at = parse_answer(subject)
            key = (await self.keys.get(tenant, session)).answer_key(answer_of(at.call, at.attempt))
            try:
                return key.open(data)
            except Unboxable as error:
                raise WrongSeal(str(error)) from error
        return data

    async def known(self, tenant: str, session: str) -> DataKey | None:
        """Return the key that seals what is stored of the session, None if that lies in clear."""
        key = await self.keys.find(tenant, session) if self._masters else None
        return key if key is not None and key.seals else None


async def _never(tenant: str, session: str) -> bool:
    return False
