"""How a session stands: everything that its log folds to, as one document and as text."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Literal

import msgspec
from msgspec import Raw
from rich.text import Text

from stenograph_events import EMPTY, Head, decode
from stenograph_events.chain import follow_hash
from stenograph_projections import session as sessions
from stenograph_projections import usage as usages
from stenograph_projections.session import Activity, Session, Turn
from stenograph_projections.usage import UsageByModel
from stenograph_sdk.budgets import dollars
from stenograph_services.cli.connect import Place, connected
from stenograph_services.cli.output import printable
from stenograph_services.cli.reading import logs_of
from stenograph_services.cli.story import json_text, pairs
from stenograph_services.runtime.errors import UnknownSession

Status = Activity | Literal["unknown-events"]


class ShownCall(msgspec.Struct, frozen=True):
    call: str
    tool: str
    status: str
    attempt: int
    deadline_at: datetime | None


class ShownTurn(msgspec.Struct, frozen=True):
    turn: str
    trigger: str
    input: Raw
    block: int
    step: int
    cancelling: bool
    last_failure: str | None
    calls: list[ShownCall]


class Waiting(msgspec.Struct, frozen=True):
    turn: str
    trigger: str
    input: Raw


class ShownUsage(msgspec.Struct, frozen=True):
    responses: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cost_usd: Decimal
    unpriced: int


class Standing(msgspec.Struct, frozen=True):
    """A session after its event `head.n`."""

    session: str
    tenant: str
    agent: str
    agent_version: str
    status: Status
    created_at: datetime
    updated_at: datetime
    turns: int
    input: Raw
    variables: dict[str, Raw]
    resources: dict[str, Raw]
    turn: ShownTurn | None
    queue: list[Waiting]
    usage: dict[str, ShownUsage]
    head: dict[str, str | int]


async def standing(place: Place, given: str) -> Standing:
    """Return how the session that `given` names stands, folded from its log."""
    async with connected(place, for_clients=True) as client:
        logs = logs_of(client, place)
        session = await logs.find(given)
        stored = await logs.read(session)
    state: Session | None = None
    usage: UsageByModel = {}
    head = EMPTY
    for one in stored:
        event = decode(one.opened or one.data)
        head = follow_hash(head, event, one.hashed, one.sequence)
        state = sessions.apply(state, event)
        usage = usages.apply(usage, event)
    if state is None:
        raise UnknownSession(session)
    return _standing(state, usage, head)


def _standing(state: Session, usage: UsageByModel, head: Head) -> Standing:
    return Standing(
        session=state.session,
        tenant=state.tenant,
        agent=state.agent,
        agent_version=state.agent_version,
        status="unknown-events" if state.unknown else sessions.activity(state),
        created_at=state.created_at,
        updated_at=state.updated_at,
        turns=state.turns,
        input=state.input,
        variables=state.variables,
        resources=state.resources,
        turn=_turn(state.turn) if state.turn else None,
        queue=[Waiting(queued.turn, queued.trigger, queued.input) for queued in state.queue],
        usage={model: ShownUsage(**msgspec.structs.asdict(used)) for model, used in usage.items()},
        head={"sequence": head.sequence, "n": head.n, "hash": head.hash},
    )


def _turn(turn: Turn) -> ShownTurn:
    calls = [ShownCall(c.call, c.tool, c.status, c.attempt, c.deadline_at) for c in turn.calls]
    return ShownTurn(
        turn.id, turn.trigger, turn.input, turn.block, turn.step, turn.cancelling, turn.last_failure, calls
    )


def lines(shown: Standing) -> Iterator[Text]:
    """Yield `shown` as text, a name and its value in each line."""
    yield _line("session", shown.session)
    yield _line("agent", f"{shown.agent}, version {shown.agent_version}")
    yield _line("status", shown.status, "bold green" if shown.status == "idle" else "bold yellow")
    yield _line("created", f"{shown.created_at:%Y-%m-%d %H:%M:%S} UTC")
    yield _line("touched", f"{shown.updated_at:%Y-%m-%d %H:%M:%S} UTC")
    yield _line("turns", str(shown.turns))
    yield _line("input", pairs(shown.input))
    if shown.turn:
        yield from _turn_lines(shown.turn)
    for queued in shown.queue:
        yield _line("queued", f"{queued.trigger} {pairs(queued.input)}  turn {queued.turn}")
    for kind, values in (("variable", shown.variables), ("resource", shown.resources)):
        for name, value in values.items():
            yield _line(kind, f"{name} = {json_text(value)}")
    for model, used in shown.usage.items():
        tokens = f"{used.input_tokens:,} + {used.output_tokens:,} tokens"
        yield _line("usage", f"{model}: {used.responses} responses, {tokens}, {_cost(used)}")
    yield _line("head", f"event {shown.head['n']} at sequence {shown.head['sequence']}, sha-256 {shown.head['hash']}")


def _cost(used: ShownUsage) -> str:
    known = dollars(used.cost_usd)
    if not used.unpriced:
        return known
    return "of unknown price" if not used.cost_usd else f"{known}, and {used.unpriced} answers of unknown price"


def _turn_lines(turn: ShownTurn) -> Iterator[Text]:
    yield _line("turn", f"{turn.trigger} {pairs(turn.input)}")
    yield _line("", f"id {turn.turn}, block {turn.block}, step {turn.step}{', cancelling' if turn.cancelling else ''}")
    if turn.last_failure:
        yield _line("", f"the model failed last with {turn.last_failure}", "red")
    for call in turn.calls:
        until = f", until {call.deadline_at:%H:%M:%S} UTC" if call.deadline_at and call.status == "open" else ""
        yield _line("call", f"{call.tool} {call.status}, attempt {call.attempt}{until}  {call.call}", "yellow")


def _line(name: str, value: str, style: str = "") -> Text:
    return Text.assemble((f"{name:<9} ", "dim"), (printable(value), style))
