"""A session as it happens, told by a gateway. Whoever is told says now and then that it still listens.

    → log.acme._.2f01….follow      {}
    ← Stenograph-Kind: followed    {"follower":"9c3b…","beat_seconds":3.0,"keep_seconds":30.0}
    ← Stenograph-Kind: event       as it is stored, or opened, with Stenograph-Sequence
    ← Stenograph-Kind: frame       as it was written
    ← Stenograph-Kind: beat        when nothing else came for a while
    ← Stenograph-Kind: end         the gateway stops: another one is asked
    → log.acme._.2f01….keep        {"follower":"9c3b…"}

A gateway that falls silent is taken for dead, and the next one is asked. What happened meanwhile is read from the log.
"""

import asyncio
import logging
from contextlib import suppress

import msgspec
import nats.errors
from nats.aio.msg import Msg

from stenograph_events import SessionId
from stenograph_events.wire import DIGEST, KIND, SEQUENCE, Follow, Followed, Keep, Problem
from stenograph_sdk.connection import Connection
from stenograph_sdk.errors import UnknownSession
from stenograph_sdk.live import Feed
from stenograph_sdk.storing import pauses

log = logging.getLogger("stenograph_sdk")

ANSWER_SECONDS = 3.0
PATIENCE_SECONDS = 6.0  # then a follower goes on without what is live, from the log, until a gateway is there
MISSED_BEATS = 3

_followed = msgspec.json.Decoder(Followed)
_problem = msgspec.json.Decoder(Problem)


class GatedFeed(Feed):
    """What a gateway tells of one session, for any number of followers in this process."""

    def __init__(self, connection: Connection, tenant: str, session: SessionId, follow: str, keep: str) -> None:
        super().__init__(connection, tenant, session)
        self._follow_subject = follow
        self._keep_subject = keep
        self._inbox = ""
        self._heard_at = 0.0
        self._over = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None
        self._answer: asyncio.Future[Followed] | None = None
        self._told_by: Followed | None = None

    async def _open(self) -> None:
        """Return when a gateway tells, or when it takes too long; raise `UnknownSession`."""
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._keeping = self._connection.spawn(self._keep(told))
        self._connection.on_reconnect.add(self._over.set)
        self._connection.on_close.add(self._fail)
        await asyncio.wait((told,), timeout=PATIENCE_SECONDS)
        if told.done() and told.exception() is not None:
            self._close()
            told.result()

    def _close(self) -> None:
        self._connection.on_reconnect.discard(self._over.set)
        keeping, self._keeping = self._keeping, None
        told_by, self._told_by = self._told_by, None
        if keeping:
            keeping.cancel()
        if told_by and not self._connection.nats.is_closed:
            self._connection.spawn(self._say(Keep(told_by.follower, stop=True)))
        super()._close()

    def _fail(self, error: Exception) -> None:
        super()._fail(error)
        if self._keeping:
            self._keeping.cancel()  # nobody will tell anything more over this connection

    async def _keep(self, told: "asyncio.Future[None]") -> None:
        """Be told, by one gateway after the other, until nobody listens here."""
        waits = pauses()
        while True:
            self._over.clear()
            try:
                self._told_by = await self._ask()
            except (nats.errors.Error, TimeoutError, ConnectionError) as error:
                log.info("session.not_followed session=%s reason=%s", self._session, error or type(error).__name__)
                await asyncio.sleep(next(waits))
                continue
            except UnknownSession as error:
                if told.done():
                    self._fail(error)
                else:
                    told.set_exception(error)
                return
            waits = pauses()
            if told.done():
                self._gap()  # between the last gateway and this one something may have happened
            else:
                told.set_result(None)
            await self._listen(self._told_by)

    async def _ask(self) -> Followed:
        """Ask to be told, in an inbox of its own: what another gateway still says goes nowhere."""
        connection = self._connection.nats
        before, self._subscriptions = self._subscriptions, []
        for subscription in before:
            with suppress(nats.errors.Error):
                await subscription.unsubscribe()
        self._answer = asyncio.get_running_loop().create_future()
        self._inbox = connection.new_inbox()
        self._subscriptions = [await connection.subscribe(self._inbox, cb=self._hear)]
        await connection.publish(self._follow_subject, msgspec.json.encode(Follow()), reply=self._inbox)
        return await asyncio.wait_for(self._answer, ANSWER_SECONDS)

    async def _listen(self, told_by: Followed) -> None:
        """Return when the gateway stops, or fell silent, or the connection was away."""
        loop = asyncio.get_running_loop()
        self._heard_at = kept_at = loop.time()
        while not self._over.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), told_by.beat_seconds)
            if loop.time() - self._heard_at > MISSED_BEATS * told_by.beat_seconds:
                log.info("session.gateway_silent session=%s", self._session)
                return
            if loop.time() - kept_at > told_by.keep_seconds / 3:
                kept_at = loop.time()
                await self._say(Keep(told_by.follower))

    async def _say(self, word: Keep) -> None:
        with suppress(nats.errors.Error):  # a connection that is away ends it anyway
            await self._connection.nats.publish(self._keep_subject, msgspec.json.encode(word))

    async def _hear(self, message: Msg) -> None:
        if message.subject != self._inbox:
            return
        self._heard_at = asyncio.get_running_loop().time()
        headers = message.headers or {}
        match headers.get(KIND):
            case "event":
                await self._put_event(message.data, headers.get(SEQUENCE), headers.get(DIGEST))
            case "frame":
                self._put_frame(message.data)
            case "beat":
                pass
            case "end":
                self._over.set()
            case kind if self._answer and not self._answer.done():
                self._answered(kind, message.data)

    def _answered(self, kind: str | None, data: bytes) -> None:
        assert self._answer is not None, "it is asked before it is answered"
        if kind == "followed":
            self._answer.set_result(_followed.decode(data))
        elif kind == "problem" and (problem := _problem.decode(data)).code == "NOT_FOUND":
            self._answer.set_exception(UnknownSession(self._session))
        else:
            why = problem.error if kind == "problem" else "nobody answers: is `stenograph run gateway` running?"
            self._answer.set_exception(ConnectionError(why))
