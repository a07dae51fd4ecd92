"""`stenograph sessions raise-budget`: allow a turn, or a session, more than its protocol does.

    $ stenograph sessions raise-budget 2f01 --turn --tokens 20000
    turn 91d2… may use 20,000 tokens more, and goes on

A turn waits while an answer of its model would take it, or its session, over a budget.
"""

import asyncio
from contextlib import aclosing
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from stenograph_services.cli import output
from stenograph_services.cli.connect import (
    DEFAULT_DATA,
    DEFAULT_TENANT,
    Data,
    Json,
    NatsUrl,
    Place,
    Tenant,
    connected,
    run,
)

if TYPE_CHECKING:
    from stenograph_events import StoredEvent
    from stenograph_events.types import BudgetExceeded, BudgetRaised
    from stenograph_projections.session import Session as Folded
    from stenograph_sdk import Session

RECORDED_SECONDS = 10.0  # an orchestrator that restarts is back within this
LOOKED_SECONDS = 1.0  # whether it is enough shows at once, unless the model is silent for now: then it is
MOST = 10**12  # tokens, steps, seconds or dollars


class More(NamedTuple):
    """How much more is allowed, and to whom."""

    turn: bool
    tokens: int
    cost: Decimal
    steps: int
    seconds: float
    request: str | None


class Raised(NamedTuple):
    """What came of it: `exceeded` if the turn waits for a budget again, or still."""

    session: str
    event: "BudgetRaised"
    waited: bool
    exceeded: "BudgetExceeded | None"


def raise_budget(
    session: Annotated[
        str, typer.Argument(metavar="ID", help="A session's id, its beginning, or `last`.", show_default=False)
    ],
    turn: Annotated[
        bool, typer.Option("--turn/--session", help="Of the turn that runs, or of the session with all its turns.")
    ] = True,
    tokens: Annotated[int, typer.Option(min=0, max=MOST, metavar="N", help="Tokens that models may use more.")] = 0,
    cost: Annotated[str, typer.Option(metavar="USD", help="US dollars that models may cost more.")] = "0",
    steps: Annotated[int, typer.Option(min=0, max=MOST, metavar="N", help="Answers of models more.")] = 0,
    seconds: Annotated[float, typer.Option(min=0, max=MOST, metavar="S", help="Seconds more.")] = 0,
    request: Annotated[
        str | None, typer.Option(metavar="ID", help="Sent again under the same id, it raises the budget once.")
    ] = None,
    nats_url: NatsUrl = None,
    tenant: Tenant = DEFAULT_TENANT,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Allow a turn that waits for its budget, or a whole session, more. The exit code is 1 if it is still too little.

    Example: stenograph sessions raise-budget last --turn --tokens 20000

    Example: stenograph sessions raise-budget 2f01 --session --cost 1.50
    """
    more = More(turn, tokens, _dollars(cost), steps, seconds, request)
    if not (tokens or more.cost or steps or seconds):
        raise typer.BadParameter("say by how much: give at least one of them, over 0", param_hint="--tokens, --cost …")
    raised = run(_raise(Place.of(nats_url, tenant, data), session, more))
    if as_json:
        output.print_json(_document(raised))
    else:
        typer.echo(_sentence(raised, more))
    if raised.exceeded is not None:
        raise typer.Exit(1)


def _dollars(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or not 0 <= amount <= MOST:
        raise typer.BadParameter(f"{text!r} is no amount of US dollars, such as 1.50", param_hint="--cost")
    return amount


async def _raise(place: Place, given: str, more: More) -> Raised:
    from stenograph_projections import session as fold
    from stenograph_services.cli.reading import logs_of

    async with connected(place, for_clients=True) as client:
        logs = logs_of(client, place)
        found = await logs.find(given)
        before = await logs.events(found)
        state = None
        for event in before:
            state = fold.apply(state, event)
        assert state is not None, "a log that is there has events"
        if more.turn and state.turn is None:
            raise output.Failure(f"no turn runs in session {found}: --session raises the budget of all its turns")
        return await _recorded(client.session(found), state, before, more)


async def _recorded(session: "Session", state: "Folded", before: "list[StoredEvent]", more: More) -> Raised:
    """Send the wish and return what the log says of it."""
    from stenograph_events.types import BudgetRaised, TurnFinished

    waited = state.turn is not None and state.turn.exceeded is not None
    wanted = await session.raise_budget(
        scope="turn" if more.turn else "session",
        tokens=more.tokens,
        cost=more.cost,
        steps=more.steps,
        seconds=more.seconds,
        request=more.request,
    )
    after = 0 if more.request else before[-1].n
    try:
        async with asyncio.timeout(RECORDED_SECONDS), aclosing(session.follow(after)) as events:
            async for event in events:
                match event:
                    case BudgetRaised(id=id) if id == wanted:
                        return Raised(session.id, event, waited, await _again(session, event) if waited else None)
                    case TurnFinished() if more.turn and state.turn and event.turn == state.turn.id:
                        raise output.Failure(f"turn {event.turn} was over before its budget could be raised")
    except TimeoutError as error:
        raise output.Failure(
            f"nobody recorded it within {RECORDED_SECONDS:g} s: is `stenograph run orchestrator` running? It is stored "
            "and will be done by the next one that runs"
        ) from error
    raise AssertionError("a log is followed for ever")


async def _again(session: "Session", raised: "BudgetRaised") -> "BudgetExceeded | None":
    """Return the budget that the turn waits for again, None if it goes on."""
    from stenograph_events.types import BudgetExceeded

    try:
        async with asyncio.timeout(LOOKED_SECONDS), aclosing(session.watch(after=raised.n)) as items:
            async for item in items:
                if item.turn == raised.turn:
                    return item if isinstance(item, BudgetExceeded) else None
    except TimeoutError:
        pass
    return None


def _sentence(raised: Raised, more: More) -> str:
    from stenograph_sdk.budgets import added, used_up

    whose = f"turn {raised.event.turn}" if more.turn else f"session {raised.session}"
    said = f"{whose} may use {added(raised.event)} more"
    if raised.exceeded is not None:
        return f"{said}; that is not enough: {used_up(raised.exceeded)}"
    goes_on = "goes on" if more.turn else f"turn {raised.event.turn} goes on"
    return f"{said}, and {goes_on}" if raised.waited else said


def _document(raised: Raised) -> dict[str, Any]:
    event = raised.event
    return {
        "session": raised.session,
        "turn": event.turn,
        "scope": event.scope,
        "tokens": event.tokens,
        "cost": event.cost,
        "steps": event.steps,
        "seconds": event.seconds,
        "event": event.id,
        "n": event.n,
        "goes_on": raised.waited and raised.exceeded is None,
        "exceeded": raised.exceeded,
    }
