"""Deadlines: each open request gets a message schedule in TIM, which fires at the server even if all of us are dead.

Most calls are answered in a moment. So a request is held un-acked for a second first: only one that is still open then
costs a stored timer. If this process dies meanwhile, the request is delivered again, and gets its timer at once.

That second look also mends the queue: a server that was killed may have missed to copy its newest requests to `TOOLS`.

    TIM  tim.set.<tenant>.<session>.<call>.<attempt>     {"asked_at":"…"}  or  {"child":"2f01…"}     fires with it
"""

import asyncio
from collections import OrderedDict
from datetime import datetime

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from stenograph_events.subjects import (
    AnswerSubject,
    CallSubject,
    answer_subject,
    fired_subject,
    request_subject,
    timer_subject,
)
from stenograph_events.types import ToolRequested
from stenograph_services.runtime.batches import BatchReader
from stenograph_services.runtime.jetstream import JetStreamError, delivered, publish
from stenograph_services.runtime.pull import PullConsumer
from stenograph_services.runtime.streams import RES, TOOLS
from stenograph_services.tool_gateway.breakers import asked_at
from stenograph_services.tool_gateway.decide import answer_of

log = structlog.get_logger()

GRACE_SECONDS = 1.0  # well under the consumer's ack_wait of 5 s
_ANSWERED_KEPT = 50_000


class Timer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Body of `tim.set.…`, and of `tim.fire.…` when it fires.

    `child`: the session of the agent that has to answer. `asked_at`: from when on a worker could have.
    """

    child: str | None = None
    asked_at: datetime | None = None


class Deadlines:
    """The requests of the last second, and which of them this process has seen answered."""

    def __init__(self, nc: Client) -> None:
        self._nc = nc
        self._batches = BatchReader(nc)
        self._open: OrderedDict[AnswerSubject, tuple[float, ToolRequested, Msg, PullConsumer]] = OrderedDict()
        self._answered: OrderedDict[AnswerSubject, None] = OrderedDict()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="deadlines")

    async def stop(self) -> None:
        """Set what is open, so that no deadline waits for a redelivery."""
        if self._task is not None:
            self._task.cancel()
        await self._set_due(float("inf"))

    async def opened(self, request: ToolRequested, message: Msg, consumer: PullConsumer) -> None:
        """Take in a request; it is acked once it is answered or its timer is stored."""
        key = answer_of(request)
        if key in self._answered:
            await self._settle(message, consumer)
            return
        if delivered(message)[1] > 1:  # whoever had it before died with it: its deadline must not hang on us as well
            await self.set(request)
        if held := self._open.get(key):  # delivered again while we held it: the newest handle counts
            held[3].done()
        due = asyncio.get_running_loop().time() + GRACE_SECONDS
        self._open[key] = (due, request, message, consumer)

    async def answered(self, where: AnswerSubject) -> None:
        """Take note that a call needs no deadline any more. The whole subject counts: others may name the same call."""
        if found := self._open.pop(where, None):
            await self._settle(found[2], found[3])
            return
        self._answered[where] = None
        if len(self._answered) > _ANSWERED_KEPT:
            self._answered.popitem(last=False)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(0.2)
            await self._set_due(asyncio.get_running_loop().time())

    async def _set_due(self, now: float) -> None:
        while self._open:
            key, (due, request, message, consumer) = next(iter(self._open.items()))
            if due > now:
                return
            del self._open[key]
            try:
                await self.set(request)
                if request.child is None and not request.client:  # those are no workers: it is not in their queue
                    await self._queued(request, message.data)
                await self._settle(message, consumer)
            except (NatsError, JetStreamError) as error:
                log.warning("deadline.not_set", call=request.call, error=str(error))
                consumer.done()  # not acked: the request comes again

    async def set(self, request: ToolRequested) -> None:
        """Store the timer of `request` now. Doing it again is safe: the timer takes the place of the first one."""
        where = CallSubject(request.tenant, request.session, request.call, request.attempt)
        timer = Timer(request.child.session) if request.child else Timer(asked_at=asked_at(request))
        await self.store(where, request.deadline_at, timer)

    async def store(self, where: CallSubject, at: datetime, timer: Timer | None = None) -> None:
        """Store a timer that fires at `at`; one for the same attempt of the same call takes its place."""
        headers = {"Nats-Schedule": f"@at {_instant(at)}", "Nats-Schedule-Target": fired_subject(*where)}
        await publish(self._nc, timer_subject(*where), msgspec.json.encode(timer or Timer()), headers)

    async def _queued(self, request: ToolRequested, data: bytes) -> None:
        """Put a request into the workers' queue if it is neither there nor answered."""
        subject = request_subject(request.tenant, request.tool, request.session)
        waiting, _ = await self._batches.read(TOOLS, subject, 1, 256)
        if any(copy == data for _, _, copy in waiting):
            return
        if not await self._batches.read_last(RES, [answer_subject(*answer_of(request))]):
            log.warning("request.copied_again", call=request.call)
            await publish(self._nc, subject, data, {"Nats-Msg-Id": request.id})

    async def _settle(self, message: Msg, consumer: PullConsumer) -> None:
        await message.ack()
        consumer.done()


def _instant(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
