"""The routes of the HTTP interface.

GET  /api/agent-sessions/{session}[?format=ui]
GET  /api/agents/{agent}[?by=slug]
POST /api/agent-sessions
POST /api/agent-sessions/{session}/trigger
"""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from stenograph_projections.messages import shown
from stenograph_projections.session import Session
from stenograph_projections.transcript import Entry
from stenograph_services.gateway.http.bodies import CreateBody, read
from stenograph_services.gateway.http.shapes import answer
from stenograph_services.gateway.stored.chat import chat_session
from stenograph_services.gateway.stored.creating import Creator
from stenograph_services.gateway.stored.lifecycle import expired_session
from stenograph_services.gateway.stored.nested import kept_calls, nested
from stenograph_services.gateway.stored.reading import Reader
from stenograph_services.gateway.stored.ui import UISession, ui_messages
from stenograph_services.gateway.stream.callees import UNDECLARED, callees
from stenograph_services.gateway.stream.operations import operations
from stenograph_services.gateway.wire.versions import AskedWire, Wire
from stenograph_services.protocol import Agent


def session_routes(tenant: str, creator: Creator, reader: Reader) -> APIRouter:
    """Return the routes that make and read sessions."""
    routes = APIRouter(prefix="/api/agent-sessions")

    @routes.post("")
    async def create(request: Request) -> Response:
        body = await read(request, CreateBody)
        created = await creator.create(tenant, body.agent_id, body.input or {})
        return answer({"sessionId": created.session}, 201)

    @routes.get("/{session}")
    async def get(session: str, wire: AskedWire, format: Annotated[Literal["ui"] | None, Query()] = None) -> Response:
        loaded = await reader.session(session)
        state, entries = loaded.folded, list(loaded.entries)  # of one moment: reading on awaits
        assert state is not None, "the reader refuses a session without a log"
        agent = await reader.agent(state.agent, state.agent_version)
        agent_id = await reader.agent_id(state)
        if state.standing != "active":
            return answer(expired_session(state, agent_id))
        if format == "ui":
            return answer(await _ui(reader, tenant, state, entries, agent, agent_id, wire))
        whole = await reader.whole(session, entries, lambda call: True)
        inside = await nested(reader, tenant, entries, wire, lambda child: True)
        return answer(chat_session(state, whole, agent, agent_id, wire, inside))

    return routes


async def _ui(
    reader: Reader, tenant: str, state: Session, entries: list[Entry], agent: Agent | None, agent_id: str, wire: Wire
) -> UISession:
    known = callees(agent)
    whole = await reader.whole(state.session, entries, kept_calls(entries, known).__contains__)
    inside = await nested(reader, tenant, entries, wire, lambda child: known.get(child, UNDECLARED).kept)
    messages = ui_messages(shown(whole, state), known, wire, inside, operations(agent))
    return UISession(session_id=state.session, agent_id=agent_id, messages=messages)
