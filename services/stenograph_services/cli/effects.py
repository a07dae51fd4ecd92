"""`stenograph effects …`: what tools were asked to do, what came of it, and saying so where nobody knows.

$ stenograph effects list --state asked
asked (UTC)          session  call      tool  state  attempt  worker  took  by
2026-11-22 10:00:00  2f01…    7e1f0a2b  pay   asked  1                2m    ann let it run
$ stenograph effects resolve 2f01 7e1f succeeded --result '{"receipt":"R-17"}'
call 7e1f0a2b… succeeded, says ann
"""

import json
import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from stenograph_services.cli import output
from stenograph_services.cli.approvals import Call, Name, Reason, Session, account
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
    from stenograph_events.types import ToolResolved
    from stenograph_projections.ledger import Effect
    from stenograph_sdk.resolutions import Unresolved

app = typer.Typer(
    no_args_is_help=True, help="See what tools were asked to do and what came of it; say so where nobody knows."
)


class State(StrEnum):  # a list of literals is nothing that Typer reads
    """In which state an effect may be, as `EffectState` says."""

    OPEN = "open"
    ASKED = "asked"
    CHECKING = "checking"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed-out"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"


_SINCE = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@app.command("list")
def list_(
    session: Annotated[str | None, typer.Argument(metavar="[SESSION]", help="Only of this session, all of it.")] = None,
    tool: Annotated[str | None, typer.Option(metavar="TOOL", help="Only of this tool.")] = None,
    state: Annotated[
        list[State] | None, typer.Option(help="Only in this state; may be given several times.", show_default=False)
    ] = None,
    since: Annotated[
        str, typer.Option(metavar="TIME", help="Of all sessions: what was asked for so long ago at most.")
    ] = "1d",
    nats_url: NatsUrl = None,
    tenant: Tenant = DEFAULT_TENANT,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """List what tools were asked to do, the oldest first: of one session, or of all in the last day.

    Of all sessions only the events of calls since then are read, from the log itself, whatever else it holds.

    Example: stenograph effects list --state unknown --since 7d
    """
    found = run(_list(Place.of(nats_url, tenant, data), session, _ago(since)))
    shown = [one for one in found if tool in (None, one.tool) and (not state or one.state in state)]
    if as_json:
        output.print_json(shown)
        return
    output.print_table(
        ("asked (UTC)", "session", "call", "tool", "state", "attempt", "worker", "took", "by"),
        [_row(one) for one in shown],
        right=("attempt", "took"),
    )


@app.command()
def show(
    session: Session,
    call: Call,
    nats_url: NatsUrl = None,
    tenant: Tenant = DEFAULT_TENANT,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Show all that is known of one call: who let it run, each attempt, what came of it, who says so.

    Example: stenograph effects show last 7e1f
    """
    one = _one(run(_list(Place.of(nats_url, tenant, data), session, None)), session, call)
    if as_json:
        output.print_json(one)
        return
    typer.echo(output.printable("\n".join(_lines(one)), lines=True))


@app.command()
def resolve(
    session: Session,
    call: Call,
    outcome: Annotated[Literal["succeeded", "failed", "unknown"], typer.Argument(help="What came of it.")],
    result: Annotated[
        str | None, typer.Option(metavar="JSON", help="What it came to, where it succeeded; it has to fit the tool.")
    ] = None,
    error: Annotated[str | None, typer.Option(metavar="TEXT", help="Why it failed; the model reads it.")] = None,
    reason: Reason = None,
    name: Name = None,
    nats_url: NatsUrl = None,
    tenant: Tenant = DEFAULT_TENANT,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Say what came of a call that began and never answered, where its tool has `onUnknown: ask-person`.

    Look first, in the system that the tool works on. With `unknown` the model is told that nobody knows.

    Example: stenograph effects resolve last 7e1f failed --error "no such payment was made"
    """
    place, given = Place.of(nats_url, tenant, data), _json(result)
    event = run(_resolve(place, session, call, outcome, given, error, reason, name))
    _tell(event, as_json=as_json)


async def _list(place: Place, session: str | None, since: datetime | None) -> "list[Effect]":
    from stenograph_projections.ledger import Ledger
    from stenograph_services.cli.reading import Logs, logs_of

    ledger = Ledger()
    async with connected(place, for_clients=session is not None) as client:
        if session is not None:
            logs = logs_of(client, place)
            for event in await logs.events(await logs.find(session)):
                ledger.take(event)
        else:
            async for event in Logs(client.connection.nats, place).of_calls(since):
                ledger.take(event)
    return ledger.effects


async def _resolve(
    place: Place,
    session: str,
    call: str,
    outcome: Literal["succeeded", "failed", "unknown"],
    result: Any,
    error: str | None,
    reason: str | None,
    name: str | None,
) -> "ToolResolved":
    from stenograph_events.values import Actor
    from stenograph_services.cli.reading import logs_of

    async with connected(place, for_clients=True) as client:
        found = await logs_of(client, place).find(session)
        following = client.session(found)
        whole = _whole(await following.unresolved(), call)
        actor = Actor("cli", account(), name)
        try:
            return await following.resolve(whole, outcome, result=result, error=error, reason=reason, actor=actor)
        except ValueError as problem:
            raise output.Failure(str(problem)) from problem


def _whole(waiting: "list[Unresolved]", call: str) -> str:
    """Return the whole id of the call that begins with `call`, or what was given: the session says what it is."""
    fitting = [one.call for one in waiting if one.call.startswith(call)]
    if len(fitting) > 1:
        raise output.Failure(f"{len(fitting)} calls that somebody asks about begin with {call!r}: write more of the id")
    return fitting[0] if fitting else call


def _one(effects: "list[Effect]", session: str, call: str) -> "Effect":
    fitting = [one for one in effects if one.call.startswith(call)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise output.Failure(f"{len(fitting)} calls begin with {call!r}: write more of the id")
    raise output.Failure(f"no call {call!r} was asked of a tool; see `stenograph effects list {session}`")


def _ago(since: str) -> datetime:
    found = _SINCE.fullmatch(since)
    if found is None:
        raise typer.BadParameter("write it as 30m, 12h or 7d", param_hint="--since")
    return datetime.now(UTC) - timedelta(**{_UNITS[found[2]]: int(found[1])})


def _json(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"this is no JSON: {error}", param_hint="--result") from error


def _row(one: "Effect") -> tuple[str, ...]:
    late = f" (answered late: {one.last.late})" if one.last.late else ""
    return (
        f"{one.attempts[0].requested_at:%Y-%m-%d %H:%M:%S}", one.session, one.call[:8], one.tool, f"{one.state}{late}",
        str(one.last.attempt), _worker(one), _took(one), _by(one),
    )  # fmt: skip


def _worker(one: "Effect") -> str:
    return one.last.worker or ("client" if one.served_by == "client" else "")


def _took(one: "Effect") -> str:
    from stenograph_services.cli.story import duration

    return duration((one.ended_at or datetime.now(UTC)) - one.attempts[0].requested_at)


def _by(one: "Effect") -> str:
    from stenograph_sdk.approvals import actor_name

    allowed = f"{actor_name(one.approved_by)} let it run" if one.approved_by else ""
    said = f"says {actor_name(one.resolved_by)}" if one.resolved_by else f"found {one.check[:8]}" if one.check else ""
    return "; ".join(filter(None, (allowed, said)))


def _lines(one: "Effect") -> list[str]:
    from stenograph_services.cli.story import json_text

    lines = [
        f"{one.tool} of call {one.call}: {one.state}",
        f"session  {one.session}, turn {one.turn}",
        f"retry    {one.retry}",
        *([f"checks   call {one.checks}"] if one.checks else []),
        *([f"by       {_by(one)}"] if _by(one) else []),
        *([f"error    {one.error}"] if one.error else []),
        f"asked    {json_text(one.arguments)}",
    ]
    for each in one.attempts:
        until = f"until {each.deadline_at:%Y-%m-%d %H:%M:%S}"
        ended = f"{each.outcome} at {each.ended_at:%H:%M:%S.%f}" if each.ended_at else until
        late = f", answered late: {each.late}" if each.late else ""
        worker = f", worker {each.worker}" if each.worker else ""
        lines.append(f"attempt  {each.attempt}, from {each.requested_at:%Y-%m-%d %H:%M:%S.%f}, {ended}{worker}{late}")
    return lines


def _tell(event: "ToolResolved", *, as_json: bool) -> None:
    from stenograph_events import encode
    from stenograph_sdk.resolutions import resolved

    if as_json:
        output.print_json_line(encode(event))
    else:
        typer.echo(output.printable(resolved(event)))
