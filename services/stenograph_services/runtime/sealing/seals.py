"""Seals: where bytes become events, they are opened; where events become bytes, they are closed.

Whoever reads a log comes through here, so that nobody else has to know whether it is sealed.
"""

from nats.aio.client import Client

from stenograph_events import BrokenChain, StoredEvent, decode
from stenograph_events.sealing import header_of, seal_of
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.sealing.data_key import DataKey
from stenograph_services.runtime.sealing.data_keys import DataKeys
from stenograph_services.runtime.sealing.master_keys import MasterKeys


class Seals:
    """Opens and closes what is stored of sessions. Without keys what is in clear goes through as it is."""

    def __init__(self, nc: Client, settings: Settings) -> None:
        self._masters = MasterKeys.of(settings)
        self._on = settings.sealing
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
        header = header_of(data)
        return (await self.keys.get(header.tenant, header.session)).open_event(seal)

    async def _in_clear(self, data: bytes) -> bytes:
        """Return `data`, which is not sealed; raise `BrokenChain` if its session seals every event."""
        header = header_of(data)
        key = await self.keys.find(header.tenant, header.session)
        if key is not None and key.whole:
            raise BrokenChain(header.session, header.n, "it is in clear, and every event of this session is sealed")
        return data

    async def key_for(self, tenant: str, session: str, n: int) -> DataKey | None:
        """Return what seals event `n` of a session, None if it is stored in clear. A session's key is made once."""
        if self._on:
            return await self.keys.make(tenant, session, whole=n == 1)
        return await self.keys.find(tenant, session) if self._masters else None

    async def known(self, tenant: str, session: str) -> DataKey | None:
        """Return the session's key, None if it has none."""
        return await self.keys.find(tenant, session) if self._masters else None
