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
from stenograph_projections.transcript import BlockCall, ChildCall, Entry, Message
from stenograph_services.gateway.bodies import CreateBody, read
from stenograph_services.gateway.callees import UNDECLARED, callees
from stenograph_services.gateway.chat import chat_session
from stenograph_services.gateway.creating import Creator
from stenograph_services.gateway.lifecycle import expired_session
from stenograph_services.gateway.reading import Reader
from stenograph_services.gateway.shapes import answer
from stenograph_services.gateway.ui import UISession, ui_messages
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
    async def get(session: str, format: Annotated[Literal["ui"] | None, Query()] = None) -> Response:
        loaded = await reader.session(session)
        state, entries = loaded.folded, list(loaded.entries)  # of one moment: reading on awaits
        assert state is not None, "the reader refuses a session without a log"
        agent = await reader.agent(state.agent, state.agent_version)
        agent_id = await reader.agent_id(state.agent)
        if state.standing != "active":
            return answer(expired_session(state, agent_id))
        if format == "ui":
            return answer(await _ui(reader, state, entries, agent, agent_id))
        whole = await reader.whole(entries, lambda call: True)
        return answer(chat_session(state, whole, agent, agent_id))

    return routes


async def _ui(reader: Reader, state: Session, entries: list[Entry], agent: Agent | None, agent_id: str) -> UISession:
    known = callees(agent)
    kept = {call for call, name in _called(entries).items() if known.get(name, UNDECLARED).kept}
    whole = await reader.whole(entries, kept.__contains__)
    return UISession(session_id=state.session, agent_id=agent_id, messages=ui_messages(shown(whole, state), known))


def _called(entries: list[Entry]) -> dict[str, str]:
    """Return which tool, or child agent, each call is of."""
    called: dict[str, str] = {}
    for entry in entries:
        match entry:
            case Message():
                called |= {call.call: call.tool for call in entry.calls}
            case BlockCall():
                called[entry.call] = entry.tool
            case ChildCall():
                called[entry.call] = entry.agent
    return called
