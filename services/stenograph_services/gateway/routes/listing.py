"""Finding sessions: the list and the search, from the index that the projector keeps.

GET /api/agent-sessions?agent=support-chat&status=waiting&text=plan&limit=2

    {"sessions":[{"sessionId":"2f01…","agent":"support-chat","status":"waiting","turns":3,"events":41,
                  "title":"What plan am I on?","createdAt":"…","updatedAt":"…",…}],
     "cursor":"1795341600120000-2f01…"}

The last touched come first. `cursor` goes back as a parameter for the next page; the last page has none. The index
follows the log: a session is in it within a second or so.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, TypeVar

import structlog
from fastapi import APIRouter, Query, Request, Response

from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.gateway.http.sentences import unknown_parameters
from stenograph_services.gateway.http.shapes import Shape, answer, iso
from stenograph_services.runtime.agents import Agents
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.errors import StenographError, UnknownAgent
from stenograph_services.runtime.index import IndexFailed, InvalidCursor, Page, SessionIndex, SessionRow, Status

log = structlog.get_logger()

T = TypeVar("T")

_PARAMETERS = ("agent", "status", "text", "updatedAfter", "updatedBefore", "children", "limit", "cursor")
# No control characters: PostgreSQL takes no NUL in a text, and nothing that a person searches for has one.
_TEXT = r"^[^\x00-\x1f]*$"


class ListedSession(Shape, frozen=True, kw_only=True):
    """A session as lists show it."""

    session_id: str
    agent: str
    agent_version: str
    status: Status
    turns: int
    events: int
    input_tokens: int
    output_tokens: int
    created_at: str
    updated_at: str
    title: str | None = None
    """The beginning of the first message that the user sees of his own."""
    outcome: str | None = None
    """How the last finished turn ended."""
    problem: str | None = None
    """Why the session is broken."""
    parent: str | None = None
    """The session whose call it answers, if it is a child agent's."""


class SessionList(Shape, frozen=True, kw_only=True):
    sessions: list[ListedSession]
    cursor: str | None = None


class Listing:
    """The index of sessions as the gateway reads it; it connects when somebody asks for the first time."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.index_url()
        self._index: SessionIndex | None = None
        self._opening = asyncio.Lock()

    async def ask(self, question: Callable[[SessionIndex], T]) -> T:
        """Return what `question` makes of the index, in a thread; raise `Refusal` if there is no index now."""
        try:
            return await asyncio.to_thread(question, await self._opened())
        except (IndexFailed, StenographError) as error:
            log.error("index.unavailable", error=str(error).splitlines()[0], mend="see STENOGRAPH_DATABASE_URL")
            raise Refusal(503, "the session index cannot be reached now; try again") from error

    async def close(self) -> None:
        index, self._index = self._index, None
        if index is not None:
            await asyncio.to_thread(index.close)

    async def _opened(self) -> SessionIndex:
        async with self._opening:
            if self._index is None:
                self._index = await asyncio.to_thread(SessionIndex, self._url)
            return self._index


def listing_routes(tenant: str, listing: Listing, agents: Agents) -> APIRouter:
    """Return the route that lists and searches sessions."""
    routes = APIRouter(prefix="/api/agent-sessions")

    @routes.get("")
    async def list_sessions(
        request: Request,
        agent: Annotated[str | None, Query(max_length=200, pattern=_TEXT)] = None,
        status: Annotated[Status | None, Query()] = None,
        text: Annotated[str | None, Query(max_length=200, pattern=_TEXT)] = None,
        updated_after: Annotated[datetime | None, Query(alias="updatedAfter")] = None,
        updated_before: Annotated[datetime | None, Query(alias="updatedBefore")] = None,
        children: Annotated[bool, Query()] = False,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        cursor: Annotated[str | None, Query(max_length=100, pattern=_TEXT)] = None,
    ) -> Response:
        if unknown := unknown_parameters(request.query_params, _PARAMETERS):
            raise Refusal(400, unknown)
        slug = None if agent is None else await _slug(tenant, agents, agent)
        after, before = _utc(updated_after, "updatedAfter"), _utc(updated_before, "updatedBefore")

        def found(index: SessionIndex) -> Page:
            return index.list(
                tenant,
                agent=slug,
                status=status,
                text=text,
                updated_after=after,
                updated_before=before,
                children=children,
                limit=limit,
                cursor=cursor,
            )

        try:
            page = await listing.ask(found)
        except InvalidCursor as error:
            raise Refusal(400, str(error)) from error
        return answer(SessionList(sessions=[_listed(row) for row in page.rows], cursor=page.cursor))

    return routes


async def _slug(tenant: str, agents: Agents, agent: str) -> str:
    """Return the slug of an agent given by slug or id; one that is gone may still have sessions under its slug."""
    try:
        return (await agents.current(tenant, agent)).slug
    except UnknownAgent:
        return agent


def _utc(at: datetime | None, what: str) -> datetime | None:
    """Return `at` in UTC, which it is in if it does not say; raise `Refusal` for one that has no place there."""
    try:
        return at if at is None else at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
    except OverflowError as error:
        raise Refusal(400, f"{what}: there is no such time in UTC") from error


def _listed(row: SessionRow) -> ListedSession:
    return ListedSession(
        session_id=row.session,
        agent=row.agent,
        agent_version=row.agent_version,
        status=row.status,
        turns=row.turns,
        events=row.events,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        created_at=iso(row.created_at),
        updated_at=iso(row.updated_at),
        title=row.title,
        outcome=row.outcome,
        problem=row.problem,
        parent=row.parent,
    )
