"""Ephemeral tokens over HTTP.

POST /api/tokens         {"agentId":"support-chat","sessionId":"2f01…","ttlSeconds":600}
                         {"token":"oct_et_…","jti":"8c1f…","expiresAt":"2026-11-22T11:00:00.000Z"}
POST /api/tokens/revoke  {"token":"oct_et_…"}
                         {"revoked":true,"jti":"8c1f…"}
"""

from datetime import timedelta

import structlog
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from pydantic.alias_generators import to_camel

from stenograph_services.gateway.http.bodies import read
from stenograph_services.gateway.http.permissions import Caller, Grants, missing_scope
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.gateway.http.shapes import Shape, answer, iso
from stenograph_services.gateway.http.tokens import DEFAULT_TTL, MAX_TTL, Tokens
from stenograph_services.runtime.agents import Agents

log = structlog.get_logger()


class MintBody(BaseModel, extra="ignore", frozen=True, alias_generator=to_camel):
    """A token for an agent, named by slug or id, and perhaps only for one of its sessions."""

    agent_id: str = Field(min_length=1)
    session_id: str | None = Field(None, min_length=1)
    ttl_seconds: int = Field(int(DEFAULT_TTL.total_seconds()), ge=1, le=int(MAX_TTL.total_seconds()))


class RevokeBody(BaseModel, extra="ignore", frozen=True):
    """The token that is to open nothing any more."""

    token: str = Field(min_length=1)


class Minted(Shape, frozen=True, kw_only=True):
    token: str
    jti: str
    expires_at: str


class Revoked(Shape, frozen=True, kw_only=True, omit_defaults=False):
    revoked: bool


class RevokedToken(Revoked, frozen=True, kw_only=True):
    jti: str


def token_routes(tenant: str, tokens: Tokens, agents: Agents, grants: Grants) -> APIRouter:
    """Return the routes that make and revoke tokens."""
    routes = APIRouter(prefix="/api/tokens")

    @routes.post("")
    async def mint(request: Request) -> Response:
        caller = _minter(request)
        body = await read(request, MintBody)
        agent = (await agents.current(tenant, body.agent_id)).id
        if body.session_id is not None and await grants.agent_of(body.session_id) != agent:
            raise Refusal(400, f"session {body.session_id} is not one of agent {body.agent_id}")
        token, claims = tokens.mint(caller.key, agent, body.session_id, timedelta(seconds=body.ttl_seconds))
        log.info("token.minted", jti=claims.jti, agent=agent, session=body.session_id, ttl_seconds=body.ttl_seconds)
        return answer(Minted(token=token, jti=claims.jti, expires_at=iso(claims.expires_at)), 201)

    @routes.post("/revoke")
    async def revoke(request: Request) -> Response:
        body = await read(request, RevokeBody)
        jti = await tokens.revoke(body.token)
        if jti is None:
            return answer(Revoked(revoked=False))
        log.info("token.revoked", jti=jti)
        return answer(RevokedToken(revoked=True, jti=jti))

    return routes


def _minter(request: Request) -> Caller:
    """Return who makes a token; raise `Refusal` if it could do more than its maker."""
    caller: Caller | None = request.state.caller
    if caller is None:
        mend = "set STENOGRAPH_API_KEY, or make one with `stenograph keys create`"
        raise Refusal(403, f"a token is made with a key, and there is none here: {mend}")
    if "sessions" not in caller.key.scopes:
        raise missing_scope(caller.key, ("sessions",))
    return caller
