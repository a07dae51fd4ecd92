"""The calls of a session that wait for a person, and what that one decides.

GET  /api/agent-sessions/{session}/approvals          {"approvals":[{"call":"7e1f…","tool":"refund","digest":…,…}]}
POST /api/agent-sessions/{session}/approvals/{call}   {"decision":"grant","digest":"9f2c…"}
  →  {"call":"7e1f…","decision":"granted","digest":"9f2c…","actor":{"via":"http","credential":"3f9a1c2b7d0e"},"n":9,…}

The same decision again gives the same answer; another one is refused with 409, and changes nothing.
"""

from fastapi import APIRouter, Request, Response

from stenograph_events.values import Actor
from stenograph_services.gateway.http.bodies import DecisionBody, read
from stenograph_services.gateway.http.shapes import answer
from stenograph_services.gateway.turns.approvals import Approvals, WaitingCalls


def approval_routes(approvals: Approvals) -> APIRouter:
    """Return the routes that show and decide approvals."""
    routes = APIRouter(prefix="/api/agent-sessions/{session}/approvals")

    @routes.get("")
    async def waiting(session: str) -> Response:
        return answer(WaitingCalls(approvals=await approvals.waiting(session)))

    @routes.post("/{call}")
    async def decide(session: str, call: str, request: Request) -> Response:
        body = await read(request, DecisionBody)
        caller = request.state.caller
        actor = Actor("http", caller.key.id if caller else None, body.actor)
        return answer(await approvals.decide(session, call, body, actor))

    return routes
