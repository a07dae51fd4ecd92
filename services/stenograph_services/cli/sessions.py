"""`stenograph sessions …`: what sessions there are, what happened in them, and what to do about it.

    $ stenograph sessions list --status waiting
    $ stenograph sessions log 2f01
    $ stenograph sessions trigger 2f01 user-message --input USER_MESSAGE="What plan am I on?"

A session is named by its id, by a beginning of it that fits no other, or as `last`, the newest one.
"""

import json
from typing import TYPE_CHECKING, Annotated, Any

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
from stenograph_services.cli.inputs import HOW, given_input
from stenograph_services.cli.listing import list_sessions
from stenograph_services.cli.raising import raise_budget
from stenograph_services.cli.verify import verify

if TYPE_CHECKING:
    from stenograph_events import StoredEvent
    from stenograph_projections.session import Session as Folded

app = typer.Typer(no_args_is_help=True, help="See what happens in sessions, and act on them.")
app.command("list")(list_sessions)

Id = Annotated[str, typer.Argument(metavar="ID", help="A session's id, its beginning, or `last`.", show_default=False)]


@app.command()
def show(
    session: Id,
    nats_url: NatsUrl = None,
    tenant: Tenant = DEFAULT_TENANT,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Show how a session stands, folded from its log: agent, turn, open calls, variables, usage.

    Example: stenograph sessions show last
    """
    from stenograph_services.cli.standing import lines, standing

    found = run(standing(Place.of(nats_url, tenant, data), session))
    if as_json:
        output.print_json(found)
    else:
        output.print_lines(lines(found))


@app.command()
def log(
    session: Id,
    full: Annotated[bool, typer.Option("--full", help="Shorten no text.")] = False,
    nats_url: NatsUrl = None,
    tenant: Tenant = DEFAULT_TENANT,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Tell the story of a session: one line for each event. --json prints the events as they are stored.

    Example: stenograph sessions log 2f01 --full
    """
    run(_log(Place.of(nats_url, tenant, data), session, full, as_json))


async def _log(place: Place, session: str, full: bool, as_json: bool) -> None:
    from stenograph_events import decode
    from stenograph_services.cli.reading import logs_of, told
    from stenograph_services.cli.story import summary
    from stenograph_services.cli.telling import Teller
    from stenograph_services.runtime.errors import UnknownSession

    async with connected(place, for_clients=True) as client:
        logs = logs_of(client, place)
        found = await logs.find(session)
        stored = await logs.read(found)
    if not stored:
        raise UnknownSession(found)
    if as_json:
        for one in stored:
            output.print_json_line(told(one))
        return
    events = [decode(one.opened or one.data) for one in stored]
    teller = Teller(full=full)
    output.print_lines([teller.timeline.head()])
    for event in events:
        teller.event(event)
    output.note(f"session {found}: {summary(events)}")


@app.command()
def tail(
    session: Id,
    last: Annotated[int, typer.Option("--last", "-n", min=0, help="How many events of before to show first.")] = 10,
    nats_url: NatsUrl = None,
    tenant: Tenant = DEFAULT_TENANT,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Follow a session as it happens, with the text that a model is writing, until Ctrl-C.

    Example: stenograph sessions tail 2f01 -n 0 --json
    """
    run(_tail(Place.of(nats_url, tenant, data), session, last, as_json))


async def _tail(place: Place, session: str, last: int, as_json: bool) -> None:
    from stenograph_services.cli.reading import logs_of
    from stenograph_services.cli.telling import Teller

    async with connected(place, for_clients=True) as client:
        found = await logs_of(client, place).find(session)
        teller = Teller(as_json=as_json)
        before = [event async for event in client.session(found).events()]
        teller.skip(before[: len(before) - last])
        for event in before[len(before) - last :]:
            teller.event(event)
        async for item in client.session(found).watch(after=before[-1].n):
            teller.item(item)


@app.command()
def trigger(
    session: Id,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The trigger's name in the protocol.")],
    input: Annotated[
        list[str] | None, typer.Option("--input", "-i", metavar="KEY[=VALUE]", help=f"An input. {HOW}")
    ] = None,
    json_input: Annotated[str | None, typer.Option(metavar="JSON", help="All inputs as one JSON object.")] = None,
    request: Annotated[
        str | None, typer.Option(metavar="ID", help="Sent again under the same id, it is one turn.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the turn to its end.")] = True,
    nats_url: NatsUrl = None,
    tenant: Tenant = DEFAULT_TENANT,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Send a trigger and follow its turn, until it is over, or waits for a budget or a person.

    The exit code is 1 unless the turn completes.

    Example: stenograph sessions trigger last user-message -i USER_MESSAGE="What plan am I on?"
    """
    place, values = Place.of(nats_url, tenant, data), given_input(input or [], json_input)
    if not run(_trigger(place, session, name, values, request, wait, as_json)):
        raise typer.Exit(1)


async def _trigger(
    place: Place, session: str, name: str, values: dict[str, Any], request: str | None, wait: bool, as_json: bool
) -> bool:
    """Return whether the turn completed, or, without waiting, true."""
    from stenograph_events.types import ApprovalRequested, BudgetExceeded, Event, ResolutionRequested, TurnFinished
    from stenograph_sdk.approvals import how_to_decide, unapproved
    from stenograph_sdk.budgets import how_to_raise, used_up
    from stenograph_sdk.resolutions import how_to_resolve, unknown
    from stenograph_services.cli.reading import logs_of
    from stenograph_services.cli.telling import Teller

    async with connected(place, for_clients=True) as client:
        logs = logs_of(client, place)
        found = await logs.find(session)
        before = await logs.events(found)  # a trigger for no session would be stored all the same, and parked
        if not wait:
            turn = await client.session(found).send(name, values, request=request)
            typer.echo(json.dumps({"session": found, "turn": turn}) if as_json else turn)
            return True
        teller = Teller(as_json=as_json)
        teller.skip(before)
        turn_now = _folded(before).turn
        told = 0 if turn_now and turn_now.exceeded else before[-1].n  # a budget exceeded before was raised, or is not
        async for item in client.session(found).trigger(name, values, request=request):
            is_childs = isinstance(item, Event) and item.session != found
            if not is_childs:
                teller.item(item)
            if isinstance(item, BudgetExceeded) and item.n > told:
                raise output.Failure(f"the turn waits: {used_up(item)}; {how_to_raise(item)}")
            if isinstance(item, ApprovalRequested) and (is_childs or item.n > before[-1].n):
                raise output.Failure(f"the turn waits: {unapproved(item)}; {how_to_decide(item)}")
            if isinstance(item, ResolutionRequested) and (is_childs or item.n > before[-1].n):
                raise output.Failure(f"the turn waits: {unknown(item)}; {how_to_resolve(item)}")
    return isinstance(item, TurnFinished) and item.outcome == "completed"


@app.command()
def cancel(
    session: Id,
    turn: Annotated[str | None, typer.Argument(metavar="TURN", help="Its id; the running one by default.")] = None,
    nats_url: NatsUrl = None,
    tenant: Tenant = DEFAULT_TENANT,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Ask for the end of a turn: the one that runs, or another by its id, also one that waits in the queue.

    Example: stenograph sessions cancel last
    """
    found, asked = run(_cancel(Place.of(nats_url, tenant, data), session, turn))
    typer.echo(json.dumps({"session": found, "turn": asked}) if as_json else f"turn {asked} will be cancelled")


async def _cancel(place: Place, session: str, turn: str | None) -> tuple[str, str]:
    from stenograph_events import checked_id
    from stenograph_services.cli.reading import logs_of

    async with connected(place, for_clients=True) as client:
        logs = logs_of(client, place)
        found = await logs.find(session)
        running = _folded(await logs.events(found)).turn
        if turn is None and running is None:
            raise output.Failure(f"no turn runs in session {found}")
        asked = checked_id(turn, "turn") if turn else running.id if running else ""
        await client.session(found).cancel(asked)
    return found, asked


def _folded(events: "list[StoredEvent]") -> "Folded":
    from stenograph_projections import session as fold

    state = None
    for event in events:
        state = fold.apply(state, event)
    assert state is not None, "a log that is there has events"
    return state


app.command("raise-budget")(raise_budget)
app.command()(verify)
