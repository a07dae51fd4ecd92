"""The log: where events are stored, and where the server republishes them."""

from typing import NamedTuple

from stenograph_events.errors import InvalidSubject
from stenograph_events.ids import checked_id, shard_of
from stenograph_events.types import AnyEvent, ToolRequested, class_of


class EventSubject(NamedTuple):
    shard: str
    tenant: str
    session: str
    event_class: str
    tool: str | None


def session_filter(tenant: str, session: str) -> str:
    """Return the filter of one session's log: the canonical string of every expected-sequence header."""
    return f"ev.{shard_of(session)}.{checked_id(tenant, 'tenant')}.{checked_id(session, 'session')}.>"


def event_subject(event: AnyEvent) -> str:
    """Return where `event` is stored."""
    head = session_filter(event.tenant, event.session)[:-1] + class_of(event)
    return f"{head}.{checked_id(event.tool, 'tool')}" if isinstance(event, ToolRequested) else head


def client_requests(tenant: str, session: str, tool: str) -> str:
    """Return where the log of a session has the calls of `tool` that its clients were asked for."""
    return f"{session_filter(tenant, session)[:-1]}client-request.{checked_id(tool, 'tool')}"


def child_requests(tenant: str, session: str, agent: str) -> str:
    """Return where the log of a session has the calls of child agent `agent`."""
    return f"{session_filter(tenant, session)[:-1]}child-request.{checked_id(agent, 'agent')}"


def worker_requests(tenant: str, session: str, tool: str) -> str:
    """Return where the log of a session has the calls of `tool` that its workers were asked for."""
    return f"{session_filter(tenant, session)[:-1]}tool-request.{checked_id(tool, 'tool')}"


def live_filter(tenant: str, session: str) -> str:
    """Return the filter under which the server republishes one session's log as it grows."""
    return "live" + session_filter(tenant, session)[2:]


def created_filter(tenant: str, shard: str = "*") -> str:
    """Return the filter of the first event of every session: one subject for each session of `tenant`."""
    return f"ev.{shard}.{checked_id(tenant, 'tenant')}.*.session"


def call_filters(tenant: str) -> list[str]:
    """Return the filters of all that the logs of `tenant` say of calls: requests, answers, and what people decide."""
    head = f"ev.*.{checked_id(tenant, 'tenant')}.*"
    classes = ("tool-request.*", "client-request.*", "tool-result", "tool-closed", "approval")
    return [f"{head}.{event_class}" for event_class in classes]


def parse_event(subject: str) -> EventSubject:
    """Return the tokens of a log subject, or of its live copy."""
    match subject.split("."):
        case ["ev" | "live", shard, tenant, session, event_class]:
            return EventSubject(shard, tenant, session, event_class, None)
        case ["ev" | "live", shard, tenant, session, event_class, tool]:
            return EventSubject(shard, tenant, session, event_class, tool)
    raise InvalidSubject(subject, "ev.<shard>.<tenant>.<session>.<class>[.<tool>]")
