"""Reading for clients: sessions as they stand, their logs, and large results fetched from where they lie."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing
from typing import cast

import msgspec
import structlog
from msgspec import Raw
from nats.aio.client import Client

from stenograph_events import InvalidId, StoredEvent, checked_id, shard_of
from stenograph_events.frames import AnyFrame
from stenograph_events.types import ToolSucceeded
from stenograph_events.values import BlobRef
from stenograph_projections.session import Session
from stenograph_projections.transcript import ChildCall, Entry, Reply, cleared_by
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.protocol import Agent
from stenograph_services.runtime.agents import Agents
from stenograph_services.runtime.blobs import BlobMissing, Blobs
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.errors import UnknownAgent
from stenograph_services.runtime.sessions import Loaded, Sessions

log = structlog.get_logger()

_MISSING = Raw(msgspec.json.encode({"error": "the stored result is missing"}))


class Reader:
    """Reads sessions of one tenant."""

    def __init__(self, nc: Client, settings: Settings, agents: Agents, sessions: Sessions | None = None) -> None:
        self._tenant = settings.tenant
        self._agents = agents
        self._blobs = Blobs(nc)
        self.sessions = sessions or Sessions(nc, settings)

    async def session(self, session: str) -> Loaded:
        """Return the session as its log says now; raise `Refusal` if there is none, or its parent was cleared."""
        loaded = await self.sessions.get(self._tenant, checked_session(session), fresh=True)
        if loaded.folded is None:
            await self.sessions.at_head(loaded)  # a follower may not know it yet; the leader does
        if loaded.folded is None:
            raise Refusal(404, f"no session {session!r}")
        if loaded.folded.parent is not None:
            await self._check_called(loaded, loaded.folded.parent.session)
        return loaded

    async def _check_called(self, child: Loaded, session: str) -> None:
        """Raise `Refusal` if the call that `child` answers was cleared in its parent, `session`, or further up."""
        parent = await self.session(session)
        cleared = cleared_by(parent.entries)
        calls = (entry for entry in reversed(parent.entries) if isinstance(entry, ChildCall))
        if cleared and not any(entry.session == child.id and entry.n > cleared for entry in calls):
            raise Refusal(404, f"no session {child.id!r}: it was cleared with session {session}")

    async def agent(self, slug: str, version: str) -> Agent | None:
        """Return the agent that a session is pinned to, None if it can no longer be read."""
        try:
            return await self._agents.version(self._tenant, slug, version)
        except UnknownAgent:
            return None

    async def agent_id(self, session: Session) -> str:
        """Return the id that applications know the agent of `session` by: its log's, where that has one."""
        if session.agent_id is not None:
            return session.agent_id
        try:
            return await self._agents.id_of(self._tenant, session.agent)
        except UnknownAgent:
            return session.agent

    async def agent_of(self, session: str) -> str:
        """Return the id of the agent of `session`; raise `Refusal` if there is no such session."""
        folded = (await self.session(session)).folded
        assert folded is not None, "a session without a log was refused"
        return await self.agent_id(folded)

    async def whole(self, session: str, entries: Iterable[Entry], wanted: Callable[[str], bool]) -> list[Entry]:
        """Return `entries` of `session`, with the large results of the calls that are `wanted` put in their places."""
        return [
            msgspec.structs.replace(entry, value=await self._value(session, entry.ref), ref=None)
            if isinstance(entry, Reply) and entry.ref is not None and wanted(entry.call)
            else entry
            for entry in entries
        ]

    async def with_results(
        self, items: AsyncIterator[StoredEvent | AnyFrame], *, after: int = 0
    ) -> AsyncIterator[StoredEvent | AnyFrame]:
        """Yield `items`, with large results put in their places; those of events up to `after` stay where they are."""
        async with aclosing(cast("AsyncGenerator[StoredEvent | AnyFrame, None]", items)) as following:
            async for item in following:
                if isinstance(item, ToolSucceeded) and item.result_ref is not None and item.n > after:
                    result = await self._value(item.session, item.result_ref)
                    item = msgspec.structs.replace(item, result=result, result_ref=None)
                yield item

    async def _value(self, session: str, ref: BlobRef) -> Raw:
        try:
            key = await self.sessions.log.seals.known(self._tenant, session)
            return Raw((await self._blobs.get(self._tenant, [ref], key=key))[0])
        except BlobMissing as error:
            log.error("blob.missing", error=str(error))
            return _MISSING


def checked_session(session: str) -> str:
    """Return `session` if it can be the id of one; raise `Refusal` otherwise."""
    try:
        shard_of(checked_id(session, "session"))
    except InvalidId as error:
        raise Refusal(404, f"{session[:80]!r} is not a session id") from error
    return session
