"""Recording: the sessions that answers, deadlines and child agents are about, and the one event that each becomes."""

from collections.abc import Awaitable, Callable

import structlog

from stenograph_events import AnyEvent
from stenograph_events.subjects import CallSubject
from stenograph_events.types import ToolAnswerRejected
from stenograph_projections.session import PendingCall, Session
from stenograph_services.runtime.errors import SequenceConflict, StorageUnavailable
from stenograph_services.runtime.sessions import Loaded, Sessions
from stenograph_services.tool_gateway import decide

log = structlog.get_logger()

Decide = Callable[[Session], AnyEvent | None]
Before = Callable[[AnyEvent], Awaitable[None]]


async def _nothing(_: AnyEvent) -> None:
    return


class Records:
    """Reads and writes the sessions of calls."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def session(self, where: CallSubject) -> Loaded:
        """Return the session of a call as a replica shows it; raise `UnknownSession` or `NewerEvent`."""
        loaded = await self._sessions.get(where.tenant, where.session, fresh=True)
        if loaded.folded is None:
            await self._sessions.at_head(loaded)
        _ = loaded.state
        return loaded

    async def newest(self, where: CallSubject) -> Loaded:
        """Return the session of a call as the leader of its stream knows it: nothing is dropped on another reading."""
        loaded = await self._sessions.get(where.tenant, where.session)
        await self._sessions.at_head(loaded)
        _ = loaded.state
        return loaded

    async def open_call(self, where: CallSubject) -> PendingCall | None:
        """Return the call if its session waits for the answer to this attempt, on the leader's word."""
        call = decide.open_call((await self.newest(where)).state, where.call)
        return call if call is not None and call.attempt == where.attempt else None

    async def append(self, loaded: Loaded, decided: Decide, *, before: Before = _nothing) -> AnyEvent | None:
        """Append what `decided` says of the session where the fence stands, and return it; None if that is nothing.

        What the event refers to, `before` stores; it may be called several times. Of one session, one at a time in
        this process: two hundred answers at once would refuse each other, each until its delivery comes again.
        """
        async with loaded.writer:
            return await self._append(loaded, decided, before)

    async def _append(self, loaded: Loaded, decided: Decide, before: Before) -> AnyEvent | None:
        while True:
            head = loaded.head
            event = decided(loaded.state)
            if event is None or (isinstance(event, ToolAnswerRejected) and await self._was_recorded(loaded, event)):
                return None
            await before(event)
            try:
                await self._sessions.append(loaded, [event], head)
            except SequenceConflict:
                continue
            log.info(str(event.__struct_config__.tag))
            return event

    async def _was_recorded(self, loaded: Loaded, event: ToolAnswerRejected) -> bool:
        """Return whether the answer that `event` rejects is in the log already: it was delivered before."""
        ids = decide.recorded_as(CallSubject(loaded.tenant, loaded.id, event.call, event.attempt))
        stored = await self._sessions.log.read(loaded.tenant, loaded.id)
        if not stored or stored[-1].sequence < loaded.head.sequence:
            raise StorageUnavailable(f"the log of session {loaded.id} was read from a replica that lags")
        return any(one.event.id in ids for one in stored)
