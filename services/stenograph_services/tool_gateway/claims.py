"""Claims: the write-once cell that says who may run a `retry: never` call, or that nobody may any more.

A worker writes its name before it runs the call; a deadline or a cancel writes `closed`. Who is first decides.
"""

import base64

from nats.aio.client import Client

from stenograph_events.subjects import CallSubject, claim_subject
from stenograph_services.runtime.jetstream import ALREADY_STORED, JetStreamError, api, publish
from stenograph_services.runtime.streams import RES
from stenograph_services.tool_gateway.decide import Claim

CLOSED = b"closed"


async def close(nc: Client, where: CallSubject, tool: str) -> Claim:
    """Close the claim of a call of `tool`.

    Return `closed`, also if we had closed it before, or `taken` if a worker was first.
    """
    subject = claim_subject(where.tenant, tool, where.session, where.call, where.attempt)
    try:
        await publish(nc, subject, CLOSED)
    except JetStreamError as error:
        if error.code != ALREADY_STORED:
            raise
        holder = await api(nc, f"STREAM.MSG.GET.{RES}", {"last_by_subj": subject})
        return "closed" if base64.b64decode(holder["message"].get("data", "")) == CLOSED else "taken"
    return "closed"
