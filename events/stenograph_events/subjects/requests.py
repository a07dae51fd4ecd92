"""What services are asked: by clients that a credential limits, and by workers that register."""

from typing import Literal, NamedTuple

from stenograph_events.errors import InvalidId, InvalidSubject
from stenograph_events.ids import checked_id, shard_of

ApiVerb = Literal["sessions.create", "tools.register"]
AskVerb = Literal["create", "start", "cancel", "answer", "approve", "resolve", "budget"]
LogVerb = Literal["read", "follow", "keep"]

ANY = "_"
"""Where an agent or a session could be named and none is."""


class ClientSubject(NamedTuple):
    """What a client asks. `agent` is the only one that its credential is for, None if that is for any.

    `session` is empty for the verb `create`; `trigger` is the one to start with.
    """

    tenant: str
    agent: str | None
    session: str
    verb: str
    trigger: str = ""


def api_subject(tenant: str, verb: Literal["sessions.create"]) -> str:
    return f"api.{checked_id(tenant, 'tenant')}.{verb}"


def register_subject(tenant: str, tool: str) -> str:
    """Return where a worker offers to serve `tool`; a credential for other tools does not reach it."""
    return f"api.{checked_id(tenant, 'tenant')}.tools.register.{checked_id(tool, 'tool')}"


def parse_register(subject: str) -> tuple[str, str]:
    """Return the tenant and the tool of a registration; both are checked."""
    match subject.split("."):
        case ["api", tenant, "tools", "register", tool]:
            return checked_id(tenant, "tenant"), checked_id(tool, "tool")
    raise InvalidSubject(subject, "api.<tenant>.tools.register.<tool>")


def ask_subject(tenant: str, agent: str | None, session: str | None, verb: AskVerb, trigger: str | None = None) -> str:
    """Return where a client asks the gateway; `*` as the trigger is the permission for all of them."""
    head = f"as.{checked_id(tenant, 'tenant')}.{_limit(agent, 'agent')}.{_limit(session, 'session')}.{verb}"
    if trigger is None:
        return head
    return f"{head}.{trigger if trigger == '*' else checked_id(trigger, 'trigger')}"


def log_subject(tenant: str, agent: str | None, session: str | None, verb: LogVerb) -> str:
    """Return where a client asks for a log."""
    return f"log.{checked_id(tenant, 'tenant')}.{_limit(agent, 'agent')}.{_limit(session, 'session')}.{verb}"


def _limit(name: str | None, kind: str) -> str:
    """Return the token of an agent or a session: `_` for None, `*` as it is, for permissions."""
    if name is None or name == "*":
        return name or ANY
    if name == ANY:
        raise InvalidId(kind, name)
    return checked_id(name, kind)


def parse_client(subject: str) -> ClientSubject:
    """Return what a client asks on a subject of `as` or `log`; every token is checked."""
    match subject.split("."):
        case ["as", tenant, agent, "_", "create"]:
            return ClientSubject(checked_id(tenant, "tenant"), _limited(agent), "", "create")
        case ["as", tenant, agent, session, "start", trigger]:
            trigger = checked_id(trigger, "trigger")
            return ClientSubject(*_asked(tenant, agent, session), "start", trigger)
        case ["as", tenant, agent, session, ("cancel" | "answer" | "approve" | "resolve" | "budget") as verb]:
            return ClientSubject(*_asked(tenant, agent, session), verb)
        case ["log", tenant, agent, session, ("read" | "follow" | "keep") as verb]:
            return ClientSubject(*_asked(tenant, agent, session), verb)
    raise InvalidSubject(subject, "as.<tenant>.<agent>.<session>.<verb>[.<trigger>], or log.….<verb>")


def _asked(tenant: str, agent: str, session: str) -> tuple[str, str | None, str]:
    shard_of(checked_id(session, "session"))
    return checked_id(tenant, "tenant"), _limited(agent), session


def _limited(agent: str) -> str | None:
    return None if agent == ANY else checked_id(agent, "agent")
