"""One session, as its users see it: send triggers, follow what happens, read the log."""

import uuid
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from decimal import Decimal
from functools import partial
from typing import Any, Literal

import msgspec

from stenograph_events import (
    EMPTY,
    ApprovalDecision,
    EventId,
    Head,
    SessionId,
    StoredEvent,
    TurnId,
    checked_id,
    raise_id,
    shard_of,
    turn_id,
)
from stenograph_events.frames import AnyFrame, TriggerUnanswered
from stenograph_events.types import (
    ApprovalRequested,
    BudgetExceeded,
    Event,
    MessageAdded,
    ResolutionRequested,
    ToolRequested,
    ToolResolved,
    TriggerRejected,
    TurnFinished,
)
from stenograph_events.values import Actor, OfferedTool, Resolution, Sender, TextPart
from stenograph_events.wire import Cancel, RollbackTo, ToolAnswer, Trigger
from stenograph_sdk.approvals import Approval, Decision, deciding, found, how_to_decide, unapproved, waiting
from stenograph_sdk.budgets import how_to_raise, raising, used_up
from stenograph_sdk.encoding import to_json
from stenograph_sdk.errors import TurnNotCompleted, UnknownSession
from stenograph_sdk.following import Follower, TurnWatch
from stenograph_sdk.offering import offered
from stenograph_sdk.questions import Below
from stenograph_sdk.resolutions import Unresolved, how_to_resolve, recorded, resolving, unknown, unresolved
from stenograph_sdk.storing import STORE_SECONDS
from stenograph_sdk.tools import Tool
from stenograph_sdk.tracing import trace_headers
from stenograph_sdk.ways import Way
from stenograph_sdk.words import Words


class Session:
    """A session by its id. Cheap to make; nothing is asked of the server until it is used.

    async for item in session.trigger("user-message", {"USER_MESSAGE": "What plan am I on?"}):
        match item:
            case TextDelta():
                print(item.text, end="", flush=True)
            case TurnFinished():
                print(f"({item.outcome})")
    """

    def __init__(self, way: Way, session: str) -> None:
        self.id = SessionId(checked_id(session, "session"))
        shard_of(session)
        self._way = way
        self._log = way.log(self.id)
        self._feed = way.feed(self.id)
        self._head: Head | None = None
        self._words = Words(way, self.id)

    async def send(
        self,
        name: str,
        input: dict[str, Any] | None = None,
        *,
        request: str | None = None,
        tools: Iterable[Tool | OfferedTool] = (),
        sender: Sender | None = None,
    ) -> TurnId:
        """Send trigger `name` and return the id of its turn, once the server has stored the trigger durably.

        Sending the same `request` id again is safe, now or after a crash: it is one turn. It is an id of the caller's
        own choice, unique within the session; a random one if none is given. `tools` and `sender` as in `trigger`.

        Raises `Refused` if it is too large and `Unconfirmed` if the server did not answer for 15 s. With a client's
        credential also `UnknownSession`; without one a trigger of a session that is not there is stored, and parked.
        """
        request = request or str(uuid.uuid4())
        await self._send(name, input, request, tools=offered(tools), sender=sender)
        return turn_id(self.id, request)

    async def trigger(
        self,
        name: str,
        input: dict[str, Any] | None = None,
        *,
        request: str | None = None,
        timeout: float = STORE_SECONDS,
        rollback: RollbackTo | None = None,
        tools: Iterable[Tool | OfferedTool] = (),
        sender: Sender | None = None,
        traceparent: str | None = None,
        children: bool = True,
    ) -> AsyncGenerator[StoredEvent | AnyFrame, None]:
        """Send trigger `name` and yield its turn as it happens: events in order, and the frames between them.

        With `rollback` what was said after some message goes first; a session that is not idle rejects the trigger.
        `tools` are offered to the model in this turn, beside those of the protocol; each call of one comes as a
        `ToolRequested` with `client`, for `answer`. `sender` stands at what the trigger says. `traceparent` is the
        trace that its tools continue, by default that of the current OpenTelemetry span.

        The last item is `TurnFinished`; or `TriggerRejected`; or, for a session without a log, `TriggerUnanswered`;
        or `TurnCancelRequested`, for a turn that was cancelled while it waited in the queue. After `BudgetExceeded`
        nothing comes until somebody raises the budget or cancels the turn; after `ApprovalRequested` its call waits
        until somebody decides, and after `ResolutionRequested` until somebody says what came of it. With `children`
        those two come as well from the logs of the child agents that the turn waits for, when all else is silent: their
        `session` says where it is decided. Nothing is sent before the first item is asked for. Errors and `request` as
        in `send`, but it tries for `timeout` seconds; and `BrokenChain` if the log was tampered with.
        """
        request = request or str(uuid.uuid4())
        watch, below = TurnWatch(turn_id(self.id, request)), Below(self._way)
        try:
            async with Follower(self._feed, self._log, EMPTY) as follower:
                follower.position = self._head or await self._log.head()
                if await self._send(name, input, request, timeout, rollback, offered(tools), sender, traceparent):
                    await follower.read_from(EMPTY)
                while not watch.over:
                    item = await follower.next()
                    if item is None:
                        for question in await below.news() if children else ():
                            yield question
                        item = await self._when_silent(follower, watch)
                    if item is not None and watch.shows(item):
                        if isinstance(item, Event):
                            below.see(item)
                        if watch.over:  # before the last item goes out: whoever takes it may never come back here
                            self._remember(follower.position)
                        yield item
        except UnknownSession:  # so a gateway says; where the streams are asked, nobody's answer says it
            yield _unanswered(watch.turn)

    async def ask(self, name: str, input: dict[str, Any] | None = None, *, request: str | None = None) -> str:
        """Send trigger `name`, wait for the end of its turn and return the text of the last visible message in it.

        Raises `TurnNotCompleted` if the trigger was rejected or not answered, the turn failed or was cancelled, or it
        waits for a budget: once that is raised, asking again under the same `request` returns the text.
        """
        text = ""
        request = request or str(uuid.uuid4())
        async for item in self.trigger(name, input, request=request):
            match item:
                case MessageAdded(role="assistant", visible=True, independent=False, rejected=None):
                    text = "".join(part.text for part in item.parts if isinstance(part, TextPart)) or text
                case TriggerUnanswered() | TriggerRejected():
                    outcome = "rejected" if isinstance(item, TriggerRejected) else "not answered"
                    raise TurnNotCompleted(str(item.turn), outcome, f"{item.reason}: {item.detail}")
                case BudgetExceeded() if await self._is_last(item):
                    raise TurnNotCompleted(str(item.turn), "paused", f"{used_up(item)}; {how_to_raise(item)}")
                case ApprovalRequested() if await self._is_last(item):
                    raise TurnNotCompleted(str(item.turn), "paused", f"{unapproved(item)}; {how_to_decide(item)}")
                case ResolutionRequested() if await self._is_last(item):
                    raise TurnNotCompleted(str(item.turn), "paused", f"{unknown(item)}; {how_to_resolve(item)}")
                case TurnFinished() if item.outcome != "completed":
                    reason = ": ".join(filter(None, (item.reason, item.detail))) or "no reason given"
                    raise TurnNotCompleted(str(item.turn), item.outcome, reason)
                case TurnFinished():
                    return text
        raise TurnNotCompleted(turn_id(self.id, request), "cancelled", "it was cancelled while it was queued")

    async def answer(self, request: ToolRequested, result: Any = None, *, error: str | None = None) -> None:
        """Answer a call that no worker serves: with `result`, any JSON value, or with an `error` for the model.

        The first answer stands, whoever gives it. Raises what `send` raises.
        """
        value = msgspec.Raw(to_json(result))
        answer = ToolAnswer("succeeded", value) if error is None else ToolAnswer("failed", error=error)
        await self._way.answer(self.id, request, answer, STORE_SECONDS)

    async def cancel(self, turn: str) -> None:
        """Ask for the end of `turn`, whether it runs, waits in the queue or is still on its way. Safe to repeat."""
        await self._way.control(self.id, Cancel(turn), what=f"cancel of turn {turn}", timeout=STORE_SECONDS)

    async def raise_budget(
        self,
        *,
        scope: Literal["turn", "session"] = "turn",
        tokens: int = 0,
        cost: Decimal = Decimal(0),
        steps: int = 0,
        seconds: float = 0,
        request: str | None = None,
    ) -> EventId:
        """Allow the running turn, or the session, so much on top of what its protocol does; `cost` in US dollars.

        Returns the id of the `budget.raised` that will follow, once the server has stored the wish: none follows for a
        turn that is over by then. The same `request` raises it once. Raises `ValueError` for amounts that raise
        nothing, and what `send` raises.
        """
        more = raising(request or str(uuid.uuid4()), scope, tokens, cost, steps, seconds)
        await self._way.control(self.id, more, what=f"raised budget of the {scope}", timeout=STORE_SECONDS)
        return raise_id(self.id, more.request)

    async def approvals(self) -> list[Approval]:
        """Return the calls that wait for a person, also those of the child agents that the session waits for.

        Each is decided on in its own `session`. Raises `UnknownSession` if there is no such session.
        """
        return await self._words.asked(waiting)

    async def approve(
        self, call: str, *, digest: str, reason: str | None = None, name: str | None = None
    ) -> ApprovalDecision:
        """Let `call` run with the arguments that `digest` is of, as `decide` does."""
        return await self.decide(call, "grant", digest, actor=Actor("nats", name=name), reason=reason)

    async def deny(
        self, call: str, *, digest: str, reason: str | None = None, name: str | None = None
    ) -> ApprovalDecision:
        """Do not let `call` run; its model reads the `reason`. As `decide` does."""
        return await self.decide(call, "deny", digest, actor=Actor("nats", name=name), reason=reason)

    async def edit(
        self,
        call: str,
        arguments: dict[str, Any],
        *,
        digest: str,
        reason: str | None = None,
        name: str | None = None,
    ) -> ApprovalDecision:
        """Let `call` run with other `arguments` than those that `digest` is of, as `decide` does."""
        who = Actor("nats", name=name)
        return await self.decide(call, "edit", digest, actor=who, arguments=arguments, reason=reason)

    async def decide(
        self,
        call: str,
        decision: Decision,
        digest: str,
        *,
        actor: Actor,
        arguments: dict[str, Any] | None = None,
        reason: str | None = None,
    ) -> ApprovalDecision:
        """Decide on a call that waits for a person, and return the event that records it.

        The first decision stands: the same one again returns its event, another one raises `NotDecided`, and so does
        one on a call that does not wait, or that names another `digest`; those store nothing. It also raises
        `UnknownSession`, `ValueError` for arguments without an edit, and what `send` raises.
        """
        wanted = deciding(str(uuid.uuid4()), call, decision, digest, actor, arguments, reason)
        return await self._words.say(wanted, partial(found, wanted=wanted))

    async def unresolved(self) -> list[Unresolved]:
        """Return the calls whose outcome is unknown and that a person is asked about, as `approvals` does."""
        return await self._words.asked(unresolved)

    async def resolve(
        self,
        call: str,
        outcome: Resolution,
        *,
        result: Any = None,
        error: str | None = None,
        reason: str | None = None,
        name: str | None = None,
        actor: Actor | None = None,
    ) -> ToolResolved:
        """Say what came of a call that a person is asked about, and return the event that records it.

        With `succeeded` its model reads `result`, with `failed` the `error`, with `unknown` that nobody knows. The
        first word stands; errors as in `decide`, and `ValueError` for what contradicts itself.
        """
        who = actor or Actor("nats", name=name)
        wanted = resolving(str(uuid.uuid4()), call, outcome, who, result, error, reason)
        return await self._words.say(wanted, partial(recorded, wanted=wanted))

    async def events(self, after: int = 0) -> AsyncGenerator[StoredEvent, None]:
        """Yield the events of the log as it stands now whose number is over `after`, each one checked to follow.

        Raises `UnknownSession` if there is no log, and `BrokenChain` where the log is not what was written.
        """
        start = self._start(after)
        head = await self._existing_head()
        async with aclosing(self._log.read(start, head.sequence)) as reading:
            async for event, _ in reading:
                if event.n > after:
                    yield event

    async def follow(self, after: int = 0) -> AsyncGenerator[StoredEvent, None]:
        """Yield the events over `after`, then those to come, for ever.

        It outlives lost connections and restarts of the server. Errors as in `events`.
        """
        async with aclosing(self.watch(after)) as watching:
            async for item in watching:
                if isinstance(item, Event):
                    yield item

    async def watch(self, after: int = 0) -> AsyncGenerator[StoredEvent | AnyFrame, None]:
        """Yield what `follow` yields, and the frames of every turn between the events, as a screen wants them."""
        start = self._start(after)
        await self._existing_head()
        async with aclosing(self.watch_from(start)) as watching:
            async for item in watching:
                if not isinstance(item, Event) or item.n > after:
                    yield item

    async def watch_from(self, head: Head) -> AsyncGenerator[StoredEvent | AnyFrame, None]:
        """Yield what `watch` yields, beyond a place up to which the caller knows the log."""
        async with Follower(self._feed, self._log, EMPTY) as follower:
            await follower.read_from(head)
            while True:
                item = await follower.next()
                if item is not None:
                    yield item

    async def _send(
        self,
        name: str,
        input: dict[str, Any] | None,
        request: str,
        timeout: float = STORE_SECONDS,
        rollback: RollbackTo | None = None,
        tools: tuple[OfferedTool, ...] = (),
        sender: Sender | None = None,
        traceparent: str | None = None,
    ) -> bool:
        """Send a trigger and return whether the server knew the request already."""
        given = msgspec.Raw(to_json(input or {}))
        trigger = Trigger(given, checked_id(request, "request"), rollback, tools, sender)
        headers = trace_headers(traceparent)
        return await self._way.start(self.id, checked_id(name, "trigger"), trigger, timeout, headers)

    async def _when_silent(self, follower: Follower, watch: TurnWatch) -> TriggerUnanswered | None:
        """Look for a turn that has not begun: in the whole log, once; without a log nobody will answer."""
        if watch.began:
            return None
        if follower.position == EMPTY:
            return _unanswered(watch.turn)
        if not watch.searched:  # a request of long ago, sent again, has its turn further up in the log
            watch.searched = True
            await follower.read_from(EMPTY)
        return None

    async def _is_last(self, event: Event) -> bool:
        """Return whether the log holds no more of the turn: one that went on meanwhile is told from its beginning.

        What is asked in the log of a child agent is told only while it stands.
        """
        if event.session != self.id:
            return True
        async with aclosing(self.events(after=event.n)) as later:
            async for one in later:
                if one.turn == event.turn:
                    return False
        return True

    def _remember(self, head: Head) -> None:
        if head.n and (self._head is None or head.n > self._head.n):
            self._head = head

    def _start(self, after: int) -> Head:
        """Return the last head that we know and that is not behind `after`: reading may begin there."""
        return self._head if self._head and self._head.n <= after else EMPTY

    async def _existing_head(self) -> Head:
        head = await self._log.head()
        if head == EMPTY:
            raise UnknownSession(self.id)
        self._remember(head)
        return head


def _unanswered(turn: TurnId) -> TriggerUnanswered:
    return TriggerUnanswered(
        turn=turn, after=0, reason="unknown-session", detail="the session has no log, so nobody answers its triggers"
    )
