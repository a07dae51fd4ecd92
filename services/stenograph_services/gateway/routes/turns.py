"""The routes that drive turns. Each of them answers with a stream of server-sent events.

POST /api/agent-sessions/{session}/trigger    a trigger, or, with executionId or toolResults, the next leg of its turn
POST /api/agent-sessions/start                a session and its first trigger, once for each idempotencyKey
POST /api/agents/{agent}/execute              a run of an agent of format worker, or its next leg

A client that lost its connection in the middle sends the same again, with the last id that it read as `Last-Event-ID`.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request, Response

from stenograph_events import InvalidId, checked_id, turn_id
from stenograph_services.gateway.http.bodies import ExecuteBody, StartBody, TriggerBody, read
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.gateway.stored.reading import checked_session
from stenograph_services.gateway.turns.brought import brought
from stenograph_services.gateway.turns.continuing import Continuations
from stenograph_services.gateway.turns.repeats import Wanted
from stenograph_services.gateway.turns.response import TurnResponse
from stenograph_services.gateway.turns.resuming import Resumptions
from stenograph_services.gateway.turns.starting import FIRST_REQUEST, RUN_REQUEST, Starter
from stenograph_services.gateway.turns.triggering import Triggers
from stenograph_services.gateway.wire.extras import asked_extras
from stenograph_services.gateway.wire.stream_events import Opening, Start
from stenograph_services.gateway.wire.versions import AskedWire, Wire
from stenograph_services.protocol.agent import CHILD_TRIGGER

SESSION_HEADER = "X-Octavus-Session-Id"


def turn_routes(
    starter: Starter, triggers: Triggers, continuations: Continuations, resumptions: Resumptions
) -> APIRouter:
    """Return the routes that drive turns."""
    routes = APIRouter(dependencies=[Depends(asked_extras)])

    async def drive(wanted: Wanted, last_event_id: str | None, wire: Wire, opening: Opening = Start) -> TurnResponse:
        resumed = await resumptions.resume(wanted, last_event_id, wire, opening)
        return resumed or await triggers.trigger(wanted, wire, opening)

    @routes.post("/api/agent-sessions/start")
    async def start(
        request: Request,
        wire: AskedWire,
        last_event_id: Annotated[str | None, Header()] = None,
        traceparent: Annotated[str | None, Header()] = None,
    ) -> Response:
        body = await read(request, StartBody)
        name = _checked(body.trigger.trigger_name, "trigger.triggerName")
        beside = brought(body.trigger.dynamic_tool_schemas, body.trigger.sender, "trigger.dynamicToolSchemas")
        session = await starter.keyed(body)
        wanted = Wanted(session, name, body.trigger.input or {}, FIRST_REQUEST, None, beside, traceparent)
        response = await drive(wanted, last_event_id, wire, lambda turn: Start(turn, session))
        response.headers[SESSION_HEADER] = session
        return response.told_in(wire)

    @routes.post("/api/agent-sessions/{session}/trigger")
    async def trigger(
        session: str,
        request: Request,
        wire: AskedWire,
        idempotency_key: Annotated[str | None, Header()] = None,
        last_event_id: Annotated[str | None, Header()] = None,
        traceparent: Annotated[str | None, Header()] = None,
    ) -> Response:
        body = await read(request, TriggerBody)
        if body.is_continuation:  # triggerName and input may stand beside it: they are those of the turn
            results = body.tool_results or ()
            told = await continuations.go_on(
                session, body.execution_id, results, wire=wire, last_event_id=last_event_id
            )
            return told.told_in(wire)
        if body.trigger_name is None:
            raise Refusal(400, "triggerName is missing")
        name = _checked(body.trigger_name, "triggerName")
        key = None if idempotency_key is None else _checked(idempotency_key, "Idempotency-Key")
        beside = brought(body.dynamic_tool_schemas, body.sender)
        wanted = Wanted(session, name, body.input or {}, key, body.rollback, beside, traceparent)
        return (await drive(wanted, last_event_id, wire)).told_in(wire)

    @routes.post("/api/agents/{agent}/execute")
    async def execute(
        agent: str,
        request: Request,
        wire: AskedWire,
        last_event_id: Annotated[str | None, Header()] = None,
        traceparent: Annotated[str | None, Header()] = None,
    ) -> Response:
        body = await read(request, ExecuteBody)
        beside = brought(body.dynamic_tool_schemas if body.type == "start" else None)
        session = await _run(starter, agent, body)
        if body.type == "start":
            wanted = Wanted(session, CHILD_TRIGGER, {}, RUN_REQUEST, None, beside, traceparent)
            return (await triggers.trigger(wanted, wire, lambda _: Start(session), worker=session)).told_in(wire)
        turn, results = turn_id(session, RUN_REQUEST), body.tool_results or ()
        told = await continuations.go_on(
            session, turn, results, wire=wire, last_event_id=last_event_id, start=Start(session), worker=session
        )
        return told.told_in(wire)

    return routes


async def _run(starter: Starter, agent: str, body: ExecuteBody) -> str:
    """Return the session in which the worker runs. Its id is the execution's, too."""
    if body.type == "start":
        return await starter.run(agent, body.input or {})
    if body.execution_id is None:
        raise Refusal(400, "executionId is missing: it says which run is continued")
    return await starter.running(agent, checked_session(body.execution_id))


def _checked(value: str, what: str) -> str:
    try:
        return checked_id(value, what)
    except InvalidId as error:
        raise Refusal(400, str(error)) from error
