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
    given_input,
    run,
)
from stenograph_services.cli.verify import verify

if TYPE_CHECKING:
    from stenograph_events import StoredEvent
    from stenograph_events.frames import AnyFrame
    from stenograph_services.runtime.index import SessionRow

STATUSES = ("idle", "queued", "running", "waiting", "broken")

app = typer.Typer(no_args_is_help=True, help="See what happens in sessions, and act on them.")

Id = Annotated[str, typer.Argument(metavar="ID", help="A session's id, its beginning, or `last`.", show_default=False)]


@app.command("list")
def list_(
    agent: Annotated[str | None, typer.Option(metavar="SLUG", help="Only sessions of this agent.")] = None,
    status: Annotated[str | None, typer.Option(metavar="|".join(STATUSES), help="Only sessions in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, the last touched first.")] = 30,
    tenant: Tenant = DEFAULT_TENANT,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """List sessions, the last touched first, from the index that the projector keeps.

    Example: stenograph sessions list --agent support-chat --status waiting
    """
    if status is not None and status not in STATUSES:
        raise typer.BadParameter(f"{status!r} is none of {', '.join(STATUSES)}", param_hint="--status")
    rows = _indexed(Place("", tenant, data), agent, status, limit)
    if as_json:
        output.print_json(rows)
        return
    columns = ("session", "agent", "status", "turns", "events", "tokens", "touched (UTC)", "title")
    output.print_table(columns, map(_row, rows), right=("turns", "events", "tokens"))
    if len(rows) == limit:
        output.note(f"the last {limit}; --limit shows more")


def _indexed(place: Place, agent: str | None, status: Any, limit: int) -> "list[SessionRow]":
    from stenograph_events import checked_id
    from stenograph_services.runtime.config import load_settings
    from stenograph_services.runtime.index import IndexFailed, SessionIndex

    settings = load_settings(data_dir=place.data)
    if settings.database_url is None and not (file := place.data / "index.db").is_file():
        raise output.Failure(f"no session index at {file}: name the projector's folder with --data")
    try:
        index = SessionIndex(settings.index_url())
        try:
            return index.list(checked_id(place.tenant, "tenant"), agent=agent, status=status, limit=limit).rows
        finally:
            index.close()
    except IndexFailed as error:
        raise output.Failure(f"the session index cannot be read: {str(error).splitlines()[0]}") from error


def _row(row: "SessionRow") -> tuple[str, ...]:
    return (
        row.session,
        row.agent,
        row.status,
        str(row.turns),
        str(row.events),
        str(row.input_tokens + row.output_tokens),
        f"{row.updated_at:%Y-%m-%d %H:%M:%S}",
        output.printable(" ".join((row.problem or row.title or "").split()))[:60],
    )


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
    from stenograph_services.cli.reading import Logs
    from stenograph_services.cli.story import summary
    from stenograph_services.runtime.errors import UnknownSession

    async with connected(place) as client:
        logs = Logs(client.connection.nats, place)
        found = await logs.find(session)
        stored = await logs.read(found)
    if not stored:
        raise UnknownSession(found)
    if as_json:
        for one in stored:
            output.print_json_line(one.data)
        return
    events = [decode(one.data) for one in stored]
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
    from stenograph_services.cli.reading import Logs

    async with connected(place) as client:
        found = await Logs(client.connection.nats, place).find(session)
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
        list[str] | None, typer.Option("--input", "-i", metavar="KEY=VALUE", help="An input as text, or KEY:=JSON.")
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
    """Send a trigger and follow its turn. The exit code is 1 unless the turn completes.

    Example: stenograph sessions trigger last user-message -i USER_MESSAGE="What plan am I on?"
    """
    place, values = Place.of(nats_url, tenant, data), given_input(input or [], json_input)
    if not run(_trigger(place, session, name, values, request, wait, as_json)):
        raise typer.Exit(1)


async def _trigger(
    place: Place, session: str, name: str, values: dict[str, Any], request: str | None, wait: bool, as_json: bool
) -> bool:
    """Return whether the turn completed, or, without waiting, true."""
    from stenograph_events.types import TurnFinished
    from stenograph_services.cli.reading import Logs

    async with connected(place) as client:
        logs = Logs(client.connection.nats, place)
        found = await logs.find(session)
        before = await logs.events(found)  # a trigger for no session would be stored all the same, and parked
        if not wait:
            turn = await client.session(found).send(name, values, request=request)
            typer.echo(json.dumps({"session": found, "turn": turn}) if as_json else turn)
            return True
        teller = Teller(as_json=as_json)
        teller.skip(before)
        async for item in client.session(found).trigger(name, values, request=request):
            teller.item(item)
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
    from stenograph_projections import session as fold
    from stenograph_services.cli.reading import Logs

    async with connected(place) as client:
        logs = Logs(client.connection.nats, place)
        found = await logs.find(session)
        state = None
        for event in await logs.events(found):
            state = fold.apply(state, event)
        if turn is None and (state is None or state.turn is None):
            raise output.Failure(f"no turn runs in session {found}")
        asked = checked_id(turn, "turn") if turn else state.turn.id if state and state.turn else ""
        await client.session(found).cancel(asked)
    return found, asked


app.command()(verify)


class Teller:
    """Prints a session's events as lines of the timeline, and the frames between them as they come."""

    def __init__(self, *, full: bool = False, as_json: bool = False) -> None:
        from stenograph_services.cli.story import Story
        from stenograph_services.cli.timeline import Timeline

        self._story = Story()
        self.timeline: Timeline = Timeline(output.line_width(), full=full)
        self._as_json = as_json
        self._stream = output.Stream()

    def skip(self, events: "list[StoredEvent]") -> None:
        """Take note of `events`, which are not printed: later ones refer to them."""
        for event in events:
            self._story.tell(event)

    def item(self, item: "StoredEvent | AnyFrame") -> None:
        from stenograph_events import Event
        from stenograph_events.frames import ReasoningDelta, TextDelta, TriggerUnanswered, encode_frame

        match item:
            case Event():
                self.event(item)
            case _ if self._as_json:
                output.print_json_line(encode_frame(item))
            case TextDelta() | ReasoningDelta():
                self._stream.text(item.text, dim=True)
            case TriggerUnanswered():
                self._stream.end_line()
                output.complain(f"{item.reason}: {item.detail}")

    def event(self, event: "StoredEvent") -> None:
        from stenograph_events import encode

        if self._as_json:
            output.print_json_line(encode(event))
            return
        self._stream.end_line()
        output.print_lines(self.timeline.lines(self._story.tell(event)))
