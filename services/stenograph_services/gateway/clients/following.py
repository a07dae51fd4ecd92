"""Followers: clients that are told what happens to a session, as it happens.

A follower that says nothing for `KEEP_SECONDS` is dropped: nothing tells a gateway that somebody's inbox is gone. A
message that is lost on the way is nobody's loss: events are counted, and read from the log where one is missing.
"""

import asyncio
import contextlib
import uuid
from collections import Counter

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from stenograph_events import EventError
from stenograph_events.subjects import ClientSubject, frame_subject, live_filter
from stenograph_events.wire import KIND, Followed, Keep
from stenograph_services.gateway.clients.asking import Asked, Denied
from stenograph_services.gateway.clients.readers import Out, readable
from stenograph_services.gateway.http.refusals import Refusal
from stenograph_services.runtime.errors import StenographError
from stenograph_services.runtime.eventlog import EventLog, Stored

log = structlog.get_logger()

BEAT_SECONDS = 3.0
KEEP_SECONDS = 30.0
MOST_OF_A_TENANT = 10_000

FRAME = {KIND: "frame"}
BEAT = {KIND: "beat"}
END = {KIND: "end"}


class _Follower:
    """One client's inbox, told of one session."""

    def __init__(self, where: ClientSubject, inbox: str, now: float) -> None:
        self.id = uuid.uuid4().hex
        self.where = where
        self.inbox = inbox
        self.kept_at = self.told_at = now

    @property
    def session(self) -> tuple[str, str]:
        return self.where.tenant, self.where.session


class _Session:
    """A session that somebody follows: its subscriptions, shared by all who do."""

    def __init__(self) -> None:
        self.followers: set[_Follower] = set()
        self.subscriptions: list[Subscription] = []
        self.opening = asyncio.Lock()


class Following:
    """All followers of this gateway."""

    def __init__(self, nc: Client, log: EventLog) -> None:
        self._nc = nc
        self._log = log
        self._followers: dict[str, _Follower] = {}
        self._sessions: dict[tuple[str, str], _Session] = {}
        self._of_tenant: Counter[str] = Counter()
        self._beating: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._beating = asyncio.create_task(self._beat(), name="beats")

    async def stop(self) -> None:
        """Tell every follower to ask another gateway."""
        if self._beating:
            self._beating.cancel()
        for follower in tuple(self._followers.values()):
            await self._tell(follower, Out(b"", END))
            await self._drop(follower)

    async def add(self, asked: Asked) -> Followed:
        """Tell the inbox of `asked` all that happens to the session from now on."""
        where = asked.where
        if self._of_tenant[where.tenant] >= MOST_OF_A_TENANT:
            raise Refusal(503, f"tenant {where.tenant} has {MOST_OF_A_TENANT:,} followers at this gateway already")
        follower = _Follower(where, asked.reply, asyncio.get_running_loop().time())
        self._followers[follower.id] = follower
        self._of_tenant[where.tenant] += 1
        session = self._sessions.setdefault(follower.session, _Session())
        session.followers.add(follower)
        try:
            async with session.opening:
                if not session.subscriptions:
                    await self._open(session, where)
        except BaseException:
            await self._drop(follower)
            raise
        return Followed(follower.id, BEAT_SECONDS, KEEP_SECONDS)

    async def keep(self, where: ClientSubject, word: Keep) -> None:
        """Keep a follower, or drop it, as it says. Other gateways have those that are unknown here.

        Raises `Denied` for one that follows another session, or in another name.
        """
        follower = self._followers.get(word.follower)
        if follower is None:
            return
        if follower.where != where._replace(verb=follower.where.verb):
            raise Denied(404, f"no follower {word.follower[:80]!r}", "it is a follower of somebody else")
        if word.stop:
            await self._drop(follower)
        else:
            follower.kept_at = asyncio.get_running_loop().time()

    # ---- one session

    async def _open(self, session: _Session, where: ClientSubject) -> None:
        async def event(message: Msg) -> None:
            if sequence := (message.headers or {}).get("Nats-Sequence"):
                await self._tell_event(session, Stored(int(sequence), message.data))

        async def frame(message: Msg) -> None:
            await self._tell_all(session, Out(message.data, FRAME))

        session.subscriptions = [
            await self._nc.subscribe(live_filter(where.tenant, where.session), cb=event),
            await self._nc.subscribe(frame_subject(where.tenant, where.session), cb=frame),
        ]
        await self._nc.flush()  # what the client does next comes over its own connection: we must hear it

    async def _tell_event(self, session: _Session, stored: Stored) -> None:
        try:
            out = readable(await self._log.opened(stored))
        except (StenographError, EventError, NatsError) as error:
            log.warning("event.untold", error=str(error))  # who misses it reads the log, which says what is wrong
        else:
            await self._tell_all(session, out)

    async def _tell_all(self, session: _Session, out: Out) -> None:
        for follower in tuple(session.followers):
            await self._tell(follower, out)

    async def _tell(self, follower: _Follower, out: Out) -> None:
        with contextlib.suppress(NatsError):  # we are not connected: the client hears no beat, and asks elsewhere
            await self._nc.publish(follower.inbox, out.data, headers=out.headers)
            follower.told_at = asyncio.get_running_loop().time()

    async def _drop(self, follower: _Follower) -> None:
        if self._followers.pop(follower.id, None) is None:
            return
        self._of_tenant[follower.where.tenant] -= 1
        session = self._sessions[follower.session]
        session.followers.discard(follower)
        if not session.followers:
            del self._sessions[follower.session]
            for subscription in session.subscriptions:
                with contextlib.suppress(NatsError):
                    await subscription.unsubscribe()

    async def _beat(self) -> None:
        """Say to every follower that we live, and drop those that do not."""
        while True:
            await asyncio.sleep(BEAT_SECONDS / 2)
            now = asyncio.get_running_loop().time()
            for follower in tuple(self._followers.values()):
                if now - follower.kept_at > KEEP_SECONDS:
                    log.info("follower.gone", tenant=follower.where.tenant, session=follower.where.session)
                    await self._drop(follower)
                elif now - follower.told_at >= BEAT_SECONDS / 2:
                    await self._tell(follower, Out(b"", BEAT))
