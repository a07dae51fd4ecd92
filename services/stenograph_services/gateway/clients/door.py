"""The door: requests of clients in, answers out, and a line in the log for each that is denied.

access.denied  tenant=acme user=UB3F… action=publish subject=as.acme._.2f01….cancel reason="the tenant has no …"
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from stenograph_events import InvalidId
from stenograph_events.errors import InvalidSubject
from stenograph_events.subjects import Pattern
from stenograph_events.wire import KIND, Followed, Keep, Problem, ReadLog
from stenograph_services.gateway.clients.asking import Asked, Denied, asked, user_of
from stenograph_services.gateway.clients.following import Following
from stenograph_services.gateway.clients.readers import Readers, checked_range, readable
from stenograph_services.gateway.clients.standing import Standing
from stenograph_services.gateway.clients.wishes import Wishes
from stenograph_services.gateway.http.limits import Limits
from stenograph_services.gateway.http.refusals import Refusal, refusal_of
from stenograph_services.gateway.stored.creating import Creator
from stenograph_services.runtime.agents import Agents
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.secrets import Secrets
from stenograph_services.runtime.sessions import Sessions

log = structlog.get_logger()

QUEUE = "gateway"
AT_ONCE = 256  # requests of one tenant that are worked on; one more is told to come again
DENIED = (403, 404)

_read = msgspec.json.Decoder(ReadLog)
_keep = msgspec.json.Decoder(Keep)

Handler = Callable[[Asked], Awaitable[None]]


class Door:
    """Answers clients. It holds nothing but who follows, and those ask another gateway if this one is gone."""

    def __init__(
        self,
        nc: Client,
        settings: Settings,
        agents: Agents,
        creator: Creator,
        sessions: Sessions,
        secrets: Secrets,
        limits: Limits,
    ) -> None:
        self._nc = nc
        self._limits = limits
        self._standing = Standing(sessions.log)
        self._readers = Readers(nc, settings, agents, sessions)
        self._wishes = Wishes(nc, agents, creator, self._standing, self._readers, secrets)
        self._following = Following(nc, sessions.log)
        self._subscriptions: list[Subscription] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_hand: Counter[str] = Counter()

    async def start(self) -> None:
        """Answer from now on."""
        self._following.start()
        shared: tuple[tuple[str, Handler, bool], ...] = (
            (Pattern.ASKS, self._grant, False),
            (Pattern.LOG_READS, self._read, True),
            (Pattern.LOG_FOLLOWS, self._follow, True),
        )
        for pattern, handler, streams in shared:
            await self._subscribe(pattern, handler, streams, QUEUE)
        await self._subscribe(Pattern.LOG_KEEPS, self._keep, True, "")  # whichever gateway has the follower

    async def stop(self) -> None:
        """Take no more requests, answer those in hand, and send every follower elsewhere."""
        for subscription in self._subscriptions:
            await subscription.unsubscribe()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=5)
        await self._following.stop()

    async def _subscribe(self, pattern: str, handler: Handler, streams: bool, queue: str) -> None:
        async def take(message: Msg) -> None:
            task = asyncio.create_task(self._answer(message, handler, streams))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        self._subscriptions.append(await self._nc.subscribe(pattern, queue=queue, cb=take))

    async def _answer(self, message: Msg, handler: Handler, streams: bool) -> None:
        tenant = message.subject.split(".")[1]
        self._in_hand[tenant] += 1
        try:
            if self._in_hand[tenant] > AT_ONCE:
                raise Refusal(503, f"tenant {tenant} has {AT_ONCE} requests in hand here already; try again")
            request = asked(message)
            if request.user is not None and request.where.verb != "keep":  # that one every gateway hears
                self._limits.take(request.user, request.where.tenant)
            await handler(request)
        except Exception as error:
            refusal = Refusal(400, str(error)) if isinstance(error, InvalidId | InvalidSubject) else refusal_of(error)
            self._note(message, tenant, refusal)
            if message.reply:
                problem = msgspec.json.encode(Problem(refusal.code, refusal.error))
                await self._say(message.reply, problem, {KIND: "problem"} if streams else None)
        finally:
            self._in_hand[tenant] -= 1
            self._in_hand += Counter()  # forgets the tenants that have none

    def _note(self, message: Msg, tenant: str, refusal: Refusal) -> None:
        if not isinstance(refusal, Denied) and refusal.status not in DENIED:
            return  # a body that is none of ours, or what may pass: nobody was kept out
        why = refusal.why if isinstance(refusal, Denied) else refusal.error
        who = user_of(message)
        log.warning("access.denied", tenant=tenant, user=who, action="publish", subject=message.subject, reason=why)

    async def _say(self, reply: str, data: bytes, headers: dict[str, str] | None = None) -> None:
        try:
            await self._nc.publish(reply, data, headers=headers)
        except NatsError as error:  # the client asks again
            log.warning("answer.unsent", error=str(error) or type(error).__name__)

    # ---- what is asked

    async def _grant(self, asked: Asked) -> None:
        answer = await self._wishes.grant(asked)
        if asked.reply:
            await self._say(asked.reply, msgspec.json.encode(answer))

    async def _read(self, asked: Asked) -> None:
        wanted = _decoded(_read, asked)
        checked_range(wanted.after, wanted.limit)
        await self._standing.check(asked.where)
        where = asked.where
        events, end = await self._readers.of(where.tenant).page(where.session, wanted.after, wanted.limit)
        for stored in events:
            out = readable(stored)
            await self._say(asked.reply, out.data, out.headers)
        await self._say(asked.reply, msgspec.json.encode(end), {KIND: "end"})

    async def _follow(self, asked: Asked) -> None:
        _inbox(asked)
        await self._standing.check(asked.where)
        followed: Followed = await self._following.add(asked)
        await self._say(asked.reply, msgspec.json.encode(followed), {KIND: "followed"})

    async def _keep(self, asked: Asked) -> None:
        try:
            word = _keep.decode(asked.data)
        except msgspec.MsgspecError as error:
            raise Refusal(400, f"this is no Keep: {error}") from error
        await self._following.keep(asked.where, word)


def _decoded(decoder: msgspec.json.Decoder[ReadLog], asked: Asked) -> ReadLog:
    _inbox(asked)
    try:
        return decoder.decode(asked.data or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refusal(400, f"this is no ReadLog: {error}") from error


def _inbox(asked: Asked) -> None:
    if not asked.reply:
        raise Refusal(400, "a request needs an inbox for its answers")
