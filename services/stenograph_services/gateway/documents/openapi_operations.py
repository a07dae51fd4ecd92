"""What each route takes and answers, with an example of both: one line of the table for each, in the order of the page.

FastAPI knows paths and parameters. Bodies are read by hand, after the content type, and answers are msgspec's, so what
they hold is said here; a test compares the table with the routes, and another the answers with what is said.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

from stenograph_services.gateway.documents import openapi_examples as examples
from stenograph_services.gateway.http.bodies import (
    CreateBody,
    DecisionBody,
    ExecuteBody,
    ResolutionBody,
    StartBody,
    TriggerBody,
)
from stenograph_services.gateway.http.shapes import Shape
from stenograph_services.gateway.routes.files import Kept, UploadBody, Uploads
from stenograph_services.gateway.routes.listing import SessionList
from stenograph_services.gateway.routes.tokens import MintBody, Minted, RevokeBody, Revoked, RevokedToken
from stenograph_services.gateway.stored.agent_bodies import ChangeBody, DefinitionBody
from stenograph_services.gateway.stored.agents import AgentChanged, AgentDetail, AgentList, Verdict
from stenograph_services.gateway.stored.brought_back import RestoreBody
from stenograph_services.gateway.stored.chat import ChatSession
from stenograph_services.gateway.stored.lifecycle import ExpiredSession
from stenograph_services.gateway.stored.log_entries import SessionLogs
from stenograph_services.gateway.stored.session_state import SessionState
from stenograph_services.gateway.stored.ui import UISession
from stenograph_services.gateway.turns.approvals import DecidedCall, WaitingCalls
from stenograph_services.gateway.turns.resolutions import ResolvedCall, UnresolvedCalls


class Health(Shape, frozen=True, kw_only=True):
    status: str


class Readiness(Shape, frozen=True, kw_only=True):
    """`durable`: whether the server writes to disk before it confirms. `missing`: streams that are not there."""

    ready: bool
    nats: bool
    durable: str
    missing: list[str] | None = None


class CreatedSession(Shape, frozen=True, kw_only=True):
    session_id: str


class RestoredSession(Shape, frozen=True, kw_only=True):
    """`restored`: false if the session was active, so that there was nothing to do."""

    session_id: str
    restored: bool


class ClearedSession(Shape, frozen=True, kw_only=True):
    session_id: str
    cleared: bool


JSON = "application/json"
STREAM = "text/event-stream"
LINES = "application/x-ndjson"
BYTES = "application/octet-stream"


class Operation(NamedTuple):
    """One route. `answers` are the shapes of a success, which `also` other statuses have.

    `errors` are the statuses beside those that any route has. `raw_body`: it takes bytes.
    """

    tag: str
    summary: str
    answers: tuple[type, ...] = ()
    example: Any = None
    status: int = 200
    body: type[BaseModel] | None = None
    body_examples: Mapping[str, Any] = {}
    raw_body: bool = False
    errors: tuple[int, ...] = (400, 404)
    media_type: str = JSON
    public: bool = False
    also: tuple[int, ...] = ()
    description: str = ""


_TURN = (
    "The answer streams the turn: `start`, then what happens as it happens, then `finish` or `error`, then `[DONE]`. "
    "After `tool-request` the leg ends with `finish` and reason `tool-calls`: POST the results, with `executionId` and "
    "`toolResults`, for the next leg. A connection that the client closes before the end cancels the turn, unless it "
    "comes back at once: the same body again, with the last `id` that it read as `Last-Event-ID`, goes on from there. "
    "A body that says something else, and one whose client has read the end, is a new turn."
)

_LINK = (
    "Send the address as it was given, with its whole query: that is the key. The type of the body is the file's own."
)

OPERATIONS: dict[tuple[str, str], Operation] = {
    ("get", "/healthz"): Operation("health", "Is it alive", (Health,), {"status": "ok"}, errors=(), public=True),
    ("get", "/readyz"): Operation(
        "health", "May it be asked; 503 with the same body while it may not",
        (Readiness,), examples.READY, errors=(), also=(503,), public=True,
    ),
    ("get", "/openapi.json"): Operation("health", "This document", errors=(), public=True),
    ("get", "/asyncapi.json"): Operation(
        "health", "The document of the subjects and events on NATS", errors=(), public=True
    ),
    ("get", "/api/agents"): Operation("agents", "List agents", (AgentList,), examples.AGENTS, errors=()),
    ("post", "/api/agents"): Operation(
        "agents", "Create an agent", (AgentChanged,), examples.AGENT_CREATED, status=201,
        body=DefinitionBody, body_examples={"agent": examples.DEFINITION}, errors=(400, 409, 413),
    ),
    ("post", "/api/agents/validate"): Operation(
        "agents", "Say what is wrong with an agent, and store nothing", (Verdict,), examples.VERDICT,
        body=DefinitionBody, body_examples={"agent": examples.DEFINITION}, errors=(400, 413),
    ),
    ("get", "/api/agents/{agent}"): Operation("agents", "Read an agent", (AgentDetail,), examples.AGENT),
    ("patch", "/api/agents/{agent}"): Operation(
        "agents", "Change an agent; what is not sent stays", (AgentChanged,), examples.AGENT_UPDATED,
        body=ChangeBody, body_examples={"rename": examples.CHANGE}, errors=(400, 404, 409, 413),
    ),
    ("delete", "/api/agents/{agent}"): Operation(
        "agents", "Archive an agent; its sessions go on, its slug is free", (AgentChanged,), examples.AGENT_ARCHIVED,
        errors=(400, 404, 409),
    ),
    ("post", "/api/agents/{agent}/execute"): Operation(
        "turns", "Run an agent of format worker, or continue its run", body=ExecuteBody,
        body_examples={"start": examples.EXECUTE}, example=examples.RUN, media_type=STREAM, errors=(400, 404, 413),
        description=_TURN + " What it came to, and what it consumed, is told to clients that send the header `4`.",
    ),
    ("get", "/api/agent-sessions"): Operation(
        "sessions", "List and search sessions, the last touched first", (SessionList,), examples.SESSIONS,
        errors=(400,), description="`cursor` of one page leads to the next; the last one has none.",
    ),
    ("post", "/api/agent-sessions"): Operation(
        "sessions", "Create a session, pinned to the agent's current version", (CreatedSession,),
        {"sessionId": examples.SESSION}, status=201, body=CreateBody, body_examples={"session": examples.CREATE},
        errors=(400, 404, 413),
    ),
    ("get", "/api/agent-sessions/{session}"): Operation(
        "sessions", "Read a session: its full state, or with format=ui what a screen shows",
        (ChatSession, UISession, ExpiredSession), examples.UI,
        description="Its messages have the shape of version 2.0.0, or of 4.0 and later: docs/wire.md compares them.",
    ),
    ("delete", "/api/agent-sessions/{session}"): Operation(
        "sessions", "Clear a session: it answers as expired from now on", (ClearedSession,),
        {"sessionId": examples.SESSION, "cleared": True}, errors=(400, 404, 409),
        description="What came before is shown no more, in the log neither: that begins with the clear.",
    ),
    ("post", "/api/agent-sessions/{session}/restore"): Operation(
        "sessions", "Restore a session that expired", (RestoredSession,),
        {"sessionId": examples.SESSION, "restored": True}, body=RestoreBody,
        body_examples={"messages": examples.RESTORE}, errors=(400, 404, 413),
    ),
    ("get", "/api/agent-sessions/{session}/approvals"): Operation(
        "approvals", "List the calls that wait for a person", (WaitingCalls,), examples.APPROVALS, errors=(400, 404),
    ),
    ("post", "/api/agent-sessions/{session}/approvals/{call}"): Operation(
        "approvals", "Grant, deny or edit a call", (DecidedCall,), examples.DECIDED, body=DecisionBody,
        body_examples={"grant": examples.GRANT, "deny": examples.DENY, "edit": examples.EDIT},
        errors=(400, 404, 409, 413),
        description="It needs a key with the scope `approve`. The first decision stands: the same one again gives the "
        "same answer, another one is refused. `digest` is that of the arguments that the person saw.",
    ),
    ("get", "/api/agent-sessions/{session}/resolutions"): Operation(
        "approvals", "List the calls whose outcome is unknown and that a person is asked about", (UnresolvedCalls,),
        examples.RESOLUTIONS, errors=(400, 404),
    ),
    ("post", "/api/agent-sessions/{session}/resolutions/{call}"): Operation(
        "approvals", "Say what came of a call whose outcome is unknown", (ResolvedCall,), examples.RESOLVED,
        body=ResolutionBody, body_examples={"succeeded": examples.RESOLVE, "failed": examples.RESOLVE_FAILED},
        errors=(400, 404, 409, 413),
        description="It needs a key with the scope `approve`. The first word stands: the same one again gives the same "
        "answer, another one is refused.",
    ),
    ("post", "/api/agent-sessions/{session}/trigger"): Operation(
        "turns", "Trigger a session, or continue its turn with the results of tools", body=TriggerBody,
        body_examples={
            "trigger": examples.TRIGGER, "tools": examples.TRIGGER_WITH_TOOLS, "continue": examples.CONTINUE,
        },
        example=examples.STREAM,
        media_type=STREAM, errors=(400, 404, 409, 413), description=_TURN,
    ),
    ("post", "/api/agent-sessions/start"): Operation(
        "turns", "Create a session and trigger it; the same idempotencyKey is the same session", body=StartBody,
        body_examples={"start": examples.START},
        example=examples.STREAM, media_type=STREAM, errors=(400, 404, 409, 413),
        description=_TURN + " The header `X-Octavus-Session-Id` names the session.",
    ),
    ("get", "/api/agent-sessions/{session}/observe"): Operation(
        "turns", "Watch a turn, or come back to one", example=examples.STREAM, media_type=STREAM, errors=(400, 404),
        description="The turn of `executionId`, else the one that runs or ran last; from `Last-Event-ID` on, if given. "
        "Who only watches cancels nothing by leaving.",
    ),
    ("get", "/api/agent-sessions/{session}/events"): Operation(
        "log", "Read the log: one event a line, as it is stored", example=examples.LOG_LINES, media_type=LINES,
        description="A page that does not reach the end names the next one in `Link`, with `rel=\"next\"`.",
    ),
    ("get", "/api/agent-sessions/{session}/events/stream"): Operation(
        "log", "Follow the log", example=examples.LOG_STREAM, media_type=STREAM,
        description="`id` is the event's number; `Last-Event-ID` goes on exactly after it.",
    ),
    ("get", "/api/agent-sessions/{session}/state"): Operation(
        "log", "The session as it stood after event `at`, by default now", (SessionState,), examples.STATE
    ),
    ("get", "/api/agent-sessions/{session}/logs"): Operation(
        "log", "The newest 3,000 entries of the execution log", (SessionLogs, ExpiredSession), examples.LOGS
    ),
    ("post", "/api/files/upload-urls"): Operation(
        "files", "Ask for links to send files by, and to read them by", (Uploads,), examples.UPLOADS, body=UploadBody,
        body_examples={"image": examples.UPLOAD}, errors=(400, 404, 413),
    ),
    ("put", "/api/files/{id}"): Operation(
        "files", "Send a file, by the link that was given for it", (Kept,), examples.KEPT, raw_body=True,
        errors=(400, 403, 404, 413), public=True, description=_LINK,
    ),
    ("get", "/api/files/{id}"): Operation(
        "files", "Read a file, by the link that was given for it", example="…", media_type=BYTES, also=(206,),
        errors=(400, 403, 404, 416), public=True, description=_LINK,
    ),
    ("head", "/api/files/{id}"): Operation(
        "files", "Ask how long a file is, and of what type", example="", media_type=BYTES, also=(206,),
        errors=(400, 403, 404, 416), public=True, description=_LINK,
    ),
    ("post", "/api/tokens"): Operation(
        "tokens", "Make an ephemeral token", (Minted,), examples.TOKEN, status=201, body=MintBody,
        body_examples={"token": examples.MINT}, errors=(400, 404, 413),
    ),
    ("post", "/api/tokens/revoke"): Operation(
        "tokens", "Revoke an ephemeral token", (Revoked, RevokedToken), examples.REVOKED,
        body=RevokeBody, body_examples={"token": examples.REVOKE}, errors=(400, 413),
    ),
}  # fmt: skip
