"""A session as it stood after one of its events: `GET /api/agent-sessions/{id}/state?at=12`.

    {"sessionId":"2f01…","n":12,"hash":"9f2c…","agent":"support-chat","agentVersion":"b7…","status":"waiting",
     "standing":"active","turns":1,"input":{…},"variables":{…},"resources":{…},"todos":[],
     "turn":{"turn":"91d2…","trigger":"user-message","block":1,"step":1,"calls":[{"call":"7e1f…","tool":…}],…},
     "queue":[],"spent":{"tokens":812,"costUsd":"0.0021","steps":1},"createdAt":"…","updatedAt":"…"}

It is folded from the log alone, so the same event always gives the same answer.
"""

from decimal import Decimal
from typing import Literal

from msgspec import Raw

from stenograph_events import Head
from stenograph_events.secrets import shown_json
from stenograph_projections.session import CallStatus, PendingCall, Session, Turn, activity
from stenograph_services.gateway.http.shapes import Shape, iso

StateStatus = Literal["idle", "queued", "running", "waiting", "cancelling", "expired", "cleared"]


class StateCall(Shape, frozen=True, kw_only=True):
    """A call of the running step. `client`: whoever follows the session answers it, not a worker.

    With status `approval` it waits for a person, whose decision has to name the `digest`; with `resolution` for one who
    says what came of it; with `checking` for another call that finds that out.
    """

    call: str
    tool: str
    status: CallStatus
    arguments: Raw
    attempt: int = 0
    deadline_at: str | None = None
    block: int | None = None
    child: str | None = None
    client: bool = False
    digest: str | None = None


class StateTurn(Shape, frozen=True, kw_only=True):
    """The running turn and its position."""

    turn: str
    trigger: str
    input: Raw
    block: int
    step: int
    thread: str
    calls: list[StateCall]
    cancelling: bool = False
    waits_for_budget: Literal["turn", "session"] | None = None
    last_failure: str | None = None
    """Why the model failed last at this step."""


class StateQueued(Shape, frozen=True, kw_only=True):
    turn: str
    trigger: str
    input: Raw


class StateSpent(Shape, frozen=True, kw_only=True, omit_defaults=False):
    """What models consumed. `unpriced` counts the answers whose price nobody knows."""

    tokens: int
    cost_usd: Decimal
    steps: int
    unpriced: int


class SessionState(Shape, frozen=True, kw_only=True):
    """A session after event `n`; `hash` is the SHA-256 of that event's bytes."""

    session_id: str
    n: int
    hash: str
    agent: str
    agent_version: str
    status: StateStatus
    standing: Literal["active", "expired", "cleared"]
    turns: int
    input: Raw
    variables: dict[str, Raw]
    resources: dict[str, Raw]
    todos: Raw
    queue: list[StateQueued]
    spent: StateSpent
    created_at: str
    updated_at: str
    turn: StateTurn | None = None
    parent: str | None = None
    """The session whose call it answers, if it is a child agent's."""


def session_state(session: Session, head: Head) -> SessionState:
    """Return `session`, which stands at `head`, for a client."""
    spent = session.spent
    return SessionState(
        session_id=session.session,
        n=head.n,
        hash=head.hash,
        agent=session.agent,
        agent_version=session.agent_version,
        status=activity(session) if session.standing == "active" else session.standing,
        standing=session.standing,
        turns=session.turns,
        input=shown_json(session.input),
        variables=session.variables,
        resources=session.resources,
        todos=session.todos,
        queue=[StateQueued(turn=one.turn, trigger=one.trigger, input=shown_json(one.input)) for one in session.queue],
        spent=StateSpent(
            tokens=spent.tokens, cost_usd=spent.cost_usd, steps=spent.steps, unpriced=spent.unpriced
        ),
        created_at=iso(session.created_at),
        updated_at=iso(session.updated_at),
        turn=_turn(session.turn) if session.turn else None,
        parent=session.parent.session if session.parent else None,
    )  # fmt: skip


def _turn(turn: Turn) -> StateTurn:
    return StateTurn(
        turn=turn.id,
        trigger=turn.trigger,
        input=shown_json(turn.input),
        block=turn.block,
        step=turn.step,
        thread=turn.thread,
        calls=[_call(call) for call in turn.calls],
        cancelling=turn.cancelling,
        waits_for_budget=turn.exceeded,
        last_failure=turn.last_failure,
    )


def _call(call: PendingCall) -> StateCall:
    return StateCall(
        call=call.call,
        tool=call.tool,
        status=call.status,
        arguments=shown_json(call.arguments),
        attempt=call.attempt,
        deadline_at=iso(call.deadline_at) if call.deadline_at else None,
        block=call.block,
        child=call.child,
        client=call.client,
        digest=call.digest if call.status == "approval" else None,
    )
