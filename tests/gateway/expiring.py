"""Sessions that nobody used for long."""

import msgspec
from tests.support.services import TENANT, Talk

from stenograph_events.subjects import control_subject
from stenograph_events.types import SessionExpired
from stenograph_events.wire import Expire
from stenograph_services.runtime.jetstream import publish


async def expire(talk: Talk) -> None:
    """Let the session expire, as the projector asks for it."""
    body = msgspec.json.encode(Expire(len(await talk.events()), 0.0))
    await publish(talk.stage.nc, control_subject(TENANT, talk.id, "expire"), body)
    await talk.until(SessionExpired)
