"""The calls of a session that began and never answered, and what a person says came of them.

GET  /api/agent-sessions/{session}/resolutions          {"resolutions":[{"call":"7e1f…","tool":"pay","attempt":1,…}]}
POST /api/agent-sessions/{session}/resolutions/{call}   {"outcome":"failed","error":"No such payment was made."}
  →  {"call":"7e1f…","outcome":"failed","error":"…","actor":{"via":"http","credential":"3f9a1c2b7d0e"},"n":9,…}

The same word again gives the same answer; another one is refused with 409, and changes nothing.
"""

from fastapi import APIRouter, Request, Response

from stenograph_events.values import Actor
from stenograph_services.gateway.http.bodies import ResolutionBody, read
from stenograph_services.gateway.http.shapes import answer
from stenograph_services.gateway.turns.resolutions import Resolutions, UnresolvedCalls


def resolution_routes(resolutions: Resolutions) -> APIRouter:
    """Return the routes that show and resolve unknown outcomes."""
    routes = APIRouter(prefix="/api/agent-sessions/{session}/resolutions")

    @routes.get("")
    async def unresolved(session: str) -> Response:
        return answer(UnresolvedCalls(resolutions=await resolutions.waiting(session)))

    @routes.post("/{call}")
    async def resolve(session: str, call: str, request: Request) -> Response:
        body = await read(request, ResolutionBody)
        caller = request.state.caller
        actor = Actor("http", caller.key.id if caller else None, body.actor)
        return answer(await resolutions.resolve(session, call, body, actor))

    return routes
