"""Serve one tool: register it, pull its requests, keep the held ones alive, answer each.

A request is held un-acked, with a heartbeat (`+WPI`) every third of the consumer's ack wait, until its answer is
stored. A worker that dies stops heartbeating, and the server gives its requests to another one.
"""

import asyncio
import logging
from collections import OrderedDict, deque
from contextlib import suppress

import msgspec
import nats.errors
from nats.aio.msg import Msg

from stenograph_events import CallId, Unopened, decode, subjects
from stenograph_events.boxes import AnswerKey, Opened
from stenograph_events.secrets import with_values
from stenograph_events.subjects import stop_subject
from stenograph_events.types import ToolRequested
from stenograph_events.wire import Registered, Registration, StopCall
from stenograph_sdk.asking import request as ask
from stenograph_sdk.calls import Calls
from stenograph_sdk.connection import Connection
from stenograph_sdk.credentials import NOBODY, Identity
from stenograph_sdk.errors import NobodyAnswers, Refused, StenographSdkError
from stenograph_sdk.pull import Pull
from stenograph_sdk.tools import Tool
from stenograph_sdk.verifying import Verifier

log = logging.getLogger("stenograph_sdk")

REGISTER_SECONDS = 30.0  # `stenograph tools list` says to the minute when a worker was seen last
ASK_SECONDS = 15.0
ABANDON_SECONDS = 5.0  # for handlers to hear of their end; one that does not listen is left behind
ANSWERED_KEPT = 10_000  # a request is delivered again within seconds of its answer, if it is
GIVE_BACK_SECONDS = 2.0
BREATH_SECONDS = 0.2  # between a lost consumer and the next registration


_stop = msgspec.json.Decoder(StopCall)


class Held:
    """A request that is here and not yet acked. `message` is its newest delivery."""

    __slots__ = ("answer_key", "message", "request")

    def __init__(self, message: Msg, request: ToolRequested, answer_key: AnswerKey | None) -> None:
        self.message = message
        self.request = request
        self.answer_key = answer_key


class Room:
    """How many calls the whole worker may still run at once, and the tools that share this."""

    def __init__(self, concurrency: int) -> None:
        self.free = concurrency
        self.tools: list[Serving] = []

    async def freed(self) -> None:
        """One call ended: start what waits, then ask for more."""
        self.free += 1
        for serving in self.tools:
            serving.start_waiting()
        for serving in self.tools:
            await serving.pull.fill()


class Serving:
    """One tool of a worker, as it is served."""

    def __init__(
        self,
        connection: Connection,
        tool: Tool,
        calls: Calls,
        room: Room,
        tenant: str,
        worker: str,
        verifier: Verifier,
        identity: Identity = NOBODY,
    ) -> None:
        self.tool = tool
        self.registered = asyncio.Event()
        self.pull = Pull(connection, receive=self._receive, wanted=self._wanted, lost=self.check_registration)
        self._connection = connection
        self._calls = calls
        self._room = room
        self._tenant = tenant
        self._verifier = verifier
        self._identity = identity
        self._worker = worker
        self._limit = tool.concurrency or room.free
        self._running: dict[tuple[CallId, int], Held] = {}
        self._answered: OrderedDict[tuple[CallId, int], None] = OrderedDict()
        self._waiting: deque[Held] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._lost = asyncio.Event()
        self._terms: Registered | None = None
        self._stopping = False

    def check_registration(self) -> None:
        """Register and pull anew: the connection or the consumer was gone."""
        self._lost.set()

    async def serve(self) -> None:
        """Serve until cancelled. Raises `Refused` if the first registration is."""
        await self._connection.nats.subscribe(stop_subject(self._tenant, self.tool.name), cb=self._stopped)
        while True:
            if (terms := await self._register()) is not None:
                await self._begin(terms)
            await self._registration_due()

    async def keep_alive(self) -> None:
        """Heartbeat what is held, for ever, and notice a pull that nobody answers."""
        while True:
            await asyncio.sleep(self._terms.ack_wait_seconds / 3 if self._terms else 1.0)
            self.pull.check()
            for held in (*self._running.values(), *self._waiting):
                with suppress(nats.errors.Error):  # no room to buffer more while reconnecting; the next one may go
                    await held.message.in_progress()

    async def stop(self) -> None:
        """Pull no more, give back what has not begun, and return when the running calls are answered."""
        await self.pull.end()  # what comes meanwhile is run: given back, it could come here again
        self._stopping = True
        waiting, self._waiting = self._waiting, deque()
        for held in waiting:
            await held.message.nak()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def abandon(self, error: StenographSdkError) -> None:
        """End the calls that run, and say so of each: the connection is closed for good, and nothing can be answered.

        The platform gives them to another worker, or ends them at their deadline, as their `retry` says.
        """
        self._stopping = True
        held, self._waiting = (*self._running.values(), *self._waiting), deque()
        for request in (one.request for one in held):
            log.error(
                "tool.call_abandoned tool=%s call=%s attempt=%d retry=%s error=%s",
                *(request.tool, request.call, request.attempt, request.retry, error),
            )
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=ABANDON_SECONDS)

    def start_waiting(self) -> None:
        while self._waiting and self._has_room():
            self._start(self._waiting.popleft())

    async def _register(self) -> Registered | None:
        subject = subjects.register_subject(self._tenant, self.tool.name)
        what = f"the registration of tool {self.tool.name!r}"
        while True:
            body = msgspec.json.encode(self._offer())
            try:
                return await ask(
                    self._connection, subject, body, Registered, what=what, service="tool-gateway", timeout=ASK_SECONDS
                )
            except NobodyAnswers as error:
                log.warning("tool.unregistered tool=%s error=%s", self.tool.name, error)
            except Refused as error:
                if not self._terms:
                    raise
                log.error("tool.registration_refused tool=%s error=%s", self.tool.name, error)
                return None

    def _offer(self) -> Registration:
        tool, key = self.tool, self._identity.tool_key(self.tool.name)
        described = (tool.parameters, tool.description, tool.result)
        seal_to = key.public if key else None
        begins = self._terms is None
        return Registration(tool.name, self._worker, tool.retry, *described, seal_to, begins)

    async def _begin(self, terms: Registered) -> None:
        anew = terms != self._terms or self._lost.is_set()
        self._lost.clear()
        self._terms = terms
        self._calls.max_inline_bytes = terms.max_inline_bytes
        self._calls.max_result_bytes = terms.max_result_bytes
        self._calls.upload_quota_bytes = terms.upload_quota_bytes
        if anew:
            await self.pull.begin(terms.stream, terms.consumer)
            log.info("tool.served tool=%s consumer=%s", self.tool.name, terms.consumer)
        self.registered.set()

    async def _registration_due(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(REGISTER_SECONDS):
                await self._lost.wait()
        if self._lost.is_set():
            await asyncio.sleep(BREATH_SECONDS)

    # ---- requests

    async def _stopped(self, message: Msg) -> None:
        """Stop the handler of a call that nobody waits for, and let go of one that has not begun."""
        try:
            stop = _stop.decode(message.data)
        except msgspec.MsgspecError as error:
            log.warning("tool.unreadable_hint subject=%s error=%s", message.subject, error)
            return
        for held in [held for held in self._waiting if _names(stop, held.request)]:
            self._waiting.remove(held)
            with suppress(nats.errors.Error):
                await held.message.ack()
        self._calls.stop(stop.session, stop.call, stop.attempt)

    def _has_room(self) -> bool:
        return self._room.free > 0 and len(self._running) < self._limit

    def _wanted(self) -> int:
        if self._stopping or self._waiting:
            return 0
        return max(0, min(self._room.free, self._limit - len(self._running)))

    async def _receive(self, message: Msg) -> None:
        if self._stopping:
            await message.nak()
            return
        try:
            opened = self._opened(message.data)
            request = decode(opened.data)
        except Unopened as error:
            await self._give_back(message, error)
            return
        except ValueError as error:
            await self._set_aside(message, str(error))
            return
        if not isinstance(request, ToolRequested):
            await self._set_aside(message, "it is not a tool.requested event")
        elif doubt := self._verifier.doubt(request, message.subject):
            await self._set_aside(message, doubt, call=request.call)
        else:
            await self._believed(message, request, opened.answer_key)

    async def _believed(self, message: Msg, request: ToolRequested, answer_key: AnswerKey | None) -> None:
        try:
            request = with_values(request, self._identity.tool_key(self.tool.name))
        except Unopened as error:
            await self._give_back(message, error)
            return
        if held := self._held(request):
            held.message = message  # delivered again although it is here: this delivery is the one to heartbeat now
        elif (request.call, request.attempt) in self._answered:
            await message.ack()  # its ack was lost, or the queue has it twice: what ran here need not run again
        elif (seconds := self._calls.too_early(request)) > 0:
            await message.nak(delay=seconds)
        elif self._has_room():
            self._start(Held(message, request, answer_key))
        else:
            self._waiting.append(Held(message, request, answer_key))

    def _opened(self, data: bytes) -> Opened:
        key = self._identity.tool_key(self.tool.name)
        return key.open(data) if key else Opened(data, None)

    async def _give_back(self, message: Msg, error: Unopened) -> None:
        """Let another worker have what this one has no key for, or this one once its credential is renewed."""
        mend = "make the credential anew: stenograph workers creds"
        log.error("tool.request_sealed subject=%s error=%s mend=%s", message.subject, error, mend)
        await message.nak(delay=GIVE_BACK_SECONDS)

    async def _set_aside(self, message: Msg, reason: str, call: str = "?") -> None:
        # It is neither run nor answered, so that a forged one closes no call: a true one stays in the session's log,
        # and its deadline answers it. Here it would only come again and again.
        log.error("tool.request_set_aside subject=%s call=%s error=%s", message.subject, call, reason)
        await message.term()

    def _held(self, request: ToolRequested) -> Held | None:
        key = (request.call, request.attempt)
        waiting = (held for held in self._waiting if (held.request.call, held.request.attempt) == key)
        return self._running.get(key) or next(waiting, None)

    def _remember(self, request: ToolRequested) -> None:
        self._answered[request.call, request.attempt] = None
        if len(self._answered) > ANSWERED_KEPT:
            self._answered.popitem(last=False)

    def _start(self, held: Held) -> None:
        self._room.free -= 1
        self._running[held.request.call, held.request.attempt] = held
        task = asyncio.create_task(self._run(held))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, held: Held) -> None:
        try:
            await self._calls.answer(held.request, held.answer_key)
            self._remember(held.request)
            await held.message.ack()
        except (StenographSdkError, nats.errors.Error) as error:
            log.error("tool.answer_not_stored call=%s error=%s", held.request.call, error)  # so it comes again
        finally:
            del self._running[held.request.call, held.request.attempt]
            with suppress(nats.errors.Error):
                await self._room.freed()


def _names(stop: StopCall, request: ToolRequested) -> bool:
    return (stop.session, stop.call) == (request.session, request.call) and stop.attempt in (None, request.attempt)
