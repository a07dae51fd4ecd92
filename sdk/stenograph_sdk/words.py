"""What people say of the calls of a session: which ones wait for a word, and a word on its way into the log.

    approve, deny, edit    of a call that runs only if somebody lets it
    resolve                of a call that began, and of which nobody knows whether it took effect

The first word stands. The same one again is told what became of the first.
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import TypeVar

from stenograph_events import EMPTY, Head, SessionId, StoredEvent
from stenograph_events.frames import ApprovalRefused
from stenograph_events.types import Event
from stenograph_events.wire import Approve, Resolve
from stenograph_sdk.approvals import Approval
from stenograph_sdk.errors import NotDecided, Refused, UnknownSession
from stenograph_sdk.families import running_children
from stenograph_sdk.following import Follower
from stenograph_sdk.resolutions import Unresolved
from stenograph_sdk.storing import STORE_SECONDS
from stenograph_sdk.ways import Way

Said = TypeVar("Said", bound=Event)
Asked = TypeVar("Asked", Approval, Unresolved)

Known = Callable[[list[StoredEvent]], Said | None]
"""Finds in a log the event that says the same already. It returns None while somebody waits for such a word, and raises
`NotDecided` where nothing could come of it."""

RECORDED_SECONDS = 10.0  # how long a word is waited for; an orchestrator that restarts is back within this


class Words:
    """The words on the calls of one session."""

    def __init__(self, way: Way, session: SessionId) -> None:
        self._way = way
        self._session = session
        self._log = way.log(session)
        self._feed = way.feed(session)

    async def asked(self, of: Callable[[list[StoredEvent]], list[Asked]]) -> list[Asked]:
        """Return what `of` finds in the log, and in those of the child agents that these credentials show.

        Raises `UnknownSession` if there is no such session.
        """
        events = await self._events()
        found = of(events)
        for child in running_children(events):
            with suppress(UnknownSession, Refused):  # it is not made yet, or not for us
                found += await Words(self._way, child).asked(of)
        return found

    async def say(self, wanted: Approve | Resolve, known: Known[Said]) -> Said:
        """Store a word, and return the event that it becomes, or that says the same already.

        Raises `NotDecided` where it changes nothing, `UnknownSession`, and what a trigger raises.
        """
        if (event := known(await self._events())) is not None:
            return event
        head = await self._head()
        try:
            async with Follower(self._feed, self._log, EMPTY) as follower:  # before it is sent: a refusal comes once
                await follower.read_from(head)
                what = f"what is said of call {wanted.call}"
                await self._way.control(self._session, wanted, what=what, timeout=STORE_SECONDS)
                async with asyncio.timeout(RECORDED_SECONDS):
                    return await self._follow(wanted, follower, known)
        except TimeoutError as error:
            sentence = f"what you say of call {wanted.call} is stored, and nobody recorded it yet: look again"
            raise NotDecided(wanted.call, "unconfirmed", sentence) from error

    async def _follow(self, wanted: Approve | Resolve, follower: Follower, known: Known[Said]) -> Said:
        """Return the event that `wanted` becomes, or the same word of another; raise `NotDecided` for a refusal."""
        while True:
            match await follower.next():
                case ApprovalRefused(request=wanted.request, detail=detail):
                    known(await self._events())
                    raise NotDecided(wanted.call, "refused", detail)
                case ApprovalRefused() | None:
                    continue
                case item if getattr(item, "call", None) == wanted.call and isinstance(item, Event):
                    if (event := known(await self._events())) is not None:
                        return event

    async def _events(self) -> list[StoredEvent]:
        head = await self._head()
        async with aclosing(self._log.read(EMPTY, head.sequence)) as reading:
            return [event async for event, _ in reading]

    async def _head(self) -> Head:
        head = await self._log.head()
        if head == EMPTY:
            raise UnknownSession(self._session)
        return head
