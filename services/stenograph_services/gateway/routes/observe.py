"""The route for those who watch a turn, or come back to one.

GET /api/agent-sessions/{session}/observe[?executionId=…][&lastEventId=…]    `Last-Event-ID` goes before `lastEventId`
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Response

from stenograph_services.gateway.turns.observing import Observers
from stenograph_services.gateway.wire.extras import asked_extras
from stenograph_services.gateway.wire.versions import AskedWire


def observe_routes(observers: Observers) -> APIRouter:
    """Return the route that streams a turn to any number of viewers."""
    routes = APIRouter(dependencies=[Depends(asked_extras)])

    @routes.get("/api/agent-sessions/{session}/observe")
    async def observe(
        session: str,
        wire: AskedWire,
        execution_id: Annotated[str | None, Query(alias="executionId")] = None,
        cursor: Annotated[str | None, Query(alias="lastEventId")] = None,
        last_event_id: Annotated[str | None, Header()] = None,
    ) -> Response:
        last = cursor if last_event_id is None else last_event_id
        told = await observers.observe(session, execution_id, last, wire)
        return told.told_in(wire)

    return routes
