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

from stenograph_events.subjects.calls import (
    AnswerSubject,
    CallSubject,
    answer_subject,
    claim_subject,
    fired_subject,
    next_subject,
    parse_answer,
    parse_call,
    progress_filter,
    progress_subject,
    request_filter,
    request_subject,
    stop_subject,
    tenant_uploads,
    timer_subject,
    tool_consumer,
    tool_key,
    tools_filter,
    upload_subject,
    uploads_filter,
)
from stenograph_events.subjects.log import (
    EventSubject,
    call_filters,
    child_requests,
    client_requests,
    created_filter,
    event_subject,
    live_filter,
    parse_event,
    session_filter,
    worker_requests,
)
from stenograph_events.subjects.patterns import Pattern
from stenograph_events.subjects.requests import (
    ANY,
    ApiVerb,
    AskVerb,
    ClientSubject,
    LogVerb,
    api_subject,
    ask_subject,
    log_subject,
    parse_client,
    parse_register,
    register_subject,
)
from stenograph_events.subjects.screens import follow_filter, follow_subject, frame_subject, hint_subject, parse_follow
from stenograph_events.subjects.stored import (
    access_key,
    agent_key,
    agents_filter,
    blob_subject,
    bucket_subject,
    data_key,
    object_chunks,
    object_filters,
    object_subject,
    parked_filter,
    parked_subject,
    revoked_token,
    snapshot_key,
)
from stenograph_events.subjects.triggers import (
    ControlVerb,
    TriggerSubject,
    control_subject,
    parse_trigger,
    trigger_filter,
    trigger_subject,
)

__all__ = [
    "ANY",
    "AnswerSubject",
    "ApiVerb",
    "AskVerb",
    "CallSubject",
    "ClientSubject",
    "ControlVerb",
    "EventSubject",
    "LogVerb",
    "Pattern",
    "TriggerSubject",
    "access_key",
    "agent_key",
    "agents_filter",
    "answer_subject",
    "api_subject",
    "ask_subject",
    "blob_subject",
    "bucket_subject",
    "call_filters",
    "child_requests",
    "claim_subject",
    "client_requests",
    "control_subject",
    "created_filter",
    "data_key",
    "event_subject",
    "fired_subject",
    "follow_filter",
    "follow_subject",
    "frame_subject",
    "hint_subject",
    "live_filter",
    "log_subject",
    "next_subject",
    "object_chunks",
    "object_filters",
    "object_subject",
    "parked_filter",
    "parked_subject",
    "parse_answer",
    "parse_call",
    "parse_client",
    "parse_event",
    "parse_follow",
    "parse_register",
    "parse_trigger",
    "progress_filter",
    "progress_subject",
    "register_subject",
    "request_filter",
    "request_subject",
    "revoked_token",
    "session_filter",
    "snapshot_key",
    "stop_subject",
    "tenant_uploads",
    "timer_subject",
    "tool_consumer",
    "tool_key",
    "tools_filter",
    "trigger_filter",
    "trigger_subject",
    "upload_subject",
    "uploads_filter",
    "worker_requests",
]
