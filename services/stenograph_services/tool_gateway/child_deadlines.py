"""Until when a child agent may take to answer a call: whoever is asked in its session has a time of their own.

    nobody was asked          the call's deadline
    a person is asked         the end of that person's time, and then all of the call's time again
    a person has spoken       that moment, and then all of the call's time again

What happens below a child, in those that it runs itself, counts like what happens in its own session. The logs alone
say it, so a deadline is looked at when it fires; where a decision brings it nearer, it is set anew as soon as that is
heard of.
"""

from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import NamedTuple

from stenograph_events import ApprovalDecision, SessionId, StoredEvent, ToolOutcome
from stenograph_events.subjects import CallSubject, child_requests
from stenograph_events.types import ApprovalRequested, ResolutionRequested, ToolRequested
from stenograph_projections.session import PendingCall
from stenograph_services.runtime.errors import StorageUnavailable
from stenograph_services.runtime.eventlog import EventLog
from stenograph_services.tool_gateway.recording import Records


class Moved(NamedTuple):
    """A call that the child agent in session `child` has to answer, and until when."""

    where: CallSubject
    child: SessionId
    at: datetime


class ChildDeadlines:
    """Knows until when child agents may take, on the word of those who lead the streams of their logs."""

    def __init__(self, log: EventLog, records: Records) -> None:
        self._log = log
        self._records = records

    async def of(self, where: CallSubject) -> Moved | None:
        """Return until when the call may take; None if none waits there for a child agent."""
        call = await self._records.open_call(where)
        if call is None or call.child is None or call.deadline_at is None:
            return None
        waited = await self._last_wait(where.tenant, call.child)
        if waited is None:
            return Moved(where, call.child, call.deadline_at)
        time = call.deadline_at - await self._asked_at(where, call)
        return Moved(where, call.child, max(call.deadline_at, waited + time))

    async def above(self, where: CallSubject) -> AsyncIterator[Moved]:
        """Yield the deadlines of the calls that wait for the session of `where`, the nearest first."""
        while (parent := (await self._records.newest(where)).state.parent) is not None:
            where = CallSubject(where.tenant, parent.session, parent.call, parent.attempt)
            if (moved := await self.of(where)) is not None:
                yield moved

    async def _last_wait(self, tenant: str, session: str) -> datetime | None:
        events = await self._events(tenant, session)
        waits = [last_wait(events)]
        waits += [await self._last_wait(tenant, child) for child in children_in(events)]
        return max((wait for wait in waits if wait is not None), default=None)

    async def _events(self, tenant: str, session: str) -> list[StoredEvent]:
        """Return the log of a session, none if there is no session yet; raise `StorageUnavailable` for a part of it."""
        last = await self._log.leader_sequence(tenant, session)
        stored = await self._log.read(tenant, session) if last else []
        if last and (not stored or stored[-1].sequence < last):
            raise StorageUnavailable(f"the log of session {session} was read from a replica that lags")
        return [one.event for one in stored]

    async def _asked_at(self, where: CallSubject, call: PendingCall) -> datetime:
        subject = child_requests(where.tenant, where.session, call.served_as)
        async for stored in self._log.on(where.tenant, where.session, subject):
            if isinstance(stored.event, ToolRequested) and stored.event.call == where.call:
                return stored.event.at
        raise StorageUnavailable(f"the request of call {where.call} was read from a replica that lags")


def last_wait(events: Iterable[StoredEvent]) -> datetime | None:
    """Return when the last wait for a person ends, or ended; None if nobody was asked."""
    waits: dict[str, datetime] = {}
    ended: datetime | None = None
    for event in events:
        if isinstance(event, ApprovalRequested | ResolutionRequested):
            waits[event.call] = event.deadline_at
        elif isinstance(event, ApprovalDecision | ToolOutcome) and event.call in waits:
            del waits[event.call]
            ended = event.at
    return max(waits.values(), default=ended)


def children_in(events: Iterable[StoredEvent]) -> list[SessionId]:
    """Return the sessions of the child agents that were asked for."""
    return [event.child.session for event in events if isinstance(event, ToolRequested) and event.child is not None]
