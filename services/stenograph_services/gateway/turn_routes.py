"""The routes that drive turns. Each of them answers with a stream of server-sent events.

POST /api/agent-sessions/{session}/trigger    a trigger, or, with executionId or toolResults, the next leg of its turn
POST /api/agent-sessions/start                a session and its first trigger, once for each idempotencyKey
POST /api/agents/{agent}/execute              a run of an agent of format worker, or its next leg
"""

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from stenograph_events import InvalidId, checked_id, turn_id
from stenograph_services.gateway.bodies import ExecuteBody, StartBody, TriggerBody, read
from stenograph_services.gateway.continuing import Continuations
from stenograph_services.gateway.observing import Observers
from stenograph_services.gateway.reading import checked_session
from stenograph_services.gateway.refusals import Refusal
from stenograph_services.gateway.repeats import Wanted
from stenograph_services.gateway.starting import FIRST_REQUEST, RUN_REQUEST, Starter
from stenograph_services.gateway.stream_events import Start
from stenograph_services.gateway.triggering import Triggers
from stenograph_services.protocol.agent import CHILD_TRIGGER

SESSION_HEADER = "X-Octavus-Session-Id"
WORKERS_SINCE = 4  # the first wire version whose clients are sent what they know of workers


def turn_routes(starter: Starter, triggers: Triggers, continuations: Continuations, observers: Observers) -> APIRouter:
    """Return the routes that drive turns."""
    routes = APIRouter()

    @routes.post("/api/agent-sessions/start")
    async def start(request: Request) -> Response:
        body = await read(request, StartBody)
        name = _checked(body.trigger.trigger_name, "trigger.triggerName")
        session = await starter.keyed(body)
        opening = Start(turn_id(session, FIRST_REQUEST), session)
        response = await triggers.trigger(session, name, body.trigger.input or {}, FIRST_REQUEST, start=opening)
        response.headers[SESSION_HEADER] = session
        return response

    @routes.post("/api/agent-sessions/{session}/trigger")
    async def trigger(
        session: str,
        request: Request,
        idempotency_key: Annotated[str | None, Header()] = None,
        last_event_id: Annotated[str | None, Header()] = None,
    ) -> Response:
        body = await read(request, TriggerBody)
        if body.is_continuation:  # triggerName and input may stand beside it: they are those of the turn
            return await continuations.go_on(session, body.execution_id, body.tool_results or ())
        if body.trigger_name is None:
            raise Refusal(400, "triggerName is missing")
        name = _checked(body.trigger_name, "triggerName")
        key = None if idempotency_key is None else _checked(idempotency_key, "Idempotency-Key")
        if last_event_id is not None:  # it has read some of the turn that it triggered
            wanted = Wanted(session, name, body.input or {}, key, body.rollback)
            return await observers.resume(wanted, last_event_id)
        return await triggers.trigger(session, name, body.input or {}, key, rollback=body.rollback)

    @routes.post("/api/agents/{agent}/execute")
    async def execute(
        agent: str, request: Request, x_octavus_sdk_version: Annotated[str | None, Header()] = None
    ) -> Response:
        body = await read(request, ExecuteBody)
        session = await _run(starter, agent, body)
        opening, worker = Start(session), session if _knows_workers(x_octavus_sdk_version) else None
        if body.type == "start":
            return await triggers.trigger(session, CHILD_TRIGGER, {}, RUN_REQUEST, start=opening, worker=worker)
        turn = turn_id(session, RUN_REQUEST)
        return await continuations.go_on(session, turn, body.tool_results or (), start=opening, worker=worker)

    return routes


async def _run(starter: Starter, agent: str, body: ExecuteBody) -> str:
    """Return the session in which the worker runs. Its id is the execution's, too."""
    if body.type == "start":
        return await starter.run(agent, body.input or {})
    if body.execution_id is None:
        raise Refusal(400, "executionId is missing: it says which run is continued")
    return checked_session(body.execution_id)


def _knows_workers(version: str | None) -> bool:
    return version is not None and version.isdecimal() and int(version) >= WORKERS_SINCE


def _checked(value: str, what: str) -> str:
    try:
        return checked_id(value, what)
    except InvalidId as error:
        raise Refusal(400, str(error)) from error
