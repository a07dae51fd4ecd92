"""The routes of the HTTP interface.

GET  /api/agents                          GET  /api/agent-sessions/{session}[?format=ui]
GET  /api/agents/{agent}[?by=slug]        GET  /api/agent-sessions/{session}/events?after=N
POST /api/agent-sessions                  POST /api/agent-sessions/{session}/trigger
"""

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request, Response

from stenograph_events import InvalidId, checked_id
from stenograph_projections.messages import shown
from stenograph_projections.session import Session
from stenograph_projections.transcript import BlockCall, ChildCall, Entry, Message
from stenograph_services.gateway.agents import AgentList, agent_detail, agent_item
from stenograph_services.gateway.bodies import CreateBody, TriggerBody, read
from stenograph_services.gateway.callees import UNDECLARED, callees
from stenograph_services.gateway.chat import chat_session
from stenograph_services.gateway.creating import Creator
from stenograph_services.gateway.reading import Reader
from stenograph_services.gateway.refusals import Refusal
from stenograph_services.gateway.shapes import answer
from stenograph_services.gateway.triggering import Triggers
from stenograph_services.gateway.ui import UISession, ui_messages
from stenograph_services.protocol import Agent
from stenograph_services.runtime.agents import Agents


def agent_routes(tenant: str, agents: Agents) -> APIRouter:
    """Return the routes that read agents."""
    routes = APIRouter(prefix="/api/agents")

    @routes.get("")
    async def list_agents() -> Response:
        return answer(AgentList(agents=[agent_item(entry, tenant) for entry in await agents.list(tenant)]))

    @routes.get("/{agent}")
    async def get_agent(agent: str) -> Response:
        entry = await agents.current(tenant, agent)
        return answer(agent_detail(entry, await agents.bundle(tenant, entry.slug, entry.version)))

    return routes


def session_routes(tenant: str, creator: Creator, reader: Reader, triggers: Triggers) -> APIRouter:
    """Return the routes that make, read and drive sessions."""
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
        if format == "ui":
            return answer(await _ui(reader, state, entries, agent, agent_id))
        whole = await reader.whole(entries, lambda call: True)
        return answer(chat_session(state, whole, agent, agent_id))

    @routes.get("/{session}/events")
    async def events(session: str, after: Annotated[int, Query(ge=0)] = 0) -> Response:
        lines = await reader.log(session, after)
        return Response(b"".join(line + b"\n" for line in lines), media_type="application/x-ndjson")

    @routes.post("/{session}/trigger")
    async def trigger(
        session: str, request: Request, idempotency_key: Annotated[str | None, Header()] = None
    ) -> Response:
        body = await read(request, TriggerBody)
        name = _trigger_name(body)
        key = None if idempotency_key is None else _checked(idempotency_key, "Idempotency-Key")
        return await triggers.trigger(session, name, body.input or {}, key)

    return routes


async def _ui(reader: Reader, state: Session, entries: list[Entry], agent: Agent | None, agent_id: str) -> UISession:
    known = callees(agent)
    kept = {call for call, name in _called(entries).items() if known.get(name, UNDECLARED).kept}
    whole = await reader.whole(entries, kept.__contains__)
    return UISession(session_id=state.session, agent_id=agent_id, messages=ui_messages(shown(whole, state), known))


def _trigger_name(body: TriggerBody) -> str:
    if body.is_continuation:
        raise Refusal(
            400, "tools run on workers here, so there is nothing to continue: send no executionId and no toolResults"
        )
    if body.trigger_name is None:
        raise Refusal(400, "triggerName is missing")
    return _checked(body.trigger_name, "triggerName")


def _checked(value: str, what: str) -> str:
    try:
        return checked_id(value, what)
    except InvalidId as error:
        raise Refusal(400, str(error)) from error


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
