"""Parking: a message that cannot be processed is set aside with its reason, so that it never blocks the ones behind it.

    park.<tenant>.<service>     body as it came; headers Stenograph-Subject, -Reason, -Service, -At, -Turn

A person lists what is parked, sends it again to where it came from, or drops it (`stenograph parked …`). Nothing of it
goes by itself. Where there is no room for more, the service's log says so, and what could not be parked stays where it
came from: an event in the log, an answer in RES, a trigger in TRIG, to come again.
"""

from datetime import UTC, datetime

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from stenograph_events import DEFAULT_TENANT, InvalidId, checked_id
from stenograph_events.subjects import parked_subject
from stenograph_services.runtime.jetstream import NO_ROOM, JetStreamError, api, publish
from stenograph_services.runtime.streams import PARKED

log = structlog.get_logger()

EACH = 1_000  # what one service parks of one tenant, or about so many: none of them takes all the room
FULL_SECONDS = 60.0  # a person makes room
_STAYS = ("ev.", "tool.res.")  # of messages that their streams keep, acked or not


async def park_message(nc: Client, service: str, message: Msg, reason: str) -> float | None:
    """Set a delivered message aside under the tenant that its subject names, if it names one.

    Returns None when it may be acked, or after how many seconds it has to come again, because there is no room for it
    and acked it would be gone.
    """
    tokens = message.subject.split(".")
    tenant = tokens[2] if len(tokens) > 2 else None
    if await park(nc, service, message.subject, message.data, reason, tenant=tenant):
        return None
    return None if message.subject.startswith(_STAYS) else FULL_SECONDS


async def park(nc: Client, service: str, subject: str, data: bytes, reason: str, *, tenant: str | None = None) -> bool:
    """Set `data`, which came on `subject`, aside; return whether there was room for it.

    Done when it is stored: the caller acks the original after.
    """
    try:
        whose = checked_id(tenant or DEFAULT_TENANT, "tenant")
    except InvalidId:
        whose = DEFAULT_TENANT
    headers = {
        "Stenograph-Subject": subject.encode("ascii", "replace").decode(),
        "Stenograph-Reason": reason.replace("\n", " ").encode("ascii", "replace").decode()[:500],
        "Stenograph-Service": service,
        "Stenograph-At": datetime.now(UTC).isoformat(),
    }
    if not await _stored(nc, parked_subject(whose, service), data, headers):
        mend = "stenograph parked list, then retry or drop: there is no room for more"
        log.error("message.unparked", subject=subject, reason=reason, bytes=len(data), mend=mend)
        return False
    log.error("message.parked", subject=subject, reason=reason, bytes=len(data), mend="stenograph parked show")
    return True


async def _stored(nc: Client, place: str, data: bytes, headers: dict[str, str]) -> bool:
    there = (await api(nc, f"STREAM.INFO.{PARKED}", {"subjects_filter": place}))["state"].get("subjects") or {}
    if there.get(place, 0) >= EACH:
        return False
    try:
        await publish(nc, place, data, headers)
    except JetStreamError as error:
        if error.code != NO_ROOM:
            raise
        return False
    return True
