"""`stenograph sessions list`: the sessions of a tenant, from the index that the projector keeps."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stenograph_services.cli import output
from stenograph_services.cli.connect import DEFAULT_DATA, DEFAULT_TENANT, Data, Json, Place, Tenant

if TYPE_CHECKING:
    from stenograph_services.runtime.index import SessionRow

STATUSES = ("idle", "queued", "running", "waiting", "broken")


def list_sessions(
    agent: Annotated[str | None, typer.Option(metavar="SLUG", help="Only sessions of this agent.")] = None,
    status: Annotated[str | None, typer.Option(metavar="|".join(STATUSES), help="Only sessions in this state.")] = None,
    children: Annotated[bool, typer.Option("--children", help="Also the sessions of child agents.")] = False,
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
    rows = _indexed(Place("", tenant, data), agent, status, children, limit)
    if as_json:
        output.print_json(rows)
        return
    columns = ("session", "agent", "status", "turns", "events", "tokens", "touched (UTC)", "title")
    output.print_table(columns, map(_row, rows), right=("turns", "events", "tokens"))
    if len(rows) == limit:
        output.note(f"the last {limit}; --limit shows more")


def _indexed(place: Place, agent: str | None, status: Any, children: bool, limit: int) -> "list[SessionRow]":
    from stenograph_events import checked_id
    from stenograph_services.runtime.config import load_settings
    from stenograph_services.runtime.index import IndexFailed, SessionIndex

    settings = load_settings(data_dir=place.data)
    if settings.database_url is None and not (file := place.data / "index.db").is_file():
        raise output.Failure(
            f"no session index at {file}: name the projector's folder with --data or STENOGRAPH_DATA_DIR"
        )
    try:
        index = SessionIndex(settings.index_url())
        try:
            tenant = checked_id(place.tenant, "tenant")
            return index.list(tenant, agent=agent, status=status, children=children, limit=limit).rows
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
