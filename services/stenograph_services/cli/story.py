"""The story of a session: each event as one sentence, with the time that it took. Pure.

Told(3, …, "message", 1, "user", "What plan am I on?", took=None, mood="plain")
Told(6, …, "tool-result", 2, "get-user-account ok", '{"plan":"pro"}', took=33ms, mood="good")
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, NamedTuple

from msgspec import Raw

from stenograph_events import StoredEvent, class_of
from stenograph_events.types import (
    ApprovalDenied,
    ApprovalEdited,
    ApprovalGranted,
    ApprovalRequested,
    BlockFinished,
    BudgetExceeded,
    BudgetRaised,
    Event,
    MessageAdded,
    MessagesRolledBack,
    ModelFailed,
    ResolutionRequested,
    SessionCleared,
    SessionCreated,
    SessionExpired,
    SessionRestored,
    ThreadCompacted,
    ThreadStarted,
    ToolAnswered,
    ToolAnswerRejected,
    ToolCancelled,
    ToolFailed,
    ToolOutcome,
    ToolOutcomeUnknown,
    ToolRefused,
    ToolRequested,
    ToolResolved,
    ToolSucceeded,
    ToolTimedOut,
    TriggerQueued,
    TriggerRejected,
    TurnCancelRequested,
    TurnFinished,
    TurnStarted,
    UnknownEvent,
)
from stenograph_events.values import (
    BlobRef,
    FilePart,
    ReasoningPart,
    TextPart,
)
from stenograph_sdk.approvals import actor_name
from stenograph_sdk.budgets import added, dollars, used_up
from stenograph_sdk.resolutions import said_by

Mood = Literal["plain", "turn", "good", "bad", "quiet"]

OUTER, TURN, STEP = 0, 1, 2  # how deep an event lies: in the session, in its turn, in a step of the turn


class Told(NamedTuple):
    """One event, told. `text` may be long and hold line ends; `since` is the time since the event before."""

    n: int
    at: datetime
    since: timedelta | None
    event_class: str
    depth: int
    what: str
    text: str
    took: timedelta | None
    mood: Mood


class Story:
    """Tells events in order, and remembers of them what later ones refer to."""

    def __init__(self) -> None:
        self.turns = 0
        self._last: datetime | None = None
        self._numbers: dict[str | None, int] = {}
        self._began: dict[str | None, datetime] = {}
        self._queued: dict[str | None, datetime] = {}
        self._requested: dict[str, datetime] = {}
        self._tools: dict[str, str] = {}

    def tell(self, event: StoredEvent) -> Told:
        """Return `event` told; call it for each event of a log, in order."""
        took = self._took(event)
        self._remember(event)
        depth, what, text, mood = self._sentence(event)
        since = event.at - self._last if self._last else None
        self._last = event.at
        event_class = "?" if isinstance(event, UnknownEvent) else class_of(event)
        return Told(event.n, event.at, since, event_class, depth, what, text, took, mood)

    def tool(self, call: str) -> str:
        """Return which tool `call` is of."""
        return self._tools.get(call, f"call {call}")

    def _took(self, event: Event) -> timedelta | None:
        """Return how long what `event` ends went on: a turn, a call, a model's answer, the wait in the queue."""
        since: datetime | None = None
        match event:
            case TurnStarted():
                since = self._queued.get(event.turn)
            case TurnFinished():
                since = self._began.get(event.turn)
            case (
                ToolSucceeded()
                | ToolFailed()
                | ToolTimedOut()
                | ToolOutcomeUnknown()
                | ToolCancelled()
                | ToolResolved()
            ):
                since = self._requested.get(event.call)
            case MessageAdded(role="assistant", finish_reason="cancelled"):
                since = None
            case MessageAdded(role="assistant") | ModelFailed():
                since = self._last  # a model is asked as soon as the event before stands
        return event.at - since if since else None

    def _remember(self, event: Event) -> None:
        match event:
            case TurnStarted():
                self.turns += 1
                self._numbers[event.turn] = self.turns
                self._began[event.turn] = event.at
            case TriggerQueued():
                self._queued[event.turn] = event.at
            case MessageAdded():
                self._tools.update({call.call: call.tool for call in event.calls})
            case ToolRequested():
                self._requested[event.call] = event.at
                self._tools[event.call] = event.tool

    def _turn(self, event: Event) -> str:
        number = self._numbers.get(event.turn)
        return f"turn {number}" if number else f"turn {short(event.turn or '?')}"

    def _sentence(self, event: StoredEvent) -> tuple[int, str, str, Mood]:
        match event:
            case SessionCreated():
                whose = f", for a call of session {short(event.parent.session)}" if event.parent else ""
                return OUTER, f"created from {event.agent} {event.agent_version}{whose}", pairs(event.input), "turn"
            case SessionExpired():
                return OUTER, f"expired: idle for {duration(timedelta(seconds=event.idle_seconds))}", "", "quiet"
            case SessionRestored():
                return OUTER, _restored(event), "", "turn"
            case SessionCleared():
                return OUTER, "cleared: its messages, variables and resources are shown no more", "", "quiet"
            case MessagesRolledBack():
                where = f"event {event.through}" if event.through else "the beginning"
                return OUTER, f"messages rolled back to {where}", "", "quiet"
            case TurnStarted():
                what = f"{self._turn(event)}: {event.trigger}{_brought(event)}"
                return OUTER, what, pairs(event.input), "turn"
            case TriggerQueued():
                how = "interrupts the running turn" if event.interrupts else "waits for the running turn"
                return OUTER, f"{event.trigger}{_brought(event)} {how}", pairs(event.input), "quiet"
            case TriggerRejected():
                return OUTER, f"{event.trigger} rejected ({event.reason})", event.detail, "bad"
            case TurnCancelRequested():
                return OUTER, f"{self._turn(event)} shall be cancelled", "", "quiet"
            case TurnFinished():
                why = ": ".join(filter(None, (event.reason, event.detail)))
                output = json_text(event.output) if event.output is not None else ""
                mood: Mood = "turn" if event.outcome == "completed" else "bad"
                return OUTER, f"{self._turn(event)} {event.outcome}", why or output, mood
            case BlockFinished():
                how = "ended: its steps are used up" if event.reason == "max-steps" else "set"
                return TURN, f"block {event.block} {how}", _pairs(event.variables | event.resources), "quiet"
            case ThreadStarted():
                return TURN, f"thread {event.thread} begins", _pairs(event.settings), "quiet"
            case ThreadCompacted():
                what = f"thread {event.thread} summed up to event {event.through}"
                return TURN, what, event.summary, "quiet"
            case BudgetExceeded():
                return TURN, f"{self._turn(event)} waits for a budget", used_up(event), "bad"
            case BudgetRaised():
                return TURN, f"the {event.scope}'s budget raised", added(event), "plain"
            case MessageAdded(rejected=str(why)):
                return TURN, f"{_speaker(event)} rejected", f"{why}: {said(event)}", "bad"
            case MessageAdded():
                return TURN, _speaker(event), said(event), "plain"
            case ModelFailed():
                again = "" if event.retryable else ", for good"
                backup = " as backup" if event.backup else ""
                return TURN, f"{event.model} failed{backup}, attempt {event.attempt}{again}", _failure(event), "bad"
            case ToolRequested():
                return STEP, f"{event.tool} {_wanted(event)}", json_text(event.arguments), "plain"
            case ToolRefused():
                return STEP, f"{event.tool} refused", event.error, "bad"
            case ApprovalRequested():
                return STEP, f"{event.tool} waits for a person", json_text(event.arguments), "bad"
            case ApprovalGranted():
                return STEP, f"{self.tool(event.call)} granted by {actor_name(event.actor)}", event.reason or "", "good"
            case ApprovalDenied():
                return STEP, f"{self.tool(event.call)} denied by {actor_name(event.actor)}", event.reason or "", "bad"
            case ApprovalEdited():
                who = actor_name(event.actor)
                return STEP, f"{self.tool(event.call)} edited by {who}", json_text(event.arguments), "good"
            case ResolutionRequested():
                return STEP, f"a person is asked whether {event.tool} took effect", json_text(event.arguments), "bad"
            case ToolAnswerRejected():
                return STEP, f"{self.tool(event.call)}: an answer was rejected ({event.reason})", event.outcome, "quiet"
            case UnknownEvent():
                return OUTER, f"{event.unknown_type}, which this version does not know", "", "bad"
            case _:
                what, text, mood = outcome(event)
                return STEP, f"{self.tool(event.call)} {what}", text, mood


def outcome(event: ToolOutcome) -> tuple[str, str, Mood]:
    """Return how a call ended, its result or error, and whether that is good."""
    match event:
        case ToolSucceeded(result_ref=BlobRef() as ref):
            return "ok", f"{ref.size:,} bytes in BLOB {ref.sha256[:12]}…", "good"
        case ToolSucceeded():
            return "ok", json_text(event.result), "good"
        case ToolAnswered():
            return "ok", json_text(event.result), "good"
        case ToolFailed():
            return ("failed" if event.kind == "error" else "gave an invalid result") + _again(event), event.error, "bad"
        case ToolTimedOut():
            return f"timed out{_again(event)}", "", "bad"
        case ToolOutcomeUnknown():
            return "began and never answered", "whether it took effect is unknown: look before you repeat it", "bad"
        case ToolResolved():
            return _resolved(event)
        case ToolRefused():
            return "refused", event.error, "bad"
        case ToolCancelled():
            return "cancelled", "", "quiet"


def _again(event: ToolFailed | ToolTimedOut) -> str:
    return " and is tried again" if event.again else ""


def _resolved(event: ToolResolved) -> tuple[str, str, Mood]:
    what = {"succeeded": "took effect", "failed": "failed", "unknown": "stays unknown"}[event.outcome]
    text = json_text(event.result) if event.outcome == "succeeded" else event.error or event.reason or ""
    return f"{what}, {said_by(event)}", text, "good" if event.outcome == "succeeded" else "bad"


def said(event: MessageAdded) -> str:
    """Return the text of a message, its files, and what it calls."""
    text = "\n".join(part.text for part in event.parts if isinstance(part, TextPart))
    files = [f"[{part.filename or part.id}]" for part in event.parts if isinstance(part, FilePart)]
    return " ".join([text, *files, *(f"→ {call.tool}" for call in event.calls)]).strip()


def thoughts(event: MessageAdded) -> str:
    """Return what a thinking model thought before it wrote the message."""
    return "\n".join(part.text for part in event.parts if isinstance(part, ReasoningPart))


def json_text(value: Raw) -> str:
    """Return the JSON of an event as text."""
    return bytes(value).decode(errors="replace")


def pairs(value: Raw) -> str:
    """Return a JSON object as `KEY: value, …`; texts go without their quotes."""
    import msgspec

    try:
        return _pairs(msgspec.json.decode(value, type=dict[str, Raw]))
    except msgspec.MsgspecError:
        return json_text(value)


def summary(events: Iterable[StoredEvent]) -> str:
    """Return what a log amounts to: `12 events, 1 turn, 1 tool call, 510 + 105 tokens, $0.0031`."""
    events = list(events)
    asked = [event for event in events if isinstance(event, MessageAdded | ModelFailed)]
    usages = [event.usage for event in asked if event.usage]
    counts = [
        counted(len(events), "event"),
        counted(sum(isinstance(event, TurnStarted) for event in events), "turn"),
        counted(len({event.call for event in events if isinstance(event, ToolRequested)}), "tool call"),
    ]
    if usages:
        counts.append(f"{sum(u.input_tokens for u in usages):,} + {sum(u.output_tokens for u in usages):,} tokens")
    if costs := [event.cost_usd for event in asked if event.cost_usd is not None]:
        counts.append(dollars(sum(costs, Decimal())))
    return ", ".join(counts)


def short(id: str) -> str:
    """Return the first characters of an id: enough to find it by."""
    return f"{id[:8]}…"


def counted(number: int, thing: str) -> str:
    """Return `1 event`, `12 events`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def duration(took: timedelta) -> str:
    """Return `33ms`, `1.62s`, `4m03s`, `2h05m`, `3d04h`."""
    seconds = took.total_seconds()
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 59.95:
        return f"{seconds:.3g}s"
    for size, name, smaller, small in ((86_400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if seconds >= size:
            return f"{seconds // size:.0f}{name}{seconds % size // smaller:02.0f}{small}"
    return "60s"


def _brought(event: TurnStarted | TriggerQueued) -> str:
    """Return who sent a trigger and which tools it offers, for a reader who knows its name."""
    sender = (event.sender.name or event.sender.id) if event.sender else None
    tools = ", ".join(tool.name for tool in event.tools[:3])
    more = f" and {len(event.tools) - 3} more" if len(event.tools) > 3 else ""
    return (f" of {sender}" if sender else "") + (f" with {tools}{more}" if tools else "")


def _restored(event: SessionRestored) -> str:
    if event.messages:
        return f"restored with {counted(len(event.messages), 'message')} that a client had kept"
    differing = f", {event.differing} of them unlike those of the log" if event.differing else ""
    return f"restored, given {counted(event.submitted, 'message')}{differing}"


def _speaker(event: MessageAdded) -> str:
    thread = "" if event.thread == "main" else f" in {event.thread}"
    backup = f" by backup {event.model}" if event.backup else ""
    cut = f" ({event.finish_reason})" if event.finish_reason in ("cancelled", "length", "content-filter") else ""
    return f"{event.role}{thread}{backup}{cut}"


def _wanted(event: ToolRequested) -> str:
    again = f", attempt {event.attempt}" if event.attempt > 1 else ""
    if event.checks is not None:
        return f"shall find out what came of call {short(event.checks)}{again}"
    if event.child is None:
        return f"wanted{again}"
    what = f"sums up thread {event.compacts.thread} to event {event.compacts.through}" if event.compacts else "runs"
    return f"{what} in session {short(event.child.session)}{again}"


def _failure(event: ModelFailed) -> str:
    return f"{event.error}: {event.detail}"


def _pairs(values: Mapping[str, Raw]) -> str:
    return ", ".join(f"{key}: {_plain(value)}" for key, value in values.items())


def _plain(value: Raw) -> str:
    import msgspec

    return msgspec.json.decode(value, type=str) if bytes(value).startswith(b'"') else json_text(value)
