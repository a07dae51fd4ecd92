"""Who may what: the scopes that a route needs of a key, and what an ephemeral token opens of it.

    read agents                     agents or sessions    no token: prompts are not for whoever holds one
    validate, store, archive them   agents                no token
    sessions, files, workers        sessions              a token, for its agent or its session
    approvals, resolutions: read    sessions or approve   a token, for its agent or its session
    approvals, resolutions: decide  approve               no token: who holds one may be whom the model talks to
    tokens                          mint                  no token

Both are read off the path of a request, so that a route that somebody adds is closed to tokens until it stands here.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import msgspec
from fastapi import Request

from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.runtime.agents import Agents
from stenograph_services.runtime.keys import ApiKey, Scope


class Grant(msgspec.Struct, frozen=True):
    """What an ephemeral token is for: an agent, named by its id, and perhaps only one of its sessions."""

    jti: str
    agent: str
    session: str | None = None


class Caller(msgspec.Struct, frozen=True):
    """Whoever asks: the owner of a key, or with a `grant` the holder of a token that was made with it.

    A token opens nothing after `until`.
    """

    key: ApiKey
    grant: Grant | None = None
    until: datetime | None = None


def scopes_for(method: str, path: str) -> tuple[Scope, ...]:
    """Return the scopes of which a key needs one to ask `method` of `path`."""
    match path.split("/")[1:]:
        case ["api", "agents", _, "execute"]:
            return ("sessions",)
        case ["api", "agents", *_]:
            return ("agents", "sessions") if method in ("GET", "HEAD") else ("agents",)
        case ["api", "agent-sessions", _, "approvals" | "resolutions", *_]:
            return ("approve", "sessions") if method in ("GET", "HEAD") else ("approve",)
        case ["api", "tokens", *_]:
            return ("mint",)
    return ("sessions",)


def check_scopes(key: ApiKey, request: Request) -> None:
    """Raise `Refusal` if `key` has none of the scopes that the route needs."""
    needed = scopes_for(request.method, request.scope["path"])
    if not set(needed) & set(key.scopes):
        raise missing_scope(key, needed)


def missing_scope(key: ApiKey, needed: tuple[Scope, ...]) -> Refusal:
    """Return the refusal that names the scope that `key` lacks."""
    return Refusal(403, f"this needs a key with the scope {' or '.join(needed)}; this one has {', '.join(key.scopes)}")


class Grants:
    """Holds tokens to what they are for. A route that is not known here is closed to them."""

    def __init__(self, tenant: str, agents: Agents, agent_of: Callable[[str], Awaitable[str]]) -> None:
        """`agent_of` returns the id of a session's agent; it raises `Refusal` if there is no such session."""
        self._tenant = tenant
        self._agents = agents
        self.agent_of = agent_of

    async def check(self, grant: Grant, request: Request) -> None:
        """Raise `Refusal` unless `request` is about the session of `grant`, or one of its agent's."""
        match [request.method, *request.scope["path"].split("/")[1:]]:
            case ["POST", "api", "agent-sessions"] | ["POST", "api", "agent-sessions", "start"]:
                await self._check_making(grant, (await _body(request)).get("agentId"))
            case ["POST", "api", "agents", agent, "execute"]:
                await self._check_making(grant, agent)
                if (run := (await _body(request)).get("executionId")) is not None:
                    await self._check_session(grant, run)
            case ["POST", "api", "files", "upload-urls"]:
                await self._check_session(grant, (await _body(request)).get("sessionId"))
            case ["POST", "api", "agent-sessions", _, "approvals" | "resolutions", *_]:
                raise Refusal(
                    403, "an ephemeral token decides nothing about calls; use an API key with the scope approve"
                )
            case [_, "api", "agent-sessions", session, *_]:
                await self._check_session(grant, session)
            case _:
                raise Refusal(403, "an ephemeral token does not open this; use an API key")

    async def _check_making(self, grant: Grant, agent: object) -> None:
        if grant.session is not None:
            raise Refusal(403, f"this token is for session {grant.session} alone, and makes no others")
        if (await self._agents.current(self._tenant, _named(agent, "agentId"))).id != grant.agent:
            raise Refusal(403, f"this token is for agent {grant.agent} alone")

    async def _check_session(self, grant: Grant, session: object) -> None:
        if grant.session is not None:
            if session != grant.session:
                raise Refusal(403, f"this token is for session {grant.session} alone")
        elif await self.agent_of(_named(session, "sessionId")) != grant.agent:
            raise Refusal(403, f"this token is for sessions of agent {grant.agent} alone")


async def _body(request: Request) -> dict[str, Any]:
    """Return the JSON body of `request`, as the route will read it from the same bytes."""
    try:
        return msgspec.json.decode(await request.body(), type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, f"the body is not a JSON object: {error}") from error


def _named(value: object, field: str) -> str:
    if not isinstance(value, str) or not value:
        raise Refusal(400, f"{field}: this has to name what the request is about")
    return value
