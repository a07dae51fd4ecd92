"""`stenograph tenants quota`: how much the workers of a tenant may have uploaded at once, and how much they have.

$ stenograph tenants quota acme --uploads 1GiB
tenant  uploads  in use   set
acme    1.0GiB   12.4MiB  for this tenant
"""

from typing import TYPE_CHECKING, Annotated

import typer

from stenograph_services.cli import output
from stenograph_services.cli.connect import (
    DEFAULT_DATA,
    Data,
    Json,
    NatsUrl,
    Place,
    connected,
    run,
    sealing_settings,
)

if TYPE_CHECKING:
    from stenograph_services.runtime.uploads import Quota

LEAST = 1024**2  # two chunks: of less no large result would ever fit


def quota(
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="Its name, as in every subject.", show_default=False)],
    uploads: Annotated[
        str | None,
        typer.Option("--uploads", metavar="SIZE", help="Such as 512MiB; `default` is STENOGRAPH_UPLOAD_QUOTA_BYTES."),
    ] = None,
    nats_url: NatsUrl = None,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Show, or set, how much the workers of a tenant may have uploaded that is not recorded yet. Nothing is dropped.

    A tenant that has used it up harms no other: its own calls with large results fail, and say so.

    Example: stenograph tenants quota acme --uploads 512MiB
    """
    room = None if uploads in (None, "default") else _bytes(uploads or "")
    found = run(_quota(Place.of(nats_url, tenant, data), uploads is not None, room))
    if as_json:
        output.print_json({"tenant": tenant, "quota_bytes": found.room, "used_bytes": found.used, "own": found.own})
        return
    row = (tenant, _text(found.room), _text(found.used), "for this tenant" if found.own else "for all")
    output.print_table(("tenant", "uploads", "in use", "set"), [row])


async def _quota(place: Place, change: bool, room: int | None) -> "Quota":
    from stenograph_services.runtime.uploads import Quota, quota_of, set_quota

    settings = sealing_settings(place)
    async with connected(place) as client:
        if change:
            await set_quota(client.connection.nats, settings, place.tenant, room)
        found = await quota_of(client.connection.nats, place.tenant)
    return found or Quota(settings.upload_quota_bytes, own=False, used=0)


def _bytes(size: str) -> int:
    from pydantic import ByteSize, TypeAdapter, ValidationError

    try:
        found = int(TypeAdapter(ByteSize).validate_python(size))
    except ValidationError as error:
        raise typer.BadParameter(f"{size!r} is no size such as 512MiB", param_hint="--uploads") from error
    if found < LEAST:
        raise typer.BadParameter(f"{size} is too little: at least 1MiB", param_hint="--uploads")
    return found


def _text(size: int) -> str:
    from pydantic import ByteSize

    return ByteSize(size).human_readable()
