"""The state of a session: what the fold keeps of its log. Small, frozen, and bounded.

Everything that grows with the conversation lies in the transcript. What is kept here is the position of the running
turn, its pending calls, the queue, the variables, and the last 1,000 trigger outcomes.
"""

from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Raw

from stenograph_events import BrokenChain, CallId, Event, SessionId
from stenograph_events.values import (
    EMPTY_OBJECT,
    NULL,
    Compaction,
    OfferedTool,
    OnUnknown,
    Parent,
    Retry,
    Sender,
)
from stenograph_projections.spending import NOTHING_RAISED, NOTHING_SPENT, Raised, Spent

OUTCOMES_REMEMBERED = 1_000  # a trigger that is sent again after this many others would be taken for a new one
OUTCOMES_PAGE = 50  # a page is never copied again: one tuple of a thousand took a fifth of the time of a fold

RAISES_REMEMBERED = 100  # the control message of a raise is delivered again within minutes, or never

NO_TODOS = Raw(b"[]")

CallStatus = Literal["needed", "approval", "open", "unknown", "resolution", "checking", "checked", "done"]
ACTED_ON: frozenset[CallStatus] = frozenset({"needed", "unknown", "checked"})
"""Where something follows at once; a call that is not done either waits for somebody."""

UNKNOWN: frozenset[CallStatus] = frozenset({"unknown", "resolution", "checking", "checked"})
"""Where nobody knows whether the call took effect, and somebody is to say."""

Standing = Literal["active", "expired", "cleared"]

ROLLBACKS_REMEMBERED = 100  # as long as for raises


class Decided(msgspec.Struct, frozen=True, array_like=True):
    """What a person decided on a call, and, where it was denied, why."""

    outcome: Literal["granted", "denied"]
    reason: str | None = None


class PendingCall(msgspec.Struct, frozen=True, array_like=True):
    """A call of the running step: needed until it is requested or refused, open until it is answered, then done.

    One that is tried again is needed with the `attempt` that was; `attempts` are allowed.

    With status `approval` it waits for a person, who decides on the arguments that `digest` is of. One whose outcome is
    unknown is either answered by that, or a person says what came of it (`resolution`), or another call, which
    `checks` it, finds out: `answer` is what that one came to.
    """

    call: CallId
    tool: str
    status: CallStatus
    arguments: Raw = EMPTY_OBJECT
    malformed: str | None = None
    attempt: int = 0
    retry: Retry = "never"
    deadline_at: datetime | None = None
    block: int | None = None
    output: str | None = None
    child: SessionId | None = None
    compacts: Compaction | None = None
    client: bool = False
    served: str | None = None
    digest: str | None = None
    decided: Decided | None = None
    on_unknown: OnUnknown | None = None
    checks: CallId | None = None
    answer: Raw = NULL
    attempts: int = 1

    @property
    def served_as(self) -> str:
        """The name under which workers serve it: the parent of a child agent may have given it another one."""
        return self.served or self.tool


class StartedThread(msgspec.Struct, frozen=True, array_like=True):
    """A thread that a block began: where its protocol says how, and what was resolved when it did."""

    trigger: str
    block: int
    system: str = ""
    settings: dict[str, Raw] = {}


class ThreadSize(msgspec.Struct, frozen=True, array_like=True):
    """How much a model reads of a thread: the tokens that its last answer counted, and the bytes that came since.

    Of a thread that was summed up it is the summary alone, until a model has answered and counted the rest.
    """

    tokens: int = 0
    more_bytes: int = 0

    def plus(self, more_bytes: int) -> "ThreadSize":
        return ThreadSize(self.tokens, self.more_bytes + more_bytes)


NOTHING_READ = ThreadSize()


class Summary(msgspec.Struct, frozen=True, array_like=True):
    """What the child agent that answered `call` made of the older part of a thread; `thread.compacted` takes it."""

    of: Compaction
    text: str
    call: CallId


class Turn(msgspec.Struct, frozen=True, array_like=True):
    """The running turn and its position: the block that it last touched, and the model's responses in it."""

    id: str
    trigger: str
    input: Raw
    started: str
    block: int = 0
    step: int = 0
    block_over: bool = False
    calls: tuple[PendingCall, ...] = ()
    cancelling: bool = False
    failures: int = 0
    """Failed attempts of the model at this step."""
    last_failure: str | None = None
    may_retry: bool = True
    """Whether asking again may help, after the last failure."""
    streamed: bool = False
    """Whether somebody may have seen a piece of the answer that failed last."""
    backup_failed: bool = False
    first_failure: str | None = None
    rejected: str | None = None
    """Why the last answer of this block is not of the type that it has to be."""
    summary: Summary | None = None
    not_compacted: int | None = None
    """The block whose thread could not be summarised: it is not tried again in it."""
    exceeded: Literal["turn", "session"] | None = None
    """The budget that the turn waits for."""
    exceeded_at: datetime | None = None
    spent: Spent = NOTHING_SPENT
    raised: Raised = NOTHING_RAISED
    started_at: datetime | None = None
    """When the turn started, moved on by the time in which it waited for a budget."""
    thread: str = "main"
    """The thread of its last message, whose model made the calls."""
    tools: tuple[OfferedTool, ...] = ()
    """What the trigger offers beside the tools of the protocol."""
    sender: Sender | None = None
    traceparent: str | None = None


class QueuedTrigger(msgspec.Struct, frozen=True, array_like=True):
    """A trigger that waits for its turn; `event` is the `trigger.queued` that recorded it."""

    turn: str
    trigger: str
    input: Raw
    event: str
    tools: tuple[OfferedTool, ...] = ()
    sender: Sender | None = None
    traceparent: str | None = None


class Outcomes(msgspec.Struct, frozen=True, array_like=True):
    """Turn ids of the last 1,000 triggers, or a few more, that were answered: started, queued or rejected."""

    recent: tuple[str, ...] = ()
    pages: tuple[tuple[str, ...], ...] = ()

    def __contains__(self, turn: object) -> bool:
        return turn in self.recent or any(turn in page for page in self.pages)

    def plus(self, turn: str) -> "Outcomes":
        recent = (*self.recent, turn)
        if len(recent) < OUTCOMES_PAGE:
            return Outcomes(recent, self.pages)
        return Outcomes((), (*self.pages, recent)[-OUTCOMES_REMEMBERED // OUTCOMES_PAGE :])


class Session(msgspec.Struct, frozen=True):
    """A session as it stands after some event. Two folds of the same log are equal."""

    tenant: str
    session: str
    agent: str
    agent_version: str
    created_at: datetime
    updated_at: datetime
    agent_id: str | None = None
    """None: its log is of a version that did not record it."""
    input: Raw = EMPTY_OBJECT
    variables: dict[str, Raw] = {}
    resources: dict[str, Raw] = {}
    threads: dict[str, StartedThread] = {}
    """Threads that a block began, by name."""
    sizes: dict[str, ThreadSize] = {}
    """Threads that hold anything, by name."""
    parent: Parent | None = None
    todos: Raw = NO_TODOS
    """What its models have noted as things to do: a JSON list."""
    spent: Spent = NOTHING_SPENT
    raised: Raised = NOTHING_RAISED
    raises: tuple[str, ...] = ()
    """The last 100 events that raised a budget, by id."""
    turn: Turn | None = None
    queue: tuple[QueuedTrigger, ...] = ()
    turns: int = 0
    """Turns that were started."""
    outcomes: Outcomes = Outcomes()
    withdrawn: tuple[str, ...] = ()
    """Turn ids that were cancelled before their trigger was seen."""
    woken_by: str | None = None
    """The event that began the current run, while there is one: its delivery is the lease."""
    deliveries_before: int = 0
    """Deliveries of that event which came before the last progress: the base of the crash count."""
    standing: Standing = "active"
    """Whether it takes triggers; an expired or cleared one has to be restored first."""
    rollbacks: tuple[str, ...] = ()
    """The last 100 events that rolled messages back, by id."""
    unknown: str | None = None
    """The first event type that this version did not know. Nothing may be decided on such a session."""

    def size(self, thread: str) -> ThreadSize:
        """Return how much a model reads of `thread`."""
        return self.sizes.get(thread, NOTHING_READ)


def running_turn(session: Session, event: Event) -> Turn:
    """Return the turn that `event` is about; raise `BrokenChain` if none runs."""
    if session.turn is None:
        raise BrokenChain(event.session, event.n, "it is about a turn while none runs")
    return session.turn
