"""`stenograph parked …`: what could not be processed, with its reason. Send it again, or drop it.

$ stenograph parked list
id  parked (UTC)         service       subject                               bytes  reason
7   2026-11-22 10:00:00  orchestrator  trig.start.default.2f01….no-session      41  no session '2f01…'
$ stenograph parked retry 7
"""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
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
    from nats.js import JetStreamContext

STREAM = "PARKED"
NO_MESSAGE = 10037  # nothing is there; any other "not found" is about the stream itself

app = typer.Typer(no_args_is_help=True, help="See what could not be processed; send it again or drop it.")

Ids = Annotated[list[int], typer.Argument(metavar="ID...", help="As `parked list` shows them.", show_default=False)]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


class Parked(msgspec.Struct, frozen=True):
    """A parked message. `id` is its sequence in the stream PARKED."""

    id: int
    at: str
    service: str
    subject: str
    reason: str
    body: bytes


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, help="How many, the oldest first.")] = 100,
    nats_url: NatsUrl = None,
    tenant: Tenant = DEFAULT_TENANT,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """List parked messages, the oldest first.

    Example: stenograph parked list
    """
    found = run(_all(Place.of(nats_url, tenant, data), limit))
    if as_json:
        output.print_json([_document(one) for one in found])
        return
    rows = [(str(p.id), _time(p.at), p.service, p.subject, str(len(p.body)), output.printable(p.reason)) for p in found]
    output.print_table(("id", "parked (UTC)", "service", "subject", "bytes", "reason"), rows, right=("id", "bytes"))
    if len(found) == limit:
        output.note(f"the first {limit}; --limit shows more")


@app.command()
def show(
    id: Annotated[int, typer.Argument(metavar="ID", show_default=False)],
    nats_url: NatsUrl = None,
    tenant: Tenant = DEFAULT_TENANT,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Show one parked message: why it is here, where it came from, its body.

    Example: stenograph parked show 7
    """
    found = run(_some(Place.of(nats_url, tenant, data), [id]))[0]
    if as_json:
        output.print_json(_document(found))
        return
    for name in ("id", "at", "service", "subject", "reason"):
        typer.echo(f"{name:<8} {output.printable(str(getattr(found, name)))}")
    typer.echo(f"{'body':<8} {output.printable(_text(found.body), lines=True)}")


@app.command()
def retry(
    ids: Ids,
    yes: Yes = False,
    nats_url: NatsUrl = None,
    tenant: Tenant = DEFAULT_TENANT,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Send parked messages again to where they came from, and take them off the list.

    Example: stenograph parked retry 7 8
    """
    place = Place.of(nats_url, tenant, data)
    found = run(_some(place, ids))
    _confirm("send again", found, yes)
    run(_retry(place, found))
    _done("retried", found, as_json)


@app.command()
def drop(
    ids: Ids,
    yes: Yes = False,
    nats_url: NatsUrl = None,
    tenant: Tenant = DEFAULT_TENANT,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Delete parked messages for good.

    Example: stenograph parked drop 7 --yes
    """
    place = Place.of(nats_url, tenant, data)
    found = run(_some(place, ids))
    _confirm("delete", found, yes)
    run(_drop(place, found))
    _done("dropped", found, as_json)


def _confirm(verb: str, found: list[Parked], yes: bool) -> None:
    import sys

    if yes or not sys.stdin.isatty():
        return
    for one in found:
        output.note(f"{one.id}  {one.subject}  {output.printable(one.reason)}")
    if not typer.confirm(f"{verb} {len(found)}?", err=True):
        raise output.Failure("nothing was done")


def _done(how: str, found: list[Parked], as_json: bool) -> None:
    if as_json:
        output.print_json({how: [one.id for one in found]})
    else:
        typer.echo(f"{how} {', '.join(str(one.id) for one in found)}")


async def _all(place: Place, limit: int) -> list[Parked]:
    async with connected(place) as client:
        found: list[Parked] = []
        while len(found) < limit:
            start = found[-1].id + 1 if found else 1
            one = await _next(place, client.connection.jetstream, start)
            if one is None:
                break
            found.append(one)
        return found


async def _some(place: Place, ids: list[int]) -> list[Parked]:
    async with connected(place) as client:
        found: list[Parked] = []
        for id in dict.fromkeys(ids):
            one = await _next(place, client.connection.jetstream, id) if id > 0 else None
            if one is None or one.id != id:
                raise output.Failure(f"nothing is parked under {id}; `stenograph parked list` shows what is")
            found.append(one)
        return found


async def _next(place: Place, js: "JetStreamContext", start: int) -> Parked | None:
    """Return the tenant's first parked message from sequence `start` on."""
    from nats.js.errors import NotFoundError

    from stenograph_events.subjects import parked_filter

    try:
        message = await js.get_msg(STREAM, seq=start, subject=parked_filter(place.tenant), next=True)
    except NotFoundError as error:
        if error.err_code == NO_MESSAGE:
            return None
        raise
    headers = message.headers or {}
    return Parked(
        id=message.seq or 0,
        at=headers.get("Stenograph-At", ""),
        service=headers.get("Stenograph-Service", "?"),
        subject=headers.get("Stenograph-Subject", ""),
        reason=headers.get("Stenograph-Reason", ""),
        body=message.data or b"",
    )


async def _retry(place: Place, found: list[Parked]) -> None:
    from nats.js.errors import APIError, NoStreamResponseError

    async with connected(place) as client:
        js = client.connection.jetstream
        for one in found:
            if one.subject.startswith("ev."):
                raise output.Failure(
                    f"{one.id} is an event, and events stay in the log: mend what kept it, restart, and drop {one.id}"
                )
            try:
                # Its own id, so that a retry that was cut off may be repeated; not the old one, which is remembered.
                await js.publish(one.subject, one.body, headers={"Nats-Msg-Id": f"parked-{one.id}"})
            except (APIError, NoStreamResponseError) as error:
                why = getattr(error, "description", None) or "no stream takes this subject"
                raise output.Failure(f"{one.id} stays parked, {one.subject} does not take it: {why}") from error
            await js.delete_msg(STREAM, one.id)


async def _drop(place: Place, found: list[Parked]) -> None:
    async with connected(place) as client:
        for one in found:
            await client.connection.jetstream.delete_msg(STREAM, one.id)


def _document(one: Parked) -> dict[str, object]:
    rest = {name: getattr(one, name) for name in ("id", "at", "service", "subject", "reason")}
    return rest | {"bytes": len(one.body), "body": _text(one.body)}


def _text(body: bytes) -> str:
    return body.decode(errors="backslashreplace")


def _time(at: str) -> str:
    try:
        return f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M:%S}"
    except ValueError:
        return at
