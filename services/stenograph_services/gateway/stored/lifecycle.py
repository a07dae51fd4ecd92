"""The life of a session as clients ask for it: restored after it expired, cleared for good. An orchestrator does both.

trig.control.<tenant>.<session>.restore    then wait for session.restored
trig.control.<tenant>.<session>.clear      then wait for session.cleared
"""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TypeVar, cast

import msgspec
from nats.aio.client import Client

from stenograph_events import Event, StoredEvent, cancel_id, restore_id
from stenograph_events.subjects import ControlVerb, control_subject
from stenograph_events.types import SessionCleared, SessionRestored
from stenograph_events.wire import Cancel, Clear, Restore, message_id
from stenograph_projections.messages import shown
from stenograph_projections.session import Session, idle
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.gateway.http.shapes import Shape, iso
from stenograph_services.gateway.stored.brought_back import MessageBody, brought_back, differing
from stenograph_services.gateway.stored.reading import Reader
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.errors import InputTooLarge
from stenograph_services.runtime.eventlog import Stored
from stenograph_services.runtime.jetstream import publish
from stenograph_services.runtime.sessions import Loaded

E = TypeVar("E", bound=Event)

REST_SECONDS = 5.0  # a cancelled turn is over within one; an orchestrator that was killed is replaced within five


class ExpiredSession(Shape, frozen=True, kw_only=True, omit_defaults=False):
    """All that a client is told of a session that expired or was cleared, in either format."""

    session_id: str
    agent_id: str
    created_at: str
    status: str = "expired"


def expired_session(session: Session, agent_id: str) -> ExpiredSession:
    return ExpiredSession(session_id=session.session, agent_id=agent_id, created_at=iso(session.created_at))


class Lifecycle:
    """Restores and clears sessions of one tenant."""

    def __init__(self, nc: Client, settings: Settings, reader: Reader) -> None:
        self._nc = nc
        self._reader = reader
        self._log = reader.sessions.log
        self._most = settings.trigger_max_bytes

    async def restore(self, session: str, messages: list[MessageBody]) -> bool:
        """Let the session go on and return True, or False if it was not expired.

        Raises `Refusal` if there is no such session, and `InputTooLarge` where the log was cleared and `messages`,
        which take its place, are larger than a control may be.
        """
        loaded = await self._reader.session(session)
        state, after = _of(loaded), loaded.head.sequence
        if state.standing == "active":
            return False
        request = str(uuid.uuid4())
        if state.standing == "cleared":
            wanted = Restore(request, len(messages), messages=brought_back(messages, datetime.now(UTC)))
        else:
            wanted = Restore(request, len(messages), differing(messages, shown(loaded.entries, state)))
        await self._ask(loaded, "restore", wanted, request)
        return (await self._next(loaded, after, SessionRestored)).id == restore_id(loaded.id, request)

    async def clear(self, session: str) -> None:
        """See that nothing is left of the session but its log, which clients see from here on. What runs is cancelled.

        Raises `Refusal` if there is no such session, or if it does not come to rest.
        """
        loaded = await self._reader.session(session)
        try:
            async with asyncio.timeout(REST_SECONDS):
                await self._come_to_rest(loaded)
                state, after = _of(loaded), loaded.head.sequence
                if state.standing != "cleared":
                    request = str(uuid.uuid4())
                    await self._ask(loaded, "clear", Clear(request), request)
                    await self._next(loaded, after, SessionCleared)
        except TimeoutError as error:
            raise Refusal(429, "the session does not come to rest; try again") from error

    async def _come_to_rest(self, loaded: Loaded) -> None:
        """Cancel what runs and what waits, and wait until it is over."""
        while not idle(state := _of(loaded)):
            after = loaded.head.sequence
            for turn in [*(waiting.turn for waiting in state.queue), *([state.turn.id] if state.turn else [])]:
                await self._ask(loaded, "cancel", Cancel(turn), cancel_id(turn))
            await self._follow(loaded, after, lambda _: loaded.folded is not None and idle(loaded.folded))

    async def _ask(self, loaded: Loaded, verb: ControlVerb, wanted: Restore | Clear | Cancel, request: str) -> None:
        body = msgspec.json.encode(wanted)
        if len(body) > self._most:
            raise InputTooLarge(len(body), self._most)
        subject = control_subject(loaded.tenant, loaded.id, verb)
        body = await self._log.seals.closed_body(loaded.tenant, loaded.id, subject, body)
        await publish(self._nc, subject, body, {"Nats-Msg-Id": message_id(loaded.tenant, loaded.id, request, verb)})

    async def _next(self, loaded: Loaded, after: int, kind: type[E]) -> E:
        """Return the first event of `kind` beyond sequence `after`; raise `TimeoutError` if none comes."""
        async with asyncio.timeout(REST_SECONDS):
            found = await self._follow(loaded, after, lambda event: isinstance(event, kind))
        assert isinstance(found, kind), "it was looked for by its class"
        return found

    async def _follow(self, loaded: Loaded, after: int, wanted: Callable[[StoredEvent], bool]) -> StoredEvent:
        """Return the first event beyond sequence `after` at which `wanted` holds, with the session folded up to it."""
        events = cast("AsyncGenerator[Stored, None]", self._log.follow(loaded.tenant, loaded.id, after))
        async with aclosing(events) as following:
            async for stored in following:
                event = stored.event
                await self._reader.sessions.receive(loaded, event, stored)
                if wanted(event):
                    return event
        raise AssertionError("a log is followed without end")


def _of(loaded: Loaded) -> Session:
    assert loaded.folded is not None, "the reader refuses a session without a log"
    return loaded.folded
