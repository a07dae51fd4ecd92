"""What screens need now: frames, and what services whisper to each other about those who watch."""

from stenograph_events.errors import InvalidSubject
from stenograph_events.ids import checked_id


def frame_subject(tenant: str, session: str) -> str:
    return f"tok.{checked_id(tenant, 'tenant')}.{checked_id(session, 'session')}"


def hint_subject(tenant: str, session: str) -> str:
    return f"hint.{checked_id(tenant, 'tenant')}.{checked_id(session, 'session')}"


def follow_subject(tenant: str, session: str) -> str:
    return f"follow.{checked_id(tenant, 'tenant')}.{checked_id(session, 'session')}"


def follow_filter(tenant: str) -> str:
    """Return the filter of what gateways of `tenant` ask each other about the turns of all sessions."""
    return f"follow.{checked_id(tenant, 'tenant')}.*"


def parse_follow(subject: str) -> str:
    """Return the session that gateways are asked about."""
    match subject.split("."):
        case ["follow", _, session]:
            return session
    raise InvalidSubject(subject, "follow.<tenant>.<session>")
