"""Stored agents: the bucket AGENTS holds each version of each agent, and which one new sessions get.

    AGENTS <tenant>.<slug>              {"id":"0193…","slug":"support-chat","version":"3f2a…","created_at":…}
    AGENTS <tenant>.<slug>.<version>    the bundle: protocol, settings, prompts, scripts

A version is the hash of its content, so storing the same folder twice makes no second version, and a compiled version
is kept for ever.
"""

import asyncio
import uuid
from datetime import UTC, datetime

import msgspec
import structlog
from nats.aio.client import Client
from nats.js.errors import BucketNotFoundError, KeyNotFoundError
from nats.js.kv import KeyValue

from stenograph_events.subjects import agent_key, agents_filter, bucket_subject
from stenograph_projections.session import Session
from stenograph_services.protocol import Agent, AgentError, Bundle, load_bundle
from stenograph_services.runtime.batches import BatchReader
from stenograph_services.runtime.errors import UnknownAgent

log = structlog.get_logger()


class AgentEntry(msgspec.Struct, frozen=True):
    """An agent's current entry. `id` stays the same over all versions: applications keep it in their settings."""

    id: str
    slug: str
    name: str
    version: str
    created_at: datetime
    updated_at: datetime
    format: str = "interactive"
    description: str | None = None


class Agents:
    """Reads and stores agents. Compiled versions stay in memory."""

    def __init__(self, nc: Client) -> None:
        self._js = nc.jetstream()
        self._batches = BatchReader(nc)
        self._bucket: KeyValue | None = None
        self._compiled: dict[tuple[str, str, str], Agent] = {}
        self._loading: dict[tuple[str, str, str], asyncio.Lock] = {}

    async def version(self, tenant: str, slug: str, version: str) -> Agent:
        """Return one version of an agent; raise `UnknownAgent` if it is not stored or can no longer be read."""
        key = (tenant, slug, version)
        if agent := self._compiled.get(key):
            return agent
        async with self._loading.setdefault(key, asyncio.Lock()):
            if key not in self._compiled:
                bundle = await self.bundle(tenant, slug, version)
                try:
                    self._compiled[key] = load_bundle(bundle)
                except AgentError as error:
                    log.error("agent.unreadable", agent=slug, version=version, error=str(error)[:500])
                    raise UnknownAgent(slug, version) from error
        return self._compiled[key]

    async def pinned(self, session: Session) -> Agent | None:
        """Return the version that `session` is pinned to, or None, said in the log, if it is not stored."""
        try:
            return await self.version(session.tenant, session.agent, session.agent_version)
        except UnknownAgent as error:
            log.error("agent.missing", error=str(error), mend="stenograph agents sync")
            return None

    async def bundle(self, tenant: str, slug: str, version: str) -> Bundle:
        """Return the stored files of one version; raise `UnknownAgent` if there are none."""
        data = await self._get(agent_key(tenant, slug, version))
        if data is None:
            raise UnknownAgent(slug, version)
        return Bundle.decode(data)

    async def current(self, tenant: str, agent: str) -> AgentEntry:
        """Return the entry of an agent by its slug or its id; raise `UnknownAgent` if there is none."""
        try:
            data = await self._get(agent_key(tenant, agent))
        except ValueError:
            data = None
        if data is not None:
            return msgspec.json.decode(data, type=AgentEntry)
        for entry in await self.list(tenant):
            if entry.id == agent:
                return entry
        raise UnknownAgent(agent)

    async def list(self, tenant: str) -> list[AgentEntry]:
        """Return every agent of `tenant`, by slug."""
        # One read for all: nats-py's `keys` fetches every key of every tenant and filters by substring.
        found = await self._batches.read_last("KV_AGENTS", [bucket_subject("AGENTS", agents_filter(tenant))])
        return [msgspec.json.decode(found[subject], type=AgentEntry) for subject in sorted(found) if found[subject]]

    async def store(self, tenant: str, bundle: Bundle) -> tuple[AgentEntry, bool]:
        """Store `bundle` as the version that new sessions get; return its entry, and whether anything changed.

        Raises `AgentError` with everything that is wrong with it: what cannot run is never stored.
        """
        agent = load_bundle(bundle)
        entry = await self._entry(tenant, agent.slug)
        if entry is not None and entry.version == agent.version:
            return entry, False
        now = datetime.now(UTC)
        changed = AgentEntry(
            id=entry.id if entry else str(uuid.uuid4()),
            slug=agent.slug,
            name=agent.name,
            version=agent.version,
            created_at=entry.created_at if entry else now,
            updated_at=now,
            description=agent.description,
        )
        bucket = await self._open()
        # The version first: an entry never names one that is not there.
        await bucket.put(agent_key(tenant, agent.slug, agent.version), bundle.encode())
        await bucket.put(agent_key(tenant, agent.slug), msgspec.json.encode(changed))
        log.info("agent.stored", agent=agent.slug, version=agent.version)
        return changed, True

    async def _entry(self, tenant: str, slug: str) -> AgentEntry | None:
        data = await self._get(agent_key(tenant, slug))
        return msgspec.json.decode(data, type=AgentEntry) if data is not None else None

    async def _get(self, key: str) -> bytes | None:
        try:
            return (await (await self._open()).get(key)).value
        except (KeyNotFoundError, BucketNotFoundError):
            return None

    async def _open(self) -> KeyValue:
        if self._bucket is None:
            self._bucket = await self._js.key_value("AGENTS")
        return self._bucket
