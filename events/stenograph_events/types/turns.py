"""Class `turn`: what began a turn, what its blocks did, what it cost and what ended it."""

from decimal import Decimal
from typing import Literal

from msgspec import Raw

from stenograph_events.ids import CallId
from stenograph_events.types.event import Event
from stenograph_events.values import EMPTY_OBJECT, OfferedTool, OptionalRaw, Parent, Sender, Usage


class TurnStarted(Event, frozen=True, kw_only=True, tag="turn.started"):
    """A trigger was accepted. `delivery` is the number of deliveries before it, the base of the crash count.

    `tools` are what the model may call beside those of the protocol. Of a trigger that was queued they stand there.
    `traceparent` is the trace, by W3C Trace Context, that the trigger came in.
    """

    event_class = "turn"
    trigger: str
    input: Raw = EMPTY_OBJECT
    delivery: int = 0
    tools: tuple[OfferedTool, ...] = ()
    sender: Sender | None = None
    traceparent: str | None = None


class TriggerQueued(Event, frozen=True, kw_only=True, tag="trigger.queued"):
    """A trigger waits for the running turn. With `interrupts` it also makes that turn cancelling."""

    event_class = "turn"
    trigger: str
    input: Raw = EMPTY_OBJECT
    interrupts: bool = False
    tools: tuple[OfferedTool, ...] = ()
    sender: Sender | None = None
    traceparent: str | None = None


class TriggerRejected(Event, frozen=True, kw_only=True, tag="trigger.rejected"):
    """A trigger will never start a turn. `reason` is a stable code, `detail` a sentence."""

    event_class = "turn"
    trigger: str
    reason: Literal[
        "busy",
        "queue-full",
        "invalid-input",
        "unknown-trigger",
        "unknown-agent",
        "cancelled",
        "crash-loop",
        "ran-once",
        "expired",
        "unknown-message",
    ]
    detail: str


class TurnCancelRequested(Event, frozen=True, kw_only=True, tag="turn.cancel_requested"):
    """Somebody wants the turn to end, whether it runs, waits in the queue or has not been seen yet."""

    event_class = "turn"


class BlockFinished(Event, frozen=True, kw_only=True, tag="block.finished"):
    """A block ended that no other event ends. Holds the variables and resources that it set.

    It is of the handler `trigger`; of one that sets nothing, and in logs of before, that stays unsaid.
    """

    event_class = "turn"
    block: int
    trigger: str | None = None
    variables: dict[str, Raw] = {}
    resources: dict[str, Raw] = {}
    reason: Literal["done", "max-steps"] = "done"


class ThreadStarted(Event, frozen=True, kw_only=True, tag="thread.started"):
    """A thread begins anew with a model of its own: the block `start-thread` of the handler `trigger` is over.

    `system` is the prompt as rendered now, `settings` what the protocol left to variables, as they stood.
    """

    event_class = "turn"
    block: int
    thread: str
    trigger: str
    system: str = ""
    settings: dict[str, Raw] = {}


class ThreadCompacted(Event, frozen=True, kw_only=True, tag="thread.compacted"):
    """From now on models read `summary` in place of what `thread` held up to event `through`. Nothing is lost."""

    event_class = "turn"
    block: int
    thread: str
    through: int
    summary: str
    call: CallId


class BudgetExceeded(Event, frozen=True, kw_only=True, tag="budget.exceeded"):
    """The turn waits: a model's answer would take it, or its session, over a budget. Raised, it goes on.

    `cost` is in US dollars. `wanted` is what the answer needs at least, on top of `used`; None: its price is unknown.
    """

    event_class = "turn"
    block: int
    scope: Literal["turn", "session"]
    unit: Literal["tokens", "cost", "steps", "seconds"]
    allowed: Decimal
    used: Decimal
    wanted: Decimal | None = None


class BudgetRaised(Event, frozen=True, kw_only=True, tag="budget.raised"):
    """Somebody allows the turn, or its session, more than the protocol does: so much on top."""

    event_class = "turn"
    scope: Literal["turn", "session"]
    tokens: int = 0
    cost: Decimal = Decimal(0)
    steps: int = 0
    seconds: float = 0.0


class ModelFailed(Event, frozen=True, kw_only=True, tag="model.failed"):
    """One attempt to get a model's response failed; nothing of it is in any message.

    `streamed`: somebody may have seen a piece of it. `backup`: it was the backup model's.
    """

    event_class = "turn"
    block: int
    step: int
    attempt: int
    model: str
    error: str
    detail: str
    retryable: bool = False
    usage: Usage | None = None
    cost_usd: Decimal | None = None
    provider: str | None = None
    status: int | None = None
    streamed: bool = False
    backup: bool = False
    latency_ms: int | None = None


class TurnFinished(Event, frozen=True, kw_only=True, tag="turn.finished"):
    """The turn is over. Exactly one for each `turn.started`.

    A child agent's has the value of its `output`, and answers the call of its `parent`.
    """

    event_class = "turn"
    outcome: Literal["completed", "failed", "cancelled"]
    reason: str | None = None
    detail: str | None = None
    output: OptionalRaw = None
    parent: Parent | None = None
