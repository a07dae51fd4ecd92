"""The tool gateway: writes what workers answer, and what nobody answered, into the log; runs child agents.

RES  tool.res.…             an answer            → tool.succeeded, .failed, .timed_out, or .answer_rejected
EV   …tool-request.<tool>   a request            → its deadline
TIM  tim.fire.…             a deadline           → tool.timed_out, .outcome_unknown or .resolved; a child is cancelled
EV   …tool-closed           a cancelled call     → its claim is closed, so that no worker begins it; its child cancelled
                                                 → whoever runs it is told so, as at its deadline: tool.cancel.…
EV   …client-request.<tool> one that a client has to answer: its deadline
EV   …child-request.<agent> a request to a child → its session, its trigger and the deadline
EV   …approval              one that waits for a person, before it runs or for its outcome: its deadline, and those
                            of the calls that wait for a child agent in whose session that is
EV   …child-end             the end of a child   → an answer in RES
api.<tenant>.tools.register.<tool>               → the consumer that the tool's workers share
tool.progress.…     how far a call is                → a frame
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime

import msgspec
import structlog
from faststream.nats import NatsBroker, NatsMessage
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from structlog.contextvars import bound_contextvars

from stenograph_events import ApprovalDecision, BrokenChain, EventError, checked_id
from stenograph_events.signatures import for_workers
from stenograph_events.subjects import (
    AnswerSubject,
    CallSubject,
    Pattern,
    parse_answer,
    parse_call,
    stop_subject,
    timer_subject,
)
from stenograph_events.types import ApprovalRequested, ResolutionRequested, ToolCancelled, ToolRequested, TurnFinished
from stenograph_events.wire import Problem, Registered, StopCall, ToolAnswer
from stenograph_projections.session import Session
from stenograph_services.protocol import Agent
from stenograph_services.runtime.agents import Agents
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.errors import (
    KeyDeleted,
    KeyMissing,
    NewerEvent,
    SequenceConflict,
    StorageUnavailable,
    UnknownSession,
)
from stenograph_services.runtime.jetstream import JetStreamError, api, delivered
from stenograph_services.runtime.parking import park_message
from stenograph_services.runtime.pull import PullConsumer
from stenograph_services.runtime.registry import ToolRegistry
from stenograph_services.runtime.sealing.data_key import WrongSeal
from stenograph_services.runtime.sessions import Loaded, Sessions
from stenograph_services.runtime.streams import RES, TIM, declare, log_streams
from stenograph_services.tool_gateway import claims, decide
from stenograph_services.tool_gateway.breakers import Breakers
from stenograph_services.tool_gateway.children import Children
from stenograph_services.tool_gateway.deadlines import Deadlines, Timer
from stenograph_services.tool_gateway.in_hand import InHand
from stenograph_services.tool_gateway.progress import ProgressRelay
from stenograph_services.tool_gateway.recording import Records
from stenograph_services.tool_gateway.registration import Registrations
from stenograph_services.tool_gateway.results import Results

log = structlog.get_logger()

IN_HAND = 512
KEY_SECONDS = 5.0  # a key that is not here comes back with a person
ENVELOPE_BYTES = 4096  # of an answer, around its result
_answer = msgspec.json.Decoder(ToolAnswer)
_timer = msgspec.json.Decoder(Timer)


class ToolGateway:
    """The service. What it holds in memory only saves time; it may be killed at any moment."""

    name = "tool-gateway"

    def __init__(self, broker: NatsBroker, settings: Settings) -> None:
        self._settings = settings
        self._consumers: list[PullConsumer] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_hand = InHand(heartbeat_seconds=settings.ack_wait_seconds * 0.3)
        broker.subscriber(Pattern.api("tools.register"), queue=self.name)(self._registered)

    async def start(self, nc: Client) -> None:
        self._nc = nc
        sessions = Sessions(nc, self._settings, transcript=False)
        self._seals = sessions.log.seals
        self._records = Records(sessions)
        self._agents = Agents(nc)
        self._children = Children(nc, self._settings, sessions.log, self._records, self._agents)
        self._results = Results(nc, self._settings, self._seals)
        self._progress = ProgressRelay(nc, sessions.log, self._records)
        self._registry = ToolRegistry(nc, self._progress.listen)
        await self._registry.start()
        self._registrations = Registrations(nc, self._settings, self._registry)
        self._breakers = Breakers(self._registry, self._settings)
        self._deadlines = Deadlines(nc)
        self._deadlines.start()
        self._in_hand.start()
        for stream in log_streams(self._settings):
            await self._consume(stream, "tool-gateway-requests", self._requested, limit=20_000)
            await self._consume(stream, "tool-gateway-closed", self._closed)
            await self._consume(stream, "tool-gateway-client-requests", self._requested, limit=20_000)
            await self._consume(stream, "tool-gateway-approvals", self._person_asked)
            await self._consume(stream, "tool-gateway-children", self._child_requested, limit=2_000)
            await self._consume(stream, "tool-gateway-child-ends", self._child_ended)
        await self._consume(RES, "tool-gateway-answers", self._answered)
        await self._consume(TIM, "tool-gateway-timers", self._fired)

    async def stop(self) -> None:
        for consumer in self._consumers:
            await consumer.stop()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=8)
        self._in_hand.stop()
        await self._deadlines.stop()
        await self._registry.stop()
        self._progress.stop()

    async def reconnected(self) -> None:
        for consumer in self._consumers:
            await consumer.reconnected()

    async def _registered(self, message: NatsMessage) -> bytes:
        answer: Registered | Problem
        answer = await self._registrations.register(message.raw_message.subject, message.body)
        return msgspec.json.encode(answer)

    async def _consume(
        self,
        stream: str,
        durable: str,
        work: Callable[[Msg, PullConsumer], Awaitable[bool]],
        *,
        limit: int = IN_HAND,
    ) -> None:
        def take(message: Msg) -> None:
            if not self._in_hand.take(message, consumer):
                consumer.done()
                return
            task = asyncio.ensure_future(self._settled(message, consumer, work))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        async def restore() -> None:
            await declare(self._nc, self._settings)

        consumer = PullConsumer(self._nc, stream, durable, take, limit=limit, restore=restore)
        self._consumers.append(consumer)
        await consumer.start()

    async def _settled(
        self, message: Msg, consumer: PullConsumer, work: Callable[[Msg, PullConsumer], Awaitable[bool]]
    ) -> None:
        """Settle one message and give back its room, unless somebody else does both."""
        ours = True
        try:
            ours = await self._settle(message, consumer, work)
        except Exception:
            log.exception("delivery.unsettled", subject=message.subject)  # so it comes again
        self._in_hand.drop(message, consumer)
        if ours:
            consumer.done()

    async def _settle(
        self, message: Msg, consumer: PullConsumer, work: Callable[[Msg, PullConsumer], Awaitable[bool]]
    ) -> bool:
        """Do the work of one message, then ack it, bring it again later, or park it with its reason."""
        again_after: float | None = None
        try:
            if not await work(message, consumer):
                return False
        except (EventError, UnknownSession, decide.OfAnotherTool) as error:
            if isinstance(error, BrokenChain):
                log.error("session.broken", error=str(error), mend="stenograph sessions verify")
                again_after = 60.0
            else:
                again_after = await park_message(self._nc, self.name, message, str(error))
        except (StorageUnavailable, SequenceConflict, NatsError) as error:
            log.warning("delivery.postponed", error=str(error))
            again_after = 1.0
        except NewerEvent as error:
            log.error("session.newer", error=str(error))
            again_after = 30.0
        except KeyDeleted as error:
            again_after = await park_message(self._nc, self.name, message, str(error))
        except KeyMissing as error:
            log.error("session.sealed", error=str(error))
            again_after = KEY_SECONDS
        except Exception:
            log.exception("delivery.failed", subject=message.subject)
            again_after = min(2.0 ** delivered(message)[1], 60.0)
        await (message.ack() if again_after is None else message.nak(delay=again_after))
        return True

    # ---- one message of each kind

    async def _answered(self, message: Msg, _: PullConsumer) -> bool:
        at = parse_answer(message.subject)
        where = at.about
        with bound_contextvars(session=where.session, call=where.call):
            loaded = await self._records.session(where)
            agent = await self._agents.pinned(loaded.state)
            try:
                answer = await self._record_answer(message, at, loaded, agent)
            except decide.NotBelieved as error:
                await self._set_aside(message, str(error))
                return True
            await self._deadlines.answered(at)
            if answer is not None:
                await self._results.let_go(at, answer)
        return True

    async def _record_answer(
        self, message: Msg, at: AnswerSubject, loaded: Loaded, agent: Agent | None
    ) -> ToolAnswer | None:
        """Record what a worker answered, and return it, None if it is no answer; raise `NotBelieved`."""
        terms = decide.Terms(self._settings.takes_unsigned_answers(), self._settings.result_max_bytes)
        try:
            data = await self._seals.opened_body(at.tenant, at.session, message.subject, message.data)
        except WrongSeal as error:
            raise decide.NotBelieved(str(error)) from error
        is_workers = decide.is_workers(decide.open_call(loaded.state, at.call))
        try:
            answer = _read(data, self._settings.inline_max_bytes)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            reason = str(error)
            outcome = await self._records.append(
                loaded, lambda s: decide.unreadable(s, at, reason, datetime.now(UTC), terms=terms)
            )
            if is_workers:
                await self._breakers.ended(at.about, at.tool, outcome, datetime.now(UTC), broken=True)
            await park_message(self._nc, self.name, message, f"no tool answer: {reason}")
            return None
        decide.check_signature(at, answer)
        brought = await self._results.brought(at, answer)
        claim = await self._closed_claim(loaded.state, at.about) if answer.outcome == "expired" else "none"
        outcome = await self._records.append(
            loaded,
            lambda s: decide.answered(s, agent, at, answer, brought.value, datetime.now(UTC), claim, terms=terms),
            before=lambda event: self._results.keep(event, brought),
        )
        if is_workers:
            await self._breakers.ended(at.about, at.tool, outcome, datetime.now(UTC), broken=answer.broken)
        return answer

    async def _set_aside(self, message: Msg, doubt: str) -> None:
        """Park an answer that is not to be believed, and free its write-once cell for the worker that has the call.

        Without room for it, what the service's log says of it is all that is left.
        """
        await park_message(self._nc, self.name, message, f"not to be believed: {doubt}")
        with suppress(JetStreamError):  # deleted before, at an earlier delivery
            await api(self._nc, f"STREAM.MSG.DELETE.{RES}", {"seq": delivered(message)[0], "no_erase": True})

    async def _requested(self, message: Msg, consumer: PullConsumer) -> bool:
        event = await self._seals.event(message.data)
        if not isinstance(event, ToolRequested):
            return True
        timer_subject(event.tenant, event.session, event.call, event.attempt)  # an id that fits no subject is parked
        if for_workers(event):
            await self._breakers.asked(event)
        await self._deadlines.opened(event, message, consumer)
        return False

    async def _person_asked(self, message: Msg, _: PullConsumer) -> bool:
        """Set the deadline of whoever is asked; where they are, or have spoken, the calls above it have more time."""
        event = await self._seals.event(message.data)
        if not isinstance(event, ApprovalRequested | ResolutionRequested | ApprovalDecision):
            return True
        waits = decide.RESOLUTION if isinstance(event, ResolutionRequested) else decide.APPROVAL
        where = CallSubject(event.tenant, event.session, event.call, waits)
        if not isinstance(event, ApprovalDecision):
            await self._deadlines.store(where, event.deadline_at)
        async for moved in self._children.deadlines.above(where):
            await self._deadlines.store(moved.where, moved.at, Timer(moved.child))
        return True

    async def _fired(self, message: Msg, _: PullConsumer) -> bool:
        where = parse_call(message.subject)
        timer = _timer.decode(message.data)
        child = timer.child
        with bound_contextvars(session=where.session, call=where.call):
            if child is not None and await self._has_more_time(where):
                return True
            loaded = await self._records.newest(where)
            if (call := decide.pending(loaded.state, where)) is not None:
                claim = await self._closed_claim(loaded.state, where)
                now = datetime.now(UTC)
                outcome = await self._records.append(loaded, lambda s: decide.overdue(s, where, claim, now))
                if call.status == "open" and decide.is_workers(call):
                    await self._breakers.ended(where, call.served_as, outcome, now, asked_at=timer.asked_at)
                if call.status == "open" and child is None:
                    await self._stop_workers(where, call.served_as, where.attempt)
            if child is not None:  # also of a closed call: whoever timed it out may have died before this
                await self._children.stop(where, child)
        return True

    async def _has_more_time(self, where: CallSubject) -> bool:
        """Return whether a child agent may take longer than when the deadline was set, which is set anew then."""
        moved = await self._children.deadlines.of(where)
        if moved is None or moved.at <= datetime.now(UTC):
            return False
        await self._deadlines.store(where, moved.at, Timer(moved.child))
        return True

    async def _closed_claim(self, session: Session, where: CallSubject) -> decide.Claim:
        """Let no worker begin a call any more that must not run twice; return whether one had begun it."""
        call = decide.open_call(session, where.call)
        if call is None or call.attempt != where.attempt or call.retry != "never" or call.child is not None:
            return "none"
        return await claims.close(self._nc, where, call.served_as)

    async def _closed(self, message: Msg, _: PullConsumer) -> bool:
        event = await self._seals.event(message.data)
        if isinstance(event, ToolCancelled):
            where = CallSubject(event.tenant, event.session, event.call, 1)
            if event.child is not None:
                await self._children.stop(where, event.child)
            elif event.tool is not None:  # an earlier version did not name it, and its claims lay elsewhere
                await claims.close(self._nc, where, event.tool)
                await self._stop_workers(where, event.tool)
                await self._breakers.let_go(where, event.tool, datetime.now(UTC))
        return True

    async def _stop_workers(self, where: CallSubject, tool: str, attempt: int | None = None) -> None:
        """Tell the workers of `tool` that nobody waits for the call any more: a hint, after the log has it."""
        stop = StopCall(where.session, where.call, attempt)
        await self._nc.publish(stop_subject(where.tenant, tool), msgspec.json.encode(stop))

    async def _child_requested(self, message: Msg, consumer: PullConsumer) -> bool:
        event = await self._seals.event(message.data)
        if not isinstance(event, ToolRequested) or event.child is None:
            return True
        timer_subject(event.tenant, event.session, event.call, event.attempt)
        with bound_contextvars(session=event.session, call=event.call):
            try:
                waits = await self._children.start(event, event.child)
            except Exception:
                await self._deadlines.set(event)  # however long this goes on, the call ends in time
                raise
            if waits:
                await self._deadlines.opened(event, message, consumer)
        return not waits

    async def _child_ended(self, message: Msg, _: PullConsumer) -> bool:
        event = await self._seals.event(message.data)
        if isinstance(event, TurnFinished) and event.parent is not None:
            await self._children.ended(event, event.parent)
        return True


def _read(data: bytes, most: int) -> ToolAnswer:
    """Return the answer in `data`; raise `ValueError` if it is none, or one that had to go through BLOB."""
    if len(data) > most + ENVELOPE_BYTES:
        raise ValueError(f"it has {len(data)} bytes; over {most} a result goes to BLOB and the answer refers to it")
    answer = _answer.decode(data)
    if answer.worker is not None:
        checked_id(answer.worker, "worker")
    return answer


def build(broker: NatsBroker, settings: Settings) -> ToolGateway:
    """Return the service. FastStream answers registrations; the queues are pulled by nats-py."""
    return ToolGateway(broker, settings)
