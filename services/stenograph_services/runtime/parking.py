"""Parking: a message that cannot be processed is set aside with its reason, so that it never blocks the ones behind it.

    park.<tenant>.<service>     body as it came; headers Stenograph-Subject, -Reason, -Service, -At, -Turn

A person lists what is parked, sends it again to where it came from, or drops it (`stenograph parked …`).
"""

from datetime import UTC, datetime

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from stenograph_events import DEFAULT_TENANT, InvalidId, checked_id
from stenograph_events.subjects import parked_subject
from stenograph_services.runtime.jetstream import publish

log = structlog.get_logger()


async def park_message(nc: Client, service: str, message: Msg, reason: str) -> None:
    """Set a delivered message aside under the tenant that its subject names, if it names one."""
    tokens = message.subject.split(".")
    await park(nc, service, message.subject, message.data, reason, tenant=tokens[2] if len(tokens) > 2 else None)


async def park(nc: Client, service: str, subject: str, data: bytes, reason: str, *, tenant: str | None = None) -> None:
    """Set `data`, which came on `subject`, aside. Done when it is stored: the caller acks the original after."""
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
    await publish(nc, parked_subject(whose, service), data, headers)
    log.error("message.parked", subject=subject, reason=reason, bytes=len(data), mend="stenograph parked show")
