"""The log of a session over HTTP: read, followed, folded at any event, and as the entries of an application's log.

GET /api/agent-sessions/{session}/events?after=N&limit=M    application/x-ndjson, one event a line, as it is stored
GET /api/agent-sessions/{session}/events/stream?after=N     server-sent events; `Last-Event-ID` goes before `after`
GET /api/agent-sessions/{session}/state?at=N                the session as it stood after event N, by default now
GET /api/agent-sessions/{session}/logs                      the newest 3,000 entries, made from events

What was cleared is not shown: such a log begins with its `session.cleared`, and so does every answer here.
A page that does not reach the end of the log names the next one: `Link: <events?after=1000&limit=1000>; rel="next"`.
"""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from stenograph_services.gateway.http.admissions import expulsion_of
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.gateway.http.shapes import answer
from stenograph_services.gateway.stored.lifecycle import expired_session
from stenograph_services.gateway.stored.log_entries import ENTRIES_MAX, SessionLogs, log_entries
from stenograph_services.gateway.stored.log_pages import LogPages
from stenograph_services.gateway.stored.log_stream import LogStreams
from stenograph_services.gateway.stored.reading import Reader
from stenograph_services.gateway.stored.session_state import session_state

LARGEST = 2**53 - 1  # what every JSON reader holds exactly

Number = Annotated[int, Query(ge=0, le=LARGEST)]


def log_routes(reader: Reader, pages: LogPages, streams: LogStreams) -> APIRouter:
    """Return the routes that read logs."""
    routes = APIRouter(prefix="/api/agent-sessions/{session}")

    @routes.get("/events")
    async def events(
        session: str, after: Number = 0, limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000
    ) -> Response:
        page = await pages.page(session, after, limit)
        headers = {}
        if page.more:
            headers["Link"] = f'<events?after={page.events[-1].n}&limit={limit}>; rel="next"'
        lines = b"".join(event.data + b"\n" for event in page.events)
        return Response(lines, media_type="application/x-ndjson", headers=headers)

    @routes.get("/events/stream")
    async def stream(
        session: str, request: Request, after: Number = 0, last_event_id: Annotated[str | None, Header()] = None
    ) -> Response:
        first = after if last_event_id is None else _resumed(last_event_id)
        return await streams.response(session, first, partial(expulsion_of, request.scope))

    @routes.get("/state")
    async def state(session: str, at: Annotated[int | None, Query(ge=1, le=LARGEST)] = None) -> Response:
        return answer(session_state(*await pages.state(session, at)))

    @routes.get("/logs")
    async def logs(
        session: str, exclude_model_requests: Annotated[bool, Query(alias="excludeModelRequests")] = False
    ) -> Response:
        state, _ = await pages.state(session, None)
        if state.standing != "active":
            return answer(expired_session(state, await reader.agent_id(state)))
        events, total = await pages.newest(session, ENTRIES_MAX)
        entries = log_entries(events, model_requests=not exclude_model_requests)[-ENTRIES_MAX:]
        return answer(SessionLogs(session_id=session, entries=entries, total=total, truncated=total > len(events)))

    return routes


def _resumed(last_event_id: str) -> int:
    if not (last_event_id.isascii() and last_event_id.isdecimal() and int(last_event_id[:17]) <= LARGEST):
        raise Refusal(400, f"Last-Event-ID is the number of an event, such as 12, not {last_event_id[:80]!r}")
    return int(last_event_id[:17])
