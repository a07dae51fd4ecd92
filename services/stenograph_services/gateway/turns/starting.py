"""Starting: a session and its first turn in one request, made once however often the request comes."""

import uuid
from typing import Any

from stenograph_events import SHARDS, SessionId, derived_id
from stenograph_services.gateway.http.bodies import StartBody
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.gateway.stored.creating import Creator
from stenograph_services.gateway.stored.reading import Reader
from stenograph_services.protocol.agent import CHILD_TRIGGER
from stenograph_services.runtime.agents import Agents
from stenograph_services.runtime.errors import SequenceConflict

FIRST_REQUEST = "start"  # the request id of the turn that a session is made for: there is one such turn
RUN_REQUEST = "run"  # and of the only turn that an agent of format worker takes


def keyed_session_id(tenant: str, key: str) -> SessionId:
    """Return the id of the session that `key`, of a client's own choice, stands for."""
    derived = uuid.UUID(derived_id(f"{tenant}/{key}", "session"))
    return SessionId(SHARDS[derived.int % len(SHARDS)] + derived.hex)


class Starter:
    """Makes the sessions that are made for a turn."""

    def __init__(self, tenant: str, creator: Creator, reader: Reader, agents: Agents) -> None:
        self._tenant = tenant
        self._creator = creator
        self._reader = reader
        self._agents = agents

    async def keyed(self, body: StartBody) -> SessionId:
        """Return the session that the key of `body` stands for, made now if it is not there.

        Raises `Refusal` if it is a session of another agent, or of another input, and what `Creator.create` raises.
        """
        session = keyed_session_id(self._tenant, body.idempotency_key)
        if not await self._is_there(session, body):
            try:
                await self._creator.create(self._tenant, body.agent_id, body.input or {}, session=session)
            except SequenceConflict:  # the same request came twice at once
                await self._is_there(session, body)
        return session

    async def run(self, agent: str, input: dict[str, Any]) -> SessionId:
        """Return a new session in which `agent`, of format worker, may run.

        Raises `Refusal` if it is of another format, and what `Creator.create` raises.
        """
        entry = await self._agents.current(self._tenant, agent)
        declared = await self._agents.version(self._tenant, entry.slug, entry.version)
        if CHILD_TRIGGER not in declared.handlers or declared.format != "worker":
            raise Refusal(400, f"agent {agent!r} is no worker: create a session of it and trigger that")
        return SessionId((await self._creator.create(self._tenant, entry.slug, input)).session)

    async def running(self, agent: str, session: str) -> SessionId:
        """Return `session`, in which a run of `agent` goes on; raise `Refusal` if it is none of that agent's."""
        state = (await self._reader.session(session)).state
        if agent not in (state.agent, await self._reader.agent_id(state)):
            raise Refusal(404, f"agent {agent!r} has no execution {session!r}: that is of agent {state.agent!r}")
        return SessionId(session)

    async def _is_there(self, session: SessionId, body: StartBody) -> bool:
        loaded = await self._reader.sessions.get(self._tenant, session, fresh=True)
        made = loaded.folded
        if made is None:
            return False
        stands = f"this idempotencyKey stands for session {session}, which"
        if body.agent_id not in (made.agent, await self._reader.agent_id(made)):
            raise Refusal(400, f"{stands} is of agent {made.agent!r}")
        if not await self._creator.has_input(self._tenant, made, body.input or {}):
            raise Refusal(400, f"{stands} was made with another input")
        return True
