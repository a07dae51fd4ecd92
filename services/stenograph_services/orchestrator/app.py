"""The orchestrator: takes triggers, controls and tool results from JetStream and drives their sessions.

    TRIG  trig.start.…      one event: started, queued or rejected      then drive
    TRIG  trig.control.…    one event: cancel requested, or another     then drive
    EV    …tool-result      is the event                                then drive

Each delivery is a lease on its session, held un-acked with heartbeats until the session waits or is done.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import msgspec
import structlog
from faststream.nats import NatsBroker
from nats.aio.client import Client
from nats.aio.msg import Msg
from structlog.contextvars import bound_contextvars

from stenograph_events import (
    AnyEvent,
    BrokenChain,
    EventError,
    EventId,
    cancel_id,
    decision_id,
    outcome_id,
    raise_id,
    resolution_id,
    turn_id,
    type_of,
)
from stenograph_events.frames import ApprovalRefused, TriggerUnanswered, encode_frame
from stenograph_events.subjects import (
    Pattern,
    TriggerSubject,
    frame_subject,
    hint_subject,
    parse_event,
    parse_trigger,
)
from stenograph_events.tracing import TRACEPARENT, checked_traceparent
from stenograph_events.types import TriggerQueued
from stenograph_events.wire import (
    Approve,
    Cancel,
    Clear,
    Expire,
    Nudge,
    RaiseBudget,
    Resolve,
    Restore,
    Rollback,
    Trigger,
    message_id,
)
from stenograph_projections.session import Session
from stenograph_services.orchestrator import approvals, effects, lifecycle, triggers
from stenograph_services.orchestrator.deliveries import Delivery, Lanes, Superseded
from stenograph_services.orchestrator.driver import Driver
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
from stenograph_services.runtime.eventlog import Stored
from stenograph_services.runtime.parking import park_message
from stenograph_services.runtime.pull import PullConsumer
from stenograph_services.runtime.registry import ToolRegistry
from stenograph_services.runtime.sealing.data_key import WrongSeal
from stenograph_services.runtime.sessions import Loaded, Sessions
from stenograph_services.runtime.streams import TRIG, declare, log_streams

log = structlog.get_logger()

STARTS = "orchestrator-start"
IN_HAND = 256  # turns that one process drives at once; the consumer's max_ack_pending bounds them over all
DRAIN_SECONDS = 8.0  # a model that speaks longer is handed over: its turn goes on elsewhere

Body = TypeVar("Body")
STORAGE_SECONDS = 1.0
KEY_SECONDS = 5.0  # keys come back with a person
_trigger = msgspec.json.Decoder(Trigger)
_cancel = msgspec.json.Decoder(Cancel)
_nudge = msgspec.json.Decoder(Nudge)
_raise = msgspec.json.Decoder(RaiseBudget)
_approve = msgspec.json.Decoder(Approve)
_resolve = msgspec.json.Decoder(Resolve)
_LIVES: dict[str, msgspec.json.Decoder[lifecycle.Asked]] = {
    "expire": msgspec.json.Decoder(Expire),
    "restore": msgspec.json.Decoder(Restore),
    "clear": msgspec.json.Decoder(Clear),
    "rollback": msgspec.json.Decoder(Rollback),
}


class Unanswerable(Exception):
    """A message that no session can take; it is parked with this reason."""


class Orchestrator:
    """The service. Everything it knows it can fold again, so it may be killed at any moment."""

    name = "orchestrator"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumers: list[PullConsumer] = []

    async def start(self, nc: Client) -> None:
        self._nc = nc
        self._sessions = Sessions(nc, self._settings)
        self._agents = Agents(nc)
        self._registry = ToolRegistry(nc)
        self._sessions.log.seals.tool_key = self._registry.seal_to
        self._driver = Driver(nc, self._settings, self._sessions, self._agents, self._registry)
        self._lanes = Lanes(self._work, heartbeat_seconds=self._settings.ack_wait_seconds * 0.3)
        await self._registry.start()
        self._lanes.start()
        await nc.subscribe(Pattern.HINTS, cb=self._hinted)
        await self._consume(TRIG, "orchestrator-control", lane=False)
        await self._consume(TRIG, STARTS, lane=False)  # a busy session answers while its model speaks
        for stream in log_streams(self._settings):
            await self._consume(stream, "orchestrator-wake")

    async def stop(self) -> None:
        for consumer in self._consumers:
            await consumer.stop()
        await self._lanes.drain(DRAIN_SECONDS)
        await self._registry.stop()

    async def reconnected(self) -> None:
        for consumer in self._consumers:
            await consumer.reconnected()

    async def _consume(self, stream: str, durable: str, *, lane: bool = True) -> None:
        def take(message: Msg) -> None:
            self._lanes.take(message, consumer, _session_of(message.subject) if lane else None)

        async def restore() -> None:
            await declare(self._nc, self._settings)

        consumer = PullConsumer(self._nc, stream, durable, take, limit=IN_HAND, restore=restore)
        self._consumers.append(consumer)
        await consumer.start()

    async def _hinted(self, message: Msg) -> None:
        self._driver.stop_listening(message.subject, message.data.decode())

    # ---- one delivery

    async def _work(self, delivery: Delivery) -> float | None:
        """Do what `delivery` asks; return None to ack it, or after how many seconds it shall come again."""
        message = delivery.message
        with bound_contextvars(session=_session_of(message.subject), delivery=delivery.count):
            try:
                await self._done(delivery)
                return None
            except Superseded:
                raise
            except (Unanswerable, EventError) as error:
                if isinstance(error, BrokenChain):
                    log.error("session.broken", error=str(error), mend="stenograph sessions verify")
                    return 60.0
                return await park_message(self._nc, self.name, message, str(error))
            except NewerEvent as error:
                log.error("session.newer", error=str(error))
                return 30.0
            except Exception:
                # A defect of ours, or of the world. It comes again; too often without progress ends the turn.
                log.exception("delivery.failed")
                return float(min(2**delivery.count, 30)) / 4

    async def _done(self, delivery: Delivery) -> None:
        """Do what `delivery` asks. A store that is down, or a key that is not here, is waited for in place.

        Each redelivery would count as a crash.
        """
        while True:
            try:
                if delivery.consumer.stream != TRIG:
                    return await self._woken(delivery)
                if delivery.consumer.durable == STARTS:
                    return await self._triggered(delivery)
                return await self._controlled(delivery)
            except StorageUnavailable as error:
                log.warning("storage.unavailable", error=str(error))
                await asyncio.sleep(STORAGE_SECONDS)
            except KeyDeleted as error:
                raise Unanswerable(str(error)) from error
            except KeyMissing as error:
                log.error("session.sealed", error=str(error))
                await asyncio.sleep(KEY_SECONDS)

    async def _triggered(self, delivery: Delivery) -> None:
        where = parse_trigger(delivery.message.subject)
        wanted = _wanted(delivery.message, await self._body(delivery), where)
        loaded = await self._session(where.tenant, where.session, wanted.turn)
        agent = await self._agents.pinned(loaded.state)
        while True:
            state, head, env = loaded.state, loaded.head, self._driver.env(loaded, delivery)
            event = triggers.outcome(state, agent, wanted, env)
            if event is None:
                break
            try:
                events = lifecycle.with_rollback(state, loaded.entries, wanted, event, env)
                await self._sessions.append(loaded, events, head)
                event = events[-1]
                log.info(type_of(event), turn=wanted.turn, trigger=wanted.name)
                if isinstance(event, TriggerQueued) and event.interrupts and state.turn is not None:
                    await self._hint(where, state.turn.id)
                break
            except SequenceConflict:
                continue
        await self._driver.drive(loaded, agent, delivery, outcome_id(wanted.turn))

    async def _controlled(self, delivery: Delivery) -> None:
        where = parse_trigger(delivery.message.subject)
        match where.name:
            case "cancel":
                await self._cancelled(delivery, where)
            case "budget":
                await self._raised(delivery, where)
            case "approve":
                await self._approved(delivery, where)
            case "resolve":
                await self._resolved(delivery, where)
            case "nudge":
                await self._nudged(delivery, where.tenant, where.session)
            case verb if verb in _LIVES:
                await self._lived(delivery, where)
            case other:
                verbs = "approve, budget, cancel, clear, expire, nudge, resolve, restore and rollback"
                raise Unanswerable(f"no control {other!r}; there are {verbs}")

    async def _raised(self, delivery: Delivery, where: TriggerSubject) -> None:
        more = _decoded(_raise, await self._body(delivery), "budget")
        loaded = await self._session(where.tenant, where.session, "")
        # None: it is recorded already, or there is no turn to allow more.
        await self._record(loaded, lambda state: triggers.raise_budget(state, more, self._driver.env(loaded, delivery)))
        event_id = raise_id(where.session, more.request)
        await self._driver.drive(loaded, await self._agents.pinned(loaded.state), delivery, event_id)

    async def _approved(self, delivery: Delivery, where: TriggerSubject) -> None:
        wanted = _decoded(_approve, await self._body(delivery), "approve")
        event_id = decision_id(where.session, wanted.request)
        await self._said(delivery, where, wanted, event_id, partial(approvals.decision, wanted=wanted))

    async def _resolved(self, delivery: Delivery, where: TriggerSubject) -> None:
        wanted = _decoded(_resolve, await self._body(delivery), "resolve")
        event_id = resolution_id(where.session, wanted.request)
        await self._said(delivery, where, wanted, event_id, partial(effects.said, wanted=wanted))

    async def _said(
        self,
        delivery: Delivery,
        where: TriggerSubject,
        wanted: Approve | Resolve,
        event_id: EventId,
        event_of: Callable[..., AnyEvent],
    ) -> None:
        """Record what a person says of a call, or tell whoever sent it why it changes nothing; then drive."""
        loaded = await self._session(where.tenant, where.session, "")
        agent = await self._agents.pinned(loaded.state)
        refused: list[str] = []  # why, on the last reading that refused it

        def decided(state: Session) -> AnyEvent | None:
            refused.clear()
            try:
                return event_of(state, agent, env=self._driver.env(loaded, delivery))
            except (approvals.NotDecided, effects.NotResolved) as problem:
                refused.append(str(problem))
                return None

        await self._record(loaded, decided)
        if refused:
            answer = ApprovalRefused(
                turn="", after=loaded.head.n, request=wanted.request, call=wanted.call, detail=refused[0]
            )
            await self._nc.publish(frame_subject(where.tenant, where.session), encode_frame(answer))
        await self._driver.drive(loaded, agent, delivery, event_id)

    async def _cancelled(self, delivery: Delivery, where: TriggerSubject) -> None:
        turn = _decoded(_cancel, await self._body(delivery), "cancel").turn
        loaded = await self._session(where.tenant, where.session, turn)
        # None: it is over, rejected, or being cancelled already.
        await self._record(loaded, lambda state: triggers.cancel(state, turn, self._driver.env(loaded, delivery)))
        await self._hint(where, turn)
        await self._driver.drive(loaded, await self._agents.pinned(loaded.state), delivery, cancel_id(turn))

    async def _hint(self, where: TriggerSubject, turn: str) -> None:
        await self._nc.publish(hint_subject(where.tenant, where.session), turn.encode())

    async def _lived(self, delivery: Delivery, where: TriggerSubject) -> None:
        """Record an expiry, a restore, a clear or a rollback. None of them begins a run: there is nothing to drive."""
        wanted = _decoded(_LIVES[where.name], await self._body(delivery), where.name)
        loaded = await self._session(where.tenant, where.session, "")

        def decided(state: Session) -> AnyEvent | None:
            return lifecycle.recorded(state, loaded.head.n, loaded.entries, wanted, self._driver.env(loaded, delivery))

        await self._record(loaded, decided)

    async def _record(self, loaded: Loaded, decided: Callable[[Session], AnyEvent | None]) -> None:
        """Append the event that is `decided` on the session. That there is none counts once the leader has the head."""
        while True:
            state, head = loaded.state, loaded.head
            event = decided(state)
            if event is None:
                if await self._sessions.at_head(loaded):
                    return
                continue
            try:
                await self._sessions.append(loaded, [event], head)
                log.info(type_of(event), turn=event.turn)
                return
            except SequenceConflict:
                continue

    async def _woken(self, delivery: Delivery) -> None:
        message = delivery.message
        where = parse_event(message.subject)
        event = await self._sessions.log.seals.event(message.data)
        loaded = await self._sessions.get(where.tenant, where.session)
        await self._sessions.receive(loaded, event, Stored(delivery.sequence, message.data))
        if loaded.state.woken_by == event.id:
            await self._driver.drive(loaded, await self._agents.pinned(loaded.state), delivery, event.id)

    async def _nudged(self, delivery: Delivery, tenant: str, session: str) -> None:
        """Drive a session that has been silent: its own delivery was lost, not merely late."""
        nudge = _decoded(_nudge, await self._body(delivery), "nudge")
        loaded = await self._sessions.get(tenant, session, fresh=True)
        if loaded.head.n == nudge.n and loaded.state.woken_by == nudge.woken_by:
            log.warning("session.nudged", n=nudge.n)
            agent = await self._agents.pinned(loaded.state)
            await self._driver.drive(loaded, agent, delivery, nudge.woken_by, nudged=True)

    # ---- what a delivery is about

    async def _body(self, delivery: Delivery) -> bytes:
        """Return what a message of TRIG says, opened where it is sealed; raise `Unanswerable`, or `KeyMissing`."""
        subject = delivery.message.subject
        where = parse_trigger(subject)
        try:
            seals = self._sessions.log.seals
            return await seals.opened_body(where.tenant, where.session, subject, delivery.message.data)
        except WrongSeal as error:
            raise Unanswerable(str(error)) from error

    async def _session(self, tenant: str, session: str, turn: str) -> Loaded:
        """Return the session, or answer that there is none. The leader is asked before anything is given up."""
        loaded = await self._sessions.get(tenant, session)
        if loaded.folded is None:
            await self._sessions.at_head(loaded)
        try:
            _ = loaded.state
        except UnknownSession as error:
            answer = TriggerUnanswered(turn=turn, after=0, reason="unknown-session", detail=str(error))
            await self._nc.publish(frame_subject(tenant, session), encode_frame(answer))
            raise Unanswerable(str(error)) from error
        return loaded


def build(_: NatsBroker, settings: Settings) -> Orchestrator:
    """Return the service. Its consumers are nats-py's own: they heartbeat, and run many sessions at once in order."""
    return Orchestrator(settings)


def _session_of(subject: str) -> str:
    """Return the lane of a delivery: tenant and session, in whichever form of subject it came."""
    tokens = subject.split(".")
    return ".".join(tokens[2:4])


def _wanted(message: Msg, body: bytes, where: TriggerSubject) -> triggers.Wanted:
    trigger = _decoded(_trigger, body or b"{}", "trigger")
    headers = message.headers or {}
    given = headers.get("Nats-Msg-Id", "")
    ours = message_id(where.tenant, where.session, "")
    request = trigger.request or given.removeprefix(ours).removeprefix(f"{where.session}:")
    if not request:
        raise Unanswerable("a trigger needs a request id: set the header Nats-Msg-Id")
    turn = turn_id(where.session, request)
    trace = checked_traceparent(headers.get(TRACEPARENT))
    return triggers.Wanted(turn, where.name, trigger.input, trigger.rollback, trigger.tools, trigger.sender, trace)


def _decoded(decoder: msgspec.json.Decoder[Body], data: bytes, what: str) -> Body:
    try:
        data.decode()  # msgspec hands raw values on without a look at their encoding
        return decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unanswerable(f"the {what} is not what docs/events.md describes: {error}") from error
