"""What is asked of a session: triggers and controls."""

from typing import Literal, NamedTuple

from stenograph_events.errors import InvalidSubject
from stenograph_events.ids import checked_id

ControlVerb = Literal["cancel", "nudge", "budget", "expire", "restore", "clear", "rollback", "approve", "resolve"]


class TriggerSubject(NamedTuple):
    tenant: str
    session: str
    name: str


def trigger_subject(tenant: str, session: str, name: str) -> str:
    return f"trig.start.{checked_id(tenant, 'tenant')}.{checked_id(session, 'session')}.{checked_id(name, 'trigger')}"


def control_subject(tenant: str, session: str, verb: ControlVerb) -> str:
    return f"trig.control.{checked_id(tenant, 'tenant')}.{checked_id(session, 'session')}.{verb}"


def trigger_filter(tenant: str, session: str) -> str:
    """Return the filter of everything that is asked of one session: triggers and controls."""
    return f"trig.*.{checked_id(tenant, 'tenant')}.{checked_id(session, 'session')}.*"


def parse_trigger(subject: str) -> TriggerSubject:
    """Return tenant, session and trigger name, or verb, of a `trig.` subject; every token is checked."""
    match subject.split("."):
        case ["trig", "start" | "control", tenant, session, name]:
            return TriggerSubject(
                checked_id(tenant, "tenant"), checked_id(session, "session"), checked_id(name, "trigger")
            )
    raise InvalidSubject(subject, "trig.<start|control>.<tenant>.<session>.<name>")
