"""`stenograph sessions verify`: every rule that a log must keep, checked over what the streams hold.

rule                cases
chain                  12  ok
one-result              1  ok
…
stenograph: session 2f01…, event 9 breaks one-result: call c1 is answered already      exit code 1
"""

from pathlib import Path
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
    sealing_settings,
)

if TYPE_CHECKING:
    from stenograph_projections.invariants import Report
    from stenograph_services.accounts.records import IssuedCredential
    from stenograph_services.cli.reading import Logs
    from stenograph_services.runtime.snapshots import Snapshots

NAMED = 10  # broken rules that are named; the first ones tell the cause


def verify(
    session: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="A session's id, its beginning, or `last`.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every session of the tenant.")] = False,
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="FILE", help="A log of one session, as `sessions log --json` prints it."),
    ] = None,
    signers: Annotated[
        list[str] | None,
        typer.Option("--signer", metavar="KEY", help="A public key that signs requests; one of these must have."),
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option("--keys", metavar="DIR", help="A folder of keys: who signs requests, who may answer which."),
    ] = None,
    nats_url: NatsUrl = None,
    tenant: Tenant = DEFAULT_TENANT,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Check a log: its hash chain, its order, one end for each turn, one answer for each call, and more.

    It says how many cases each rule had, and names the first event that breaks one. The exit code is then 1.
    Signatures are always checked against the key that they name; with --signer or --keys also whose key that is, and
    that nothing lacks one: no request to a worker and, with --keys, no answer to one. A file is checked without a
    server. Of a log that is sealed, without its keys (STENOGRAPH_SEALING_KEY_FILE), only the rules of bytes and
    positions are checked.

    Example: stenograph sessions verify --all --keys .stenograph/keys
    """
    if [every, session is not None, file is not None].count(True) != 1:
        raise typer.BadParameter("give one ID, or --all for every session, or --file", param_hint="ID")
    known = _known(signers or [], keys)
    if file is not None:
        count, report = 1, _of_file(file, known)
    else:
        count, report = run(_verify(Place.of(nats_url, tenant, data), session, known))
    if as_json:
        found = {"ok": report.ok, "sessions": count, "events": report.events, "sealed": report.sealed}
        output.print_json(found | {"rules": report.rules, "broken": report.broken, "answers": report.answers})
    else:
        _print(count, report)
        _print_workers(report, known)
    if not report.ok:
        raise typer.Exit(1)


class _Known(NamedTuple):
    """The keys that are known: those that sign requests, and the credentials of workers by tenant."""

    signers: frozenset[str] | None = None
    credentials: "dict[str, tuple[str, IssuedCredential]] | None" = None

    def as_options(self) -> dict[str, Any]:
        from stenograph_projections.invariants import Issued

        if self.credentials is None:
            return {"signers": self.signers}
        issued = {key: Issued(tenant, frozenset(one.tools)) for key, (tenant, one) in self.credentials.items()}
        return {"signers": self.signers, "issued": issued}


def _known(given: list[str], keys: Path | None) -> _Known:
    if keys is None:
        return _Known(frozenset(given) or None)
    from stenograph_services.accounts.folder import KeyFolder

    folder = KeyFolder(keys)
    with folder.locked():
        signers = frozenset(given).union(one.key for one in folder.signers.all)
        tenants = folder.tenants()
    return _Known(signers, {one.user: (tenant.tenant, one) for tenant in tenants for one in tenant.credentials})


def _of_file(file: Path, known: _Known) -> "Report":
    from stenograph_projections.invariants import check

    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}", param_hint="--file") from error
    return check([(n, None, line) for n, line in enumerate(lines, 1)], **known.as_options())


async def _verify(place: Place, given: str | None, known: _Known) -> "tuple[int, Report]":
    from stenograph_projections.invariants import Report
    from stenograph_services.cli.reading import Logs
    from stenograph_services.runtime.errors import UnknownSession
    from stenograph_services.runtime.sealing import Seals
    from stenograph_services.runtime.snapshots import Snapshots

    async with connected(place) as client:
        logs = Logs(client.connection.nats, place)
        sessions = [await logs.find(given)] if given else await logs.sessions()
        snapshots = Snapshots(client.connection.nats, Seals(client.connection.nats, sealing_settings(place)))
        total = Report()
        for session in sessions:
            total += await _checked(logs, snapshots, place.tenant, session, known)
    if given and not total.events:
        raise UnknownSession(sessions[0])
    return len(sessions), total


async def _checked(logs: "Logs", snapshots: "Snapshots", tenant: str, session: str, known: _Known) -> "Report":
    from stenograph_projections.invariants import check

    # The snapshot first: then the log must reach at least as far. Only it shows that the end of a log was cut off.
    restored = await snapshots.read(tenant, session, transcript=False)
    head = restored.snapshot.head if restored else None
    return check(await logs.read(session, opened=False), known=head, **known.as_options())


def _print(count: int, report: "Report") -> None:
    from rich.text import Text

    from stenograph_services.cli.story import counted

    broken = {one.rule for one in report.broken}
    rows = [
        (rule, str(cases), Text("BROKEN", "bold red") if rule in broken else Text("ok" if cases else "-", "green"))
        for rule, cases in report.rules.items()
    ]
    output.print_table(("rule", "cases", ""), rows, right=("cases",))
    if report.ok:
        output.note(f"{counted(count, 'session')}, {counted(report.events, 'event')}: every rule holds", dim=False)
        if report.sealed:
            output.note(f"{_without_keys(report.sealed)}", dim=False)
        return
    if not report.events:
        output.complain("there are no sessions, and an empty log proves nothing")
    for one in report.broken[:NAMED]:
        output.complain(f"session {one.session}, event {one.n} breaks {one.rule}: {one.detail}")
    if len(report.broken) > NAMED:
        output.complain(f"and {len(report.broken) - NAMED} more")


def _print_workers(report: "Report", known: _Known) -> None:
    """Say who signed the answers, if somebody did, and what their credentials are, if that is known."""
    from stenograph_services.cli.tenants import time_text

    rows = []
    for key, count in sorted(report.answers.items()):
        tenant, one = (known.credentials or {}).get(key, ("", None))
        about = (output.printable(one.name), ", ".join(one.tools), time_text(one.revoked_at)) if one else ("", "", "")
        rows.append((key, str(count), tenant, *about))
    if rows:
        typer.echo()
        output.print_table(("worker", "answers", "tenant", "name", "tools", "revoked (UTC)"), rows, right=("answers",))


def _without_keys(sealed: int) -> str:
    from stenograph_services.cli.story import counted

    return (
        f"{counted(sealed, 'event')} of these are sealed, so of their logs only the bytes and the order were checked: "
        "STENOGRAPH_SEALING_KEY_FILE opens them"
    )
