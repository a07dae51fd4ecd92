"""The calls of tools: what workers ask for, answer, claim and upload, and when a call is late."""

from typing import NamedTuple

from stenograph_events.errors import InvalidSubject
from stenograph_events.ids import checked_id


class CallSubject(NamedTuple):
    tenant: str
    session: str
    call: str
    attempt: int


class AnswerSubject(NamedTuple):
    """The tool comes first, so that a worker's credential can be limited to answers of its own tools."""

    tenant: str
    tool: str
    session: str
    call: str
    attempt: int

    @property
    def about(self) -> CallSubject:
        return CallSubject(self.tenant, self.session, self.call, self.attempt)


def request_filter(tenant: str, tool: str) -> str:
    """Return the filter of the open requests of one tool, which its workers pull."""
    return f"tool.req.{checked_id(tenant, 'tenant')}.{checked_id(tool, 'tool')}.*"


def request_subject(tenant: str, tool: str, session: str) -> str:
    """Return where the server copies a request of `tool` in `session` for the workers."""
    return f"tool.req.{checked_id(tenant, 'tenant')}.{checked_id(tool, 'tool')}.{checked_id(session, 'session')}"


def tool_consumer(tenant: str, tool: str) -> str:
    """Return the name of the durable consumer that the workers of one tool share."""
    return f"{checked_id(tenant, 'tenant')}={checked_id(tool, 'tool')}"


def next_subject(tenant: str, tool: str) -> str:
    """Return where workers behind a leaf node ask for requests: leaf nodes let nothing pass under `$JS.API`."""
    return f"tool.next.{checked_id(tenant, 'tenant')}.{checked_id(tool, 'tool')}"


def tool_key(tenant: str, tool: str) -> str:
    """Return the key of a tool in the registry of workers."""
    return f"{checked_id(tenant, 'tenant')}.{checked_id(tool, 'tool')}"


def tools_filter(tenant: str) -> str:
    """Return the filter of the tools of `tenant` in the registry of workers."""
    return f"{checked_id(tenant, 'tenant')}.*"


def answer_subject(tenant: str, tool: str, session: str, call: str, attempt: int) -> str:
    return _call_subject("tool.res", tool_key(tenant, tool), session, call, attempt)


def claim_subject(tenant: str, tool: str, session: str, call: str, attempt: int) -> str:
    return _call_subject("tool.claim", tool_key(tenant, tool), session, call, attempt)


def progress_subject(tenant: str, tool: str, session: str, call: str, attempt: int) -> str:
    return _call_subject("tool.progress", tool_key(tenant, tool), session, call, attempt)


def progress_filter(tenant: str) -> str:
    """Return the filter of all that workers of `tenant` say of calls that run."""
    return f"tool.progress.{checked_id(tenant, 'tenant')}.>"


def parse_answer(subject: str) -> AnswerSubject:
    """Return which tool's call an answer, a claim, or a word of progress is about; every token is checked."""
    match subject.split("."):
        case ["tool", "res" | "claim" | "progress", tenant, tool, session, call, attempt] if _is_attempt(attempt):
            about = _checked_call(tenant, session, call, attempt)
            return AnswerSubject(about.tenant, checked_id(tool, "tool"), about.session, about.call, about.attempt)
    raise InvalidSubject(subject, "tool.res.<tenant>.<tool>.<session>.<call>.<attempt>")


def stop_subject(tenant: str, tool: str) -> str:
    """Return where the workers of `tool` hear of calls that nobody waits for any more."""
    return f"tool.cancel.{tool_key(tenant, tool)}"


def timer_subject(tenant: str, session: str, call: str, attempt: int) -> str:
    return _call_subject("tim.set", checked_id(tenant, "tenant"), session, call, attempt)


def fired_subject(tenant: str, session: str, call: str, attempt: int) -> str:
    return _call_subject("tim.fire", checked_id(tenant, "tenant"), session, call, attempt)


def parse_call(subject: str) -> CallSubject:
    """Return whose call a timer is about; every token is checked."""
    match subject.split("."):
        case ["tim", "set" | "fire", tenant, session, call, attempt] if _is_attempt(attempt):
            return _checked_call(tenant, session, call, attempt)
    raise InvalidSubject(subject, "tim.fire.<tenant>.<session>.<call>.<attempt>")


def upload_subject(at: AnswerSubject, sha256: str, chunk: int) -> str:
    """Return where a worker uploads a chunk of the result that it is going to answer at `at` with."""
    return f"{_uploads(at)}.{checked_id(sha256, 'sha256')}.{chunk}"


def uploads_filter(at: AnswerSubject) -> str:
    """Return the filter of all that was uploaded for one attempt of a call."""
    return f"{_uploads(at)}.>"


def tenant_uploads(tenant: str) -> str:
    """Return the filter of all that the workers of `tenant` upload."""
    return f"upload.{checked_id(tenant, 'tenant')}.>"


def _uploads(at: AnswerSubject) -> str:
    return _call_subject("upload", tool_key(at.tenant, at.tool), at.session, at.call, at.attempt)


def _is_attempt(token: str) -> bool:
    return token.isdecimal() and len(token) < 7


def _checked_call(tenant: str, session: str, call: str, attempt: str) -> CallSubject:
    return CallSubject(
        checked_id(tenant, "tenant"), checked_id(session, "session"), checked_id(call, "call"), int(attempt)
    )


def _call_subject(kind: str, whose: str, session: str, call: str, attempt: int) -> str:
    return f"{kind}.{whose}.{checked_id(session, 'session')}.{checked_id(call, 'call')}.{attempt}"
