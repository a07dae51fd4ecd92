"""Sealed logs: whoever reads the streams themselves without a key is told so, never given half an event."""

from stenograph_events.sealing import header_of, is_sealed
from stenograph_sdk.errors import SessionSealed


async def in_clear(data: bytes) -> bytes:
    """Return an event's bytes if anybody can read them; raise `SessionSealed`."""
    if is_sealed(data):
        raise SessionSealed(header_of(data).session)
    return data


async def as_it_is(tenant: str, session: str, subject: str, body: bytes) -> bytes:
    """Return what a body is stored as by whoever has no key."""
    return body
