"""`stenograph approvals …`: the calls that wait for a person, and what that one decides.

$ stenograph approvals list
session  call      tool    arguments       until (UTC)
2f01…    7e1f0a2b  refund  {"amount":250}  2026-11-29 10:00
$ stenograph approvals grant 2f01 7e1f
call 7e1f0a2b… granted by ann
"""

import getpass
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

if TYPE_CHECKING:
    from stenograph_events import ApprovalDecision
    from stenograph_sdk.approvals import Approval, Decision

app = typer.Typer(no_args_is_help=True, help="See which calls wait for a person, and decide: grant, deny or edit them.")

Session = Annotated[
    str, typer.Argument(metavar="SESSION", help="The id, the beginning of one, or `last`.", show_default=False)
]
Call = Annotated[str, typer.Argument(metavar="CALL", help="The id, or the beginning of one.", show_default=False)]
Digest = Annotated[
    str | None, typer.Option(metavar="SHA256", help="Decide only if the arguments are still those of this digest.")
]
Reason = Annotated[str | None, typer.Option("--reason", "-r", metavar="TEXT", help="Why; it stands in the log.")]
Name = Annotated[str | None, typer.Option("--as", metavar="NAME", help="Who decides. Default: this account.")]


@app.command("list")
def list_(
    session: Annotated[str | None, typer.Argument(metavar="[SESSION]", help="Only of this session.")] = None,
    nats_url: NatsUrl = None,
    tenant: Tenant = DEFAULT_TENANT,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """List the calls that wait for a person, of one session with its child agents' or of all, the oldest session first.

    Example: stenograph approvals list
    """
    found = run(_list(Place.of(nats_url, tenant, data), session))
    if as_json:
        output.print_json(found)
        return
    rows = [
        (one.session, one.call[:8], one.tool, _arguments(one), f"{one.deadline_at:%Y-%m-%d %H:%M}", one.parent or "–")
        for one in found
    ]
    columns = 6 if any(one.parent for one in found) else 5
    heads = ("session", "call", "tool", "arguments", "until (UTC)", "parent")[:columns]
    output.print_table(heads, [row[:columns] for row in rows])


@app.command()
def show(
    session: Session,
    call: Call,
    nats_url: NatsUrl = None,
    tenant: Tenant = DEFAULT_TENANT,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Show a call that waits for a person: the tool, all of its arguments and their digest.

    Example: stenograph approvals show last 7e1f
    """
    one = run(_show(Place.of(nats_url, tenant, data), session, call))
    if as_json:
        output.print_json(one)
        return
    lines = [
        f"{typer.style(one.tool, bold=True)} of call {one.call}",
        f"session  {one.session}" + (f", a child agent's of {one.parent}" if one.parent else ""),
        f"digest   {one.digest}",
        f"until    {one.deadline_at:%Y-%m-%d %H:%M} UTC",
        output.printable(json.dumps(one.arguments, indent=2, ensure_ascii=False), lines=True),
    ]
    typer.echo("\n".join(lines))


@app.command()
def grant(
    session: Session,
    call: Call,
    digest: Digest = None,
    reason: Reason = None,
    name: Name = None,
    nats_url: NatsUrl = None,
    tenant: Tenant = DEFAULT_TENANT,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Let a call run, with the arguments that it has.

    Example: stenograph approvals grant last 7e1f
    """
    place = Place.of(nats_url, tenant, data)
    _tell(run(_decide(place, session, call, "grant", digest, None, reason, name)), as_json=as_json)


@app.command()
def deny(
    session: Session,
    call: Call,
    digest: Digest = None,
    reason: Reason = None,
    name: Name = None,
    nats_url: NatsUrl = None,
    tenant: Tenant = DEFAULT_TENANT,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Do not let a call run. The model is told so, with the reason, and goes on.

    Example: stenograph approvals deny last 7e1f --reason "not without an invoice"
    """
    place = Place.of(nats_url, tenant, data)
    _tell(run(_decide(place, session, call, "deny", digest, None, reason, name)), as_json=as_json)


@app.command()
def edit(
    session: Session,
    call: Call,
    arguments: Annotated[
        str, typer.Argument(metavar="JSON", help="All of its arguments, as they shall be.", show_default=False)
    ],
    digest: Digest = None,
    reason: Reason = None,
    name: Name = None,
    nats_url: NatsUrl = None,
    tenant: Tenant = DEFAULT_TENANT,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Let a call run with other arguments, which have to fit its tool.

    Example: stenograph approvals edit last 7e1f '{"amount": 50}'
    """
    place, given = Place.of(nats_url, tenant, data), _object(arguments)
    _tell(run(_decide(place, session, call, "edit", digest, given, reason, name)), as_json=as_json)


async def _list(place: Place, session: str | None) -> "list[Approval]":
    from stenograph_sdk.approvals import waiting
    from stenograph_services.cli.reading import logs_of

    async with connected(place, for_clients=True) as client:
        logs = logs_of(client, place)
        if session:
            return await client.session(await logs.find(session)).approvals()
        return [one for found in await logs.sessions() for one in waiting(await logs.events(found))]


async def _show(place: Place, session: str, call: str) -> "Approval":
    from stenograph_services.cli.reading import logs_of

    async with connected(place, for_clients=True) as client:
        found = await logs_of(client, place).find(session)
        return _one(await client.session(found).approvals(), found, call)


async def _decide(
    place: Place,
    session: str,
    call: str,
    decision: "Decision",
    digest: str | None,
    arguments: dict[str, Any] | None,
    reason: str | None,
    name: str | None,
) -> "ApprovalDecision":
    from stenograph_events import SessionId
    from stenograph_events.values import Actor
    from stenograph_services.cli.reading import logs_of

    async with connected(place, for_clients=True) as client:
        found = await logs_of(client, place).find(session)
        if digest is None:
            one = _one(await client.session(found).approvals(), found, call)
            found, call, digest = SessionId(one.session), one.call, one.digest
        actor = Actor("cli", account(), name)
        return await client.session(found).decide(
            call, decision, digest, actor=actor, arguments=arguments, reason=reason
        )


def _one(waiting: "list[Approval]", session: str, call: str) -> "Approval":
    """Return the one call whose id begins with `call`."""
    fitting = [one for one in waiting if one.call.startswith(call)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise output.Failure(f"{len(fitting)} calls that wait begin with {call!r}: write more of the id")
    raise output.Failure(
        f"no call {call!r} waits for a person in session {session}; see `stenograph approvals list {session}`"
    )


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"this is no JSON: {error}", param_hint="JSON") from error
    if not isinstance(value, dict):
        raise typer.BadParameter("arguments are a JSON object", param_hint="JSON")
    return value


def account() -> str:
    """Return the account at this terminal, as the log names who decided there."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _arguments(one: "Approval") -> str:
    text = output.printable(json.dumps(one.arguments, separators=(",", ":"), ensure_ascii=False))
    return text if len(text) <= 60 else text[:59] + "…"


def _tell(event: "ApprovalDecision", *, as_json: bool) -> None:
    from stenograph_events import encode
    from stenograph_sdk.approvals import decided

    if as_json:
        output.print_json_line(encode(event))
    else:
        typer.echo(output.printable(decided(event)))
