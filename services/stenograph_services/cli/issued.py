"""Credentials that were given out: what `stenograph workers` and `stenograph clients` have in common."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stenograph_services.cli import output
from stenograph_services.cli.connect import run
from stenograph_services.cli.tenants import time_text

if TYPE_CHECKING:
    from stenograph_services.accounts.folder import KeyFolder
    from stenograph_services.accounts.minting import Minted
    from stenograph_services.accounts.records import IssuedCredential, Kind

SHOWN = 10  # of a public key: so much tells two of them apart
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

Expires = Annotated[str | None, typer.Option(metavar="TIME", help="Such as 30d, 12h; never by default.")]
Name = Annotated[str, typer.Option(help="What it is for, so that people know it again.")]
Renewed = Annotated[
    str | None,
    typer.Argument(metavar="ID", help="As `list` shows it; its file says it, too.", show_default=False),
]
NewTime = Annotated[
    str | None, typer.Option("--expires", metavar="TIME", help="Such as 30d, 12h; by default as long as it had.")
]
RenewedFile = Annotated[
    Path | None,
    typer.Option("--file", metavar="FILE", exists=True, dir_okay=False, help="Its file, to be written anew."),
]


def duration(given: str | None) -> timedelta | None:
    """Return the time that `--expires` says."""
    if given is None:
        return None
    found = re.fullmatch(r"([1-9]\d{0,5})([smhd])", given)
    if found is None:
        raise typer.BadParameter(f"{given!r} is no time such as 30d, 12h, 90m, 60s", param_hint="--expires")
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


def show_file(made: "Minted", tenant: str, about: str) -> None:
    """Print a credentials file to stdout, and what it is to stderr."""
    typer.echo(made.text, nl=False)
    output.note(f"credential {made.user[:SHOWN]} of {tenant}, for {about}: keep it to its owner (mode 600)")


def list_issued(
    folder: "KeyFolder",
    tenant: str,
    kinds: "Sequence[Kind]",
    as_json: bool,
    own: "Mapping[str, Callable[[IssuedCredential], str]]",
) -> None:
    """Print the credentials of `kinds`, the oldest first, with `own` columns beside those of all."""
    with folder.locked():
        found = [one for one in folder.tenant(tenant).credentials if one.kind in kinds]
    if as_json:
        output.print_json([document(one) for one in found])
        return
    columns = ("credential", *own, "name", "issued (UTC)", "expires (UTC)", "revoked (UTC)")
    output.print_table(columns, [_row(one, [column(one) for column in own.values()]) for one in found])


def renew_issued(
    folder: "KeyFolder",
    tenant: str,
    user: str | None,
    expires: str | None,
    file: Path | None,
    kinds: "Sequence[Kind]",
    as_json: bool,
) -> None:
    """Give a credential new time, in its file if there is one here, and say until when."""
    from stenograph_services.accounts import changes, renewing

    if user is None and file is None:
        raise typer.BadParameter("which credential? Give its ID, or its file with --file", param_hint="ID")
    whose = renewing.user_in(file) if file is not None else user or ""
    if user is not None and not whose.startswith(user):
        raise typer.BadParameter(f"{file} holds another credential, {whose[:SHOWN]}", param_hint="ID")
    renewed = changes.renew(folder, tenant, whose, duration(expires), kinds)
    if file is not None:
        renewing.write_into(file, renewed.jwt)
    if as_json:
        output.print_json(document(renewed.credential) | {"jwt": renewed.jwt})
        return
    typer.echo(str(file) if file is not None else renewed.jwt)
    until = time_text(renewed.credential.expires_at)
    how_long = f"until {until} UTC" if until else "for ever"
    output.note(f"credential {renewed.credential.user[:SHOWN]} of {tenant} is good {how_long}")


def revoke_issued(
    folder: "KeyFolder", server: str, tenant: str, user: str, kinds: "Sequence[Kind]", as_json: bool
) -> None:
    """End a credential, and say so."""
    from stenograph_services.accounts import changes

    revoked = run(changes.revoke(folder, server, tenant, user, kinds))
    if as_json:
        output.print_json(document(revoked))
    else:
        typer.echo(f"revoked {revoked.user[:SHOWN]}")


def document(one: "IssuedCredential") -> dict[str, Any]:
    """Return what programs read of a credential."""
    fields = ("user", "kind", "name", "tools", "issued_at", "renewed_at", "expires_at", "revoked_at")
    shown = {name: getattr(one, name) for name in fields}
    shown |= {name: getattr(one.scope, name) for name in ("agent", "session", "approve", "budget")}
    return {"credential": shown.pop("user")} | {name: value for name, value in shown.items() if value}


def _row(one: "IssuedCredential", own: list[str]) -> tuple[str, ...]:
    times = (time_text(one.issued_at), time_text(one.expires_at), time_text(one.revoked_at))
    return (one.user[:SHOWN], *own, output.printable(one.name), *times)
