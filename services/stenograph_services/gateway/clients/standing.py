"""Whose a session is: of which agent, and whether the one who asks may have to do with it."""

from collections import OrderedDict

from stenograph_events.subjects import ClientSubject
from stenograph_events.types import SessionCreated
from stenograph_services.gateway.clients.asking import Denied
from stenograph_services.runtime.eventlog import EventLog

KEPT = 50_000  # sessions whose agent is remembered; it never changes


class Standing:
    """Knows the agents of sessions."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._agents: OrderedDict[tuple[str, str], str] = OrderedDict()

    async def check(self, where: ClientSubject) -> None:
        """Raise `Denied` unless the tenant has the session, and it is of the agent that the credential is for.

        Both are told in the same words: nobody learns which sessions there are of other agents.
        """
        agent = await self._agent(where.tenant, where.session)
        if agent is None:
            raise _no_session(where, "the tenant has no such session")
        if where.agent is not None and agent != where.agent:
            raise _no_session(where, f"it is a session of agent {agent}")

    async def _agent(self, tenant: str, session: str) -> str | None:
        if (known := self._agents.get((tenant, session))) is not None:
            self._agents.move_to_end((tenant, session))
            return known
        first = await self._log.next_event(tenant, session, 0)
        event = (await self._log.opened(first)).event if first else None
        if not isinstance(event, SessionCreated):
            return None
        self._agents[tenant, session] = event.agent
        if len(self._agents) > KEPT:
            self._agents.popitem(last=False)
        return event.agent


def _no_session(where: ClientSubject, why: str) -> Denied:
    return Denied(404, f"no session {where.session!r}", why)
