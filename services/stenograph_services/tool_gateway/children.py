"""Child agents: the session that answers a parent's call is made and started, its end answered, a cancel passed on.

    the parent's log  tool.requested{child}         →  session.created{parent} in the child's log, trig.start.….run
    the child's log   turn.finished{parent}         →  tool.res.…, as the answer of a worker
    the parent's log  tool.cancelled{child}, TIM    →  trig.control.….cancel

Each may be done twice, or begun by one process and done again by another: ids are derived from the call, and the answer
is write-once. A close that finds no session of the child leaves it to the start, whose delivery is not acked yet: it
looks at the call before and after, and cancels what must not run. It makes the session for that too, so that the cancel
stands in a log before the trigger of a process that was paused arrives there.

What the child's agent would reject is refused here, as a failed call, before there is a session. An orchestrator may
reject the trigger all the same: `crash-loop` (it dies before it can answer), `unknown-agent` (the version can no longer
be read), `busy` or `queue-full` (somebody else triggered the session). None of these is a turn, so nothing answers the
call; its deadline ends it.
"""

from datetime import UTC, datetime

import msgspec
import structlog
from msgspec import Raw
from nats.aio.client import Client

from stenograph_events import EMPTY, SessionId
from stenograph_events.boxes import answer_of
from stenograph_events.subjects import CallSubject, answer_subject, control_subject, trigger_subject
from stenograph_events.tracing import TRACEPARENT
from stenograph_events.types import SessionCreated, ToolRequested, TurnFinished
from stenograph_events.values import Child, Parent
from stenograph_events.wire import Cancel, ToolAnswer, Trigger, message_id
from stenograph_services.protocol.agent import CHILD_TRIGGER
from stenograph_services.runtime.agents import Agents
from stenograph_services.runtime.blobs import Blobs
from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.errors import (
    InputTooLarge,
    InvalidInput,
    SequenceConflict,
    StorageUnavailable,
    UnknownAgent,
)
from stenograph_services.runtime.eventlog import EventLog
from stenograph_services.runtime.jetstream import ALREADY_STORED, JetStreamError, publish
from stenograph_services.tool_gateway import child_decide
from stenograph_services.tool_gateway.child_deadlines import ChildDeadlines
from stenograph_services.tool_gateway.recording import Records

log = structlog.get_logger()


class Children:
    """Starts child agents, answers for them, and stops them."""

    def __init__(self, nc: Client, settings: Settings, log: EventLog, records: Records, agents: Agents) -> None:
        self._nc = nc
        self._settings = settings
        self._log = log
        self._records = records
        self._agents = agents
        self._blobs = Blobs(nc)
        self.deadlines = ChildDeadlines(log, records)

    async def start(self, request: ToolRequested, child: Child) -> bool:
        """Start the child that `request` asks for; return whether the call waits for it.

        A call that is closed, or past its deadline, starts nothing.
        """
        where = child_decide.call_of(request)
        waits = await self._waits(where)
        try:
            agent = await self._agents.version(request.tenant, child.agent, child.version)
            input = child_decide.input_of(request, agent, self._settings.trigger_max_bytes)
        except (UnknownAgent, InvalidInput, InputTooLarge) as problem:
            if waits:
                await self._answer(where, request.tool, child_decide.refused(child.agent, problem))
            return False
        input = await self._with_secrets(request, child, input)
        agent_id = await self._agents.id_of(request.tenant, child.agent)
        await self._create(child_decide.created(request, child, input, datetime.now(UTC), agent_id))
        wanted = waits and await self._has_time(where, request.deadline_at)
        if wanted:
            await self._trigger(where, child.session, request.traceparent)
            wanted = waits = await self._waits(where)
        if not wanted:
            await self._cancel(where, child.session)
        return waits

    async def ended(self, end: TurnFinished, parent: Parent) -> None:
        """Answer the call of `parent` with how the turn of its child ended."""
        where = CallSubject(end.tenant, parent.session, parent.call, parent.attempt)
        tool = parent.tool or await self._tool_of(where)
        if tool is None:
            return
        if end.outcome != "completed":
            await self._answer(where, tool, child_decide.failed(end, await self._agent_of(end)))
            return
        answer = child_decide.succeeded(end)
        if len(bytes(answer.result)) > self._settings.inline_max_bytes:
            key = await self._log.seals.known(where.tenant, where.session)
            sealed_as = answer_of(where.call, where.attempt)
            reference = await self._blobs.put(end.tenant, bytes(answer.result), key=key, sealed_as=sealed_as)
            answer = ToolAnswer("succeeded", result_ref=reference, worker=answer.worker)
        await self._answer(where, tool, answer)

    async def stop(self, where: CallSubject, child: str) -> None:
        """Cancel the turn of a child whose call is closed, unless it ended; see above for one that has no session."""
        if await self._log.leader_sequence(where.tenant, child):
            await self._cancel(where, child)

    async def _with_secrets(self, request: ToolRequested, child: Child, input: Raw) -> Raw:
        """Return `input` with its secrets sealed for the child's session: they came sealed for its parent's."""
        if request.secrets is None:
            return input
        seals = self._log.seals
        theirs = await seals.keys.get(request.tenant, request.session)
        ours = await seals.for_secrets(request.tenant, child.session, 1)
        values = msgspec.json.decode(input)
        sealed = {name: ours.secret(theirs.open_secret(values[name])) for name in request.secrets.names}
        return Raw(msgspec.json.encode({**values, **sealed}))

    # ---- what is stored

    async def _waits(self, where: CallSubject) -> bool:
        return await self._records.open_call(where) is not None

    async def _has_time(self, where: CallSubject, deadline_at: datetime) -> bool:
        """Return whether the call's time is not up; one that began to run before may have got more since."""
        if datetime.now(UTC) < deadline_at:
            return True
        moved = await self.deadlines.of(where)
        return moved is not None and datetime.now(UTC) < moved.at

    async def _create(self, event: SessionCreated) -> None:
        try:
            await self._log.append(event.tenant, event.session, EMPTY, [event])
        except SequenceConflict:
            return  # it was made before, from the same request
        log.info("session.created", session=event.session, agent=event.agent, version=event.agent_version)

    async def _trigger(self, where: CallSubject, child: SessionId, traceparent: str | None) -> None:
        request = child_decide.request_id(where)
        body = msgspec.json.encode(Trigger(request=request))
        subject = trigger_subject(where.tenant, child, CHILD_TRIGGER)
        await self._ask(subject, body, message_id(where.tenant, child, request), traceparent)

    async def _cancel(self, where: CallSubject, child: str) -> None:
        turn = child_decide.child_turn(child, where)
        body = msgspec.json.encode(Cancel(turn))
        await self._ask(
            control_subject(where.tenant, child, "cancel"), body, message_id(where.tenant, child, turn, "cancel")
        )
        log.info("child.cancelled", child=child)

    async def _ask(self, subject: str, body: bytes, message: str, traceparent: str | None = None) -> None:
        headers = {"Nats-Msg-Id": message} | ({TRACEPARENT: traceparent} if traceparent else {})
        try:
            await publish(self._nc, subject, body, headers)
        except JetStreamError as error:  # TRIG is full
            raise StorageUnavailable(str(error)) from error

    async def _answer(self, where: CallSubject, tool: str, answer: ToolAnswer) -> None:
        subject = answer_subject(where.tenant, tool, where.session, where.call, where.attempt)
        try:
            body = msgspec.json.encode(answer)
            body = await self._log.seals.closed_body(where.tenant, where.session, subject, body)
            await publish(self._nc, subject, body)
        except JetStreamError as error:
            if error.code != ALREADY_STORED:
                raise
            return
        log.info("child.answered", call=where.call, outcome=answer.outcome)

    async def _tool_of(self, where: CallSubject) -> str | None:
        """Return the tool of a call if it waits: sessions made by an earlier version do not name it."""
        call = await self._records.open_call(where)
        return call.served_as if call is not None else None

    async def _agent_of(self, end: TurnFinished) -> str:
        """Return which agent the session of `end` is of, as its first event says."""
        first = await self._log.next_event(end.tenant, end.session, 0)
        event = (await self._log.opened(first)).event if first else None
        return event.agent if isinstance(event, SessionCreated) else end.session
