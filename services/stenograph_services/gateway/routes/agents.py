"""The routes of agents.

GET  /api/agents              GET    /api/agents/{agent}[?by=slug]
POST /api/agents              PATCH  /api/agents/{agent}[?by=slug]
POST /api/agents/validate     DELETE /api/agents/{agent}[?by=slug]

`{agent}` is an id or a slug; with `by=slug`, which the command line sends, a slug and nothing else.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from stenograph_services.gateway.http.bodies import read
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.gateway.http.shapes import answer
from stenograph_services.gateway.stored.agent_bodies import AnyObject, Given, bundle_of, changed
from stenograph_services.gateway.stored.agents import AgentChanged, AgentList, agent_detail, agent_item, verdict
from stenograph_services.protocol import AgentError, Bundle
from stenograph_services.protocol.compile import check_bundle
from stenograph_services.runtime.agents import AgentEntry, Agents
from stenograph_services.runtime.errors import UnknownAgent

By = Annotated[Literal["slug"] | None, Query()]


def agent_routes(tenant: str, agents: Agents) -> APIRouter:
    """Return the routes that read and store agents."""
    routes = APIRouter(prefix="/api/agents")

    @routes.get("")
    async def list_agents() -> Response:
        return answer(AgentList(agents=[agent_item(entry, tenant) for entry in await agents.list(tenant)]))

    @routes.get("/{agent}")
    async def get_agent(agent: str, by: By = None) -> Response:
        entry = await agents.find(tenant, agent, by)
        return answer(agent_detail(entry, await agents.bundle(tenant, entry.slug, entry.version)))

    @routes.post("/validate")
    async def validate(request: Request) -> Response:
        given = await read(request, AnyObject)
        try:
            files = await _as_stored(agents, tenant, given.root)
            _, problems = await asyncio.to_thread(check_bundle, files)
        except AgentError as error:
            problems = error.problems
        return answer(verdict(problems))

    @routes.post("")
    async def create(request: Request) -> Response:
        given = await read(request, AnyObject)
        with _refused():
            entry = await agents.create(tenant, bundle_of(given.root))
        return answer(_told(entry, "is created"), 201)

    @routes.patch("/{agent}")
    async def change(agent: str, request: Request, by: By = None) -> Response:
        given = await read(request, AnyObject)
        slug = (await agents.find(tenant, agent, by)).slug
        with _refused():
            entry, new = await agents.update(tenant, slug, lambda files: changed(files, given.root))
        return answer(_told(entry, "is updated" if new else "is unchanged"))

    @routes.delete("/{agent}")
    async def archive(agent: str, by: By = None) -> Response:
        slug = (await agents.find(tenant, agent, by, archived=True)).slug
        entry, now = await agents.archive(tenant, slug)
        return answer(_told(entry, "is archived" if now else "was archived before"))

    return routes


async def _as_stored(agents: Agents, tenant: str, given: Given) -> Bundle:
    """Return the files that storing `given` would come to: of an agent that is there, what it does not send stays."""
    files = bundle_of(given)
    try:
        there = await agents.find(tenant, files.slug, "slug")
    except UnknownAgent:
        return files
    return changed(await agents.bundle(tenant, there.slug, there.version), given)


def _told(entry: AgentEntry, how: str) -> AgentChanged:
    return AgentChanged(agent_id=entry.id, message=f"agent {entry.slug!r} {how}")


@contextmanager
def _refused() -> Iterator[None]:
    """Turn an agent that cannot be stored into a refusal that names everything that is wrong with it."""
    try:
        yield
    except AgentError as error:
        raise Refusal(400, str(error)) from error
