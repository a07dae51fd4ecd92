"""Agents as clients read them.

GET /api/agents           {"agents":[{"slug":"support-chat","id":"0193…","name":"Support Chat","description":null,…}]}
GET /api/agents/{agent}   {"id":"0193…","settings":{"slug":"support-chat",…},"protocol":"…","prompts":[…]}
"""

from stenograph_services.gateway.shapes import Shape, iso
from stenograph_services.protocol import Bundle
from stenograph_services.runtime.agents import AgentEntry


class AgentItem(Shape, frozen=True, kw_only=True, omit_defaults=False):
    """An agent in the list. A description that is missing is null here, and only here."""

    slug: str
    id: str
    name: str
    description: str | None
    format: str
    created_at: str
    updated_at: str
    project_id: str


class AgentList(Shape, frozen=True, kw_only=True):
    agents: list[AgentItem]


class AgentSettings(Shape, frozen=True, kw_only=True):
    slug: str
    name: str
    format: str
    description: str | None = None


class AgentPrompt(Shape, frozen=True, kw_only=True):
    name: str
    content: str


class AgentDetail(Shape, frozen=True, kw_only=True):
    id: str
    settings: AgentSettings
    protocol: str
    prompts: list[AgentPrompt]


def agent_item(entry: AgentEntry, tenant: str) -> AgentItem:
    return AgentItem(
        slug=entry.slug,
        id=entry.id,
        name=entry.name,
        description=entry.description,
        format=entry.format,
        created_at=iso(entry.created_at),
        updated_at=iso(entry.updated_at),
        project_id=tenant,
    )


def agent_detail(entry: AgentEntry, bundle: Bundle) -> AgentDetail:
    return AgentDetail(
        id=entry.id,
        settings=AgentSettings(
            slug=entry.slug, name=entry.name, format=entry.format, description=entry.description or None
        ),
        protocol=bundle.protocol,
        prompts=[AgentPrompt(name=name, content=content) for name, content in sorted(bundle.prompts.items())],
    )
