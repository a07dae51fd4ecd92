"""The routes by which a session goes on, or ends.

POST   /api/agent-sessions/{session}/restore    {"messages":[…]}  → {"sessionId":"2f01…","restored":true}
DELETE /api/agent-sessions/{session}                              → {"sessionId":"2f01…","cleared":true}

Both may be sent again: a session that is active is not restored, and one that is cleared stays so. A session of which
there is no log cannot be restored: its messages do not say whose agent they are of.
"""

from fastapi import APIRouter, Request, Response

from stenograph_services.gateway.http.bodies import read
from stenograph_services.gateway.http.shapes import answer
from stenograph_services.gateway.stored.brought_back import RestoreBody
from stenograph_services.gateway.stored.lifecycle import Lifecycle


def lifecycle_routes(lifecycle: Lifecycle) -> APIRouter:
    """Return the routes that restore and clear sessions."""
    routes = APIRouter(prefix="/api/agent-sessions/{session}")

    @routes.post("/restore")
    async def restore(session: str, request: Request) -> Response:
        body = await read(request, RestoreBody)
        return answer({"sessionId": session, "restored": await lifecycle.restore(session, body.messages)})

    @routes.delete("")
    async def clear(session: str) -> Response:
        await lifecycle.clear(session)
        return answer({"sessionId": session, "cleared": True})

    return routes
