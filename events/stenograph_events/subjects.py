"""Subjects: the only place that spells or parses one.

    ev.<shard>.<tenant>.<session>.<class>[.<tool>]     the log
    live.<shard>.<tenant>.<session>.<class>[.<tool>]   the same, as the server republishes it to whoever listens now
    trig.start.<tenant>.<session>.<name>               a trigger
    trig.control.<tenant>.<session>.<verb>             cancel, nudge, budget, expire, restore, clear, rollback,
                                                       approve, resolve
    tool.req.<tenant>.<tool>.<session>                 an open tool request, copied by the server
    tool.res.<tenant>.<tool>.<session>.<call>.<attempt>    its answer, write-once
    tool.claim.<tenant>.<tool>.<session>.<call>.<attempt>  the right to run a `retry: never` call, write-once
    tool.progress.<tenant>.<tool>.<session>.<call>.<attempt>   how far its worker is; nobody stores it
    tool.cancel.<tenant>.<tool>                        names a call that nobody waits for any more; the log is the truth
    tool.next.<tenant>.<tool>                          asks for requests, from behind a leaf node
    tim.set.<tenant>.<session>.<call>.<attempt>        a deadline; fires as tim.fire.…
    tok.<tenant>.<session>                             frames for screens
    hint.<tenant>.<session>                            names a turn that is being cancelled; the log is the truth
    follow.<tenant>.<session>                          asks the gateways whose client follows a turn; silence is no
    blob.<tenant>.<sha256>.<i>                         large values in chunks
    upload.<tenant>.<tool>.<session>.<call>.<attempt>.<sha256>.<i>  those of a worker's result, until it is recorded
    park.<tenant>.<service>                            what could not be processed, with its reason
    api.<tenant>.<verb>[.<tool>]                       requests to the gateway and the tool gateway
    as.<tenant>.<agent>.<session>.<verb>[.<trigger>]   what a client asks by its credential, of the gateway
    log.<tenant>.<agent>.<session>.<verb>              a client's way to the log: read, follow, keep

In `as` and `log` the agent and the session are those that a credential is limited to; `_` stands for any, and for none.

Every id is checked here before it becomes a token.
"""

import base64
from typing import Literal, NamedTuple

from stenograph_events.errors import InvalidId, InvalidSubject
from stenograph_events.ids import checked_id, shard_of
from stenograph_events.types import AnyEvent, ToolRequested, class_of

ControlVerb = Literal["cancel", "nudge", "budget", "expire", "restore", "clear", "rollback", "approve", "resolve"]
ApiVerb = Literal["sessions.create", "tools.register"]
AskVerb = Literal["create", "start", "cancel", "answer", "approve", "resolve", "budget"]
LogVerb = Literal["read", "follow", "keep"]

ANY = "_"
"""Where an agent or a session could be named and none is."""


class EventSubject(NamedTuple):
    shard: str
    tenant: str
    session: str
    event_class: str
    tool: str | None


class TriggerSubject(NamedTuple):
    tenant: str
    session: str
    name: str


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


class ClientSubject(NamedTuple):
    """What a client asks. `agent` is the only one that its credential is for, None if that is for any.

    `session` is empty for the verb `create`; `trigger` is the one to start with.
    """

    tenant: str
    agent: str | None
    session: str
    verb: str
    trigger: str = ""


# ---- the log


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


# ---- triggers


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


# ---- tools


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


def _is_attempt(token: str) -> bool:
    return token.isdecimal() and len(token) < 7


def _checked_call(tenant: str, session: str, call: str, attempt: str) -> CallSubject:
    return CallSubject(
        checked_id(tenant, "tenant"), checked_id(session, "session"), checked_id(call, "call"), int(attempt)
    )


def _call_subject(kind: str, whose: str, session: str, call: str, attempt: int) -> str:
    return f"{kind}.{whose}.{checked_id(session, 'session')}.{checked_id(call, 'call')}.{attempt}"


# ---- screens, hints, followers, blobs, uploads, what is parked, requests


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


def blob_subject(tenant: str, sha256: str, chunk: int | Literal["*"]) -> str:
    return f"blob.{checked_id(tenant, 'tenant')}.{checked_id(sha256, 'sha256')}.{chunk}"


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


def parked_subject(tenant: str, service: str) -> str:
    return f"park.{checked_id(tenant, 'tenant')}.{checked_id(service, 'service')}"


def parked_filter(tenant: str) -> str:
    """Return the filter of all that is parked for `tenant`."""
    return f"park.{checked_id(tenant, 'tenant')}.*"


def snapshot_key(tenant: str, session: str) -> str:
    return f"{checked_id(tenant, 'tenant')}.{checked_id(session, 'session')}"


def data_key(tenant: str, session: str) -> str:
    return f"{checked_id(tenant, 'tenant')}.{checked_id(session, 'session')}"


def agent_key(tenant: str, slug: str, version: str | None = None) -> str:
    """Return the key of an agent's current entry, or of one of its versions."""
    key = f"{checked_id(tenant, 'tenant')}.{checked_id(slug, 'agent')}"
    return f"{key}.{checked_id(version, 'version')}" if version else key


def agents_filter(tenant: str) -> str:
    """Return the filter of the current entries of all agents of `tenant`."""
    return f"{checked_id(tenant, 'tenant')}.*"


def access_key(tenant: str, id: str) -> str:
    """Return the key, in the bucket KEYS, of the API key `id`; `*` as its id is the filter of all of a tenant's."""
    return f"key.{checked_id(tenant, 'tenant')}.{id if id == '*' else checked_id(id, 'key')}"


def revoked_token(tenant: str, jti: str) -> str:
    """Return the key, in the bucket KEYS, that says that the token `jti` is revoked."""
    return f"revoked.{checked_id(tenant, 'tenant')}.{checked_id(jti, 'token')}"


def bucket_subject(bucket: str, key: str) -> str:
    """Return where NATS stores `key`, or a filter of keys, of a key-value bucket."""
    return f"$KV.{bucket}.{key}"


def object_subject(bucket: str, name: str) -> str:
    """Return where NATS stores what it knows of the object `name` of an object store."""
    return f"$O.{bucket}.M.{base64.urlsafe_b64encode(name.encode()).decode()}"


def object_chunks(bucket: str, nuid: str) -> str:
    """Return where NATS stores the bytes of an object: one subject for all of its chunks."""
    return f"$O.{bucket}.C.{nuid}"


def object_filters(bucket: str) -> list[str]:
    """Return the filters of everything in an object store."""
    return [f"$O.{bucket}.M.>", f"$O.{bucket}.C.>"]


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


class Pattern:
    """The wildcards that streams and consumers are declared with."""

    TRIGGERS = "trig.>"
    STARTS = "trig.start.>"
    CONTROLS = "trig.control.>"
    WAKES = "ev.*.*.*.tool-result"
    TOOL_REQUESTS = "ev.*.*.*.tool-request.*"
    TOOL_CLOSED = "ev.*.*.*.tool-closed"
    CLIENT_REQUESTS = "ev.*.*.*.client-request.*"
    CHILD_REQUESTS = "ev.*.*.*.child-request.*"
    CHILD_ENDS = "ev.*.*.*.child-end"
    APPROVALS = "ev.*.*.*.approval"
    REQUEST_COPIES = "tool.req.>"
    REQUEST_COPY_TRANSFORM = "tool.req.{{wildcard(2)}}.{{wildcard(4)}}.{{wildcard(3)}}"
    ANSWERS = "tool.res.>"
    CLAIMS = "tool.claim.>"
    TIMERS_SET = "tim.set.>"
    TIMERS_FIRED = "tim.fire.>"
    FRAMES = "tok.>"
    HINTS = "hint.>"
    BLOBS = "blob.>"
    PARKED = "park.>"
    EVENTS = "ev.>"
    LIVE = "live.>"
    ASKS = "as.>"
    LOG_READS = "log.*.*.*.read"
    LOG_FOLLOWS = "log.*.*.*.follow"
    LOG_KEEPS = "log.*.*.*.keep"

    @staticmethod
    def shard(token: str) -> str:
        return f"ev.{token}.>"

    @staticmethod
    def api(verb: ApiVerb) -> str:
        return f"api.*.{verb}.*" if verb == "tools.register" else f"api.*.{verb}"
