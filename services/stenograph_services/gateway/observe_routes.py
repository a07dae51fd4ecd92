"""The route for those who watch a turn, or come back to one.

GET /api/agent-sessions/{session}/observe[?executionId=…][&lastEventId=…]    `Last-Event-ID` goes before `lastEventId`
"""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from stenograph_services.gateway.observing import Observers


def observe_routes(observers: Observers) -> APIRouter:
    """Return the route that streams a turn to any number of viewers."""
    routes = APIRouter()

    @routes.get("/api/agent-sessions/{session}/observe")
    async def observe(
        session: str,
        execution_id: Annotated[str | None, Query(alias="executionId")] = None,
        cursor: Annotated[str | None, Query(alias="lastEventId")] = None,
        last_event_id: Annotated[str | None, Header()] = None,
    ) -> Response:
        return await observers.observe(session, execution_id, cursor if last_event_id is None else last_event_id)

    return routes
