"""Stored agents: the bucket AGENTS holds each version of each agent, and which one new sessions get.

    AGENTS <tenant>.<slug>              {"id":"0193…","slug":"support-chat","version":"3f2a…","created_at":…}
    AGENTS <tenant>.<slug>.<version>    the bundle: protocol, settings, prompts, scripts

A version is the hash of its content, so storing the same folder twice makes no second version, and a compiled version
is kept for ever: a session goes on with its own after its agent has changed, and after it was archived.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Literal

import msgspec
import structlog
from nats.aio.client import Client
from nats.js.errors import BucketNotFoundError, KeyNotFoundError
from nats.js.kv import KeyValue

from stenograph_events.subjects import agent_key
from stenograph_projections.session import Session
from stenograph_services.protocol import Agent, AgentError, Bundle, load_bundle
from stenograph_services.runtime.agent_entries import BUCKET, AgentEntries, AgentEntry
from stenograph_services.runtime.errors import AgentExists, UnknownAgent

__all__ = ["AgentEntry", "Agents"]

log = structlog.get_logger()


class Agents:
    """Reads and stores agents. Compiled versions stay in memory."""

    def __init__(self, nc: Client) -> None:
        self._js = nc.jetstream()
        self._entries = AgentEntries(nc)
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
        return await self.find(tenant, agent)

    async def find(
        self, tenant: str, agent: str, by: Literal["slug"] | None = None, *, archived: bool = False
    ) -> AgentEntry:
        """Return the entry of an agent by its slug, or, unless `by` says so, its id; `archived`: also one that is gone.

        Raises `UnknownAgent`.
        """
        entry = await self._entry(tenant, agent)
        if entry is None and by is None:
            entry = next((one for one in await self._entries.all(tenant) if one.id == agent), None)
        if entry is None or (entry.archived_at and not archived):
            raise UnknownAgent(agent)
        return entry

    async def id_of(self, tenant: str, slug: str) -> str:
        """Return the id that applications know an agent by, an archived one too; raise `UnknownAgent`."""
        entry = await self._entry(tenant, slug)
        if entry is None:
            raise UnknownAgent(slug)
        return entry.id

    async def list(self, tenant: str, *, archived: bool = False) -> list[AgentEntry]:
        """Return every agent of `tenant`, by slug; `archived`: also those that are gone."""
        return [entry for entry in await self._entries.all(tenant) if archived or not entry.archived_at]

    async def store(self, tenant: str, bundle: Bundle) -> tuple[AgentEntry, bool]:
        """Store `bundle` as the version that new sessions get; return its entry, and whether anything changed.

        Raises `AgentError` with everything that is wrong with it: what cannot run is never stored.
        """
        agent = await asyncio.to_thread(load_bundle, bundle)

        async def given(_: AgentEntry | None) -> Bundle:
            return bundle

        return await self._change(tenant, agent.slug, given)

    async def create(self, tenant: str, bundle: Bundle) -> AgentEntry:
        """Store `bundle` as a new agent; raise `AgentExists` if its slug is taken, and `AgentError`."""
        agent = await asyncio.to_thread(load_bundle, bundle)

        async def if_free(there: AgentEntry | None) -> Bundle:
            if there is not None:
                raise AgentExists(agent.slug)
            return bundle

        return (await self._change(tenant, agent.slug, if_free))[0]

    async def update(self, tenant: str, slug: str, change: Callable[[Bundle], Bundle]) -> tuple[AgentEntry, bool]:
        """Store what `change` makes of an agent's files; return its entry, and whether anything changed.

        `change` is called again if somebody else changed the agent meanwhile. Raises `UnknownAgent` and `AgentError`.
        """

        async def changed(there: AgentEntry | None) -> Bundle:
            if there is None:
                raise UnknownAgent(slug)
            return change(await self.bundle(tenant, slug, there.version))

        return await self._change(tenant, slug, changed)

    async def archive(self, tenant: str, slug: str) -> tuple[AgentEntry, bool]:
        """Take an agent from new sessions and free its slug; return its entry, and whether it was there until now.

        Sessions go on with the version that they have. Raises `UnknownAgent` if there never was one.
        """
        while True:
            entry, sequence = await self._entries.newest(tenant, slug)
            if entry is None:
                raise UnknownAgent(slug)
            if entry.archived_at:
                return entry, False
            gone = msgspec.structs.replace(entry, archived_at=datetime.now(UTC))
            if await self._entries.replace(tenant, gone, sequence):
                log.info("agent.archived", agent=slug)
                return gone, True

    async def _change(
        self, tenant: str, slug: str, files: Callable[[AgentEntry | None], Awaitable[Bundle]]
    ) -> tuple[AgentEntry, bool]:
        """Store the files that follow from the agent as it stands; look again if somebody else was first."""
        while True:
            stored, sequence = await self._entries.newest(tenant, slug)
            there = None if stored is None or stored.archived_at else stored
            bundle = await files(there)
            agent = await asyncio.to_thread(load_bundle, bundle)
            if there is not None and there.version == agent.version:
                return there, False
            # The version first: an entry never names one that is not there.
            await (await self._open()).put(agent_key(tenant, slug, agent.version), bundle.encode())
            after = _successor(there, agent)
            if await self._entries.replace(tenant, after, sequence):
                log.info("agent.stored", agent=slug, version=agent.version)
                return after, True

    async def _entry(self, tenant: str, slug: str) -> AgentEntry | None:
        try:
            data = await self._get(agent_key(tenant, slug))
        except ValueError:  # it is no slug
            return None
        return msgspec.json.decode(data, type=AgentEntry) if data is not None else None

    async def _get(self, key: str) -> bytes | None:
        try:
            return (await (await self._open()).get(key)).value
        except (KeyNotFoundError, BucketNotFoundError):
            return None

    async def _open(self) -> KeyValue:
        if self._bucket is None:
            self._bucket = await self._js.key_value(BUCKET)
        return self._bucket


def _successor(there: AgentEntry | None, agent: Agent) -> AgentEntry:
    now = datetime.now(UTC)
    return AgentEntry(
        id=there.id if there else str(uuid.uuid4()),
        slug=agent.slug,
        name=agent.name,
        version=agent.version,
        created_at=there.created_at if there else now,
        updated_at=now,
        format=agent.format,
        description=agent.description,
    )
