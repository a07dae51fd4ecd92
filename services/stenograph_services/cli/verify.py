"""`stenograph sessions verify`: every rule that a log must keep, checked over what the streams hold.

rule                cases
chain                  12  ok
one-result              1  ok
…
stenograph: session 2f01…, event 9 breaks one-result: call c1 is answered already      exit code 1
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    from stenograph_projections.invariants import Report
    from stenograph_services.cli.reading import Logs
    from stenograph_services.runtime.snapshots import Snapshots

NAMED = 10  # broken rules that are named; the first ones tell the cause


def verify(
    session: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="A session's id, its beginning, or `last`.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every session of the tenant.")] = False,
    signers: Annotated[
        list[str] | None,
        typer.Option("--signer", metavar="KEY", help="A public key that signs requests; one of these must have."),
    ] = None,
    keys: Annotated[
        Path | None, typer.Option("--keys", metavar="DIR", help="A folder of keys: every key that ever signed.")
    ] = None,
    nats_url: NatsUrl = None,
    tenant: Tenant = DEFAULT_TENANT,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Check a log: its hash chain, its order, one end for each turn, one answer for each call, and more.

    It says how many cases each rule had, and names the first event that breaks one. The exit code is then 1.
    Signatures are always checked against the key that they name; with --signer or --keys also whose key that is, and
    that no request to a worker lacks one.

    Example: stenograph sessions verify --all --keys .stenograph/keys
    """
    if every == (session is not None):
        raise typer.BadParameter("give one ID, or --all for every session", param_hint="ID")
    count, report = run(_verify(Place.of(nats_url, tenant, data), session, _signers(signers or [], keys)))
    if as_json:
        found = {"ok": report.ok, "sessions": count, "events": report.events, "rules": report.rules}
        output.print_json(found | {"broken": report.broken})
    else:
        _print(count, report)
    if not report.ok:
        raise typer.Exit(1)


def _signers(given: list[str], keys: Path | None) -> frozenset[str] | None:
    """Return the public keys that may have signed, None if nobody named any."""
    if keys is None:
        return frozenset(given) or None
    from stenograph_services.accounts.folder import KeyFolder

    folder = KeyFolder(keys)
    with folder.locked():
        return frozenset(given).union(one.key for one in folder.signers.all)


async def _verify(place: Place, given: str | None, signers: frozenset[str] | None) -> "tuple[int, Report]":
    from stenograph_projections.invariants import Report
    from stenograph_services.cli.reading import Logs
    from stenograph_services.runtime.errors import UnknownSession
    from stenograph_services.runtime.snapshots import Snapshots

    async with connected(place) as client:
        logs = Logs(client.connection.nats, place)
        sessions = [await logs.find(given)] if given else await logs.sessions()
        snapshots = Snapshots(client.connection.nats)
        total = Report()
        for session in sessions:
            total += await _checked(logs, snapshots, place.tenant, session, signers)
    if given and not total.events:
        raise UnknownSession(sessions[0])
    return len(sessions), total


async def _checked(
    logs: "Logs", snapshots: "Snapshots", tenant: str, session: str, signers: frozenset[str] | None
) -> "Report":
    from stenograph_projections.invariants import check

    # The snapshot first: then the log must reach at least as far. Only it shows that the end of a log was cut off.
    restored = await snapshots.read(tenant, session, transcript=False)
    return check(await logs.read(session), known=restored.snapshot.head if restored else None, signers=signers)


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
        return
    if not report.events:
        output.complain("there are no sessions, and an empty log proves nothing")
    for one in report.broken[:NAMED]:
        output.complain(f"session {one.session}, event {one.n} breaks {one.rule}: {one.detail}")
    if len(report.broken) > NAMED:
        output.complain(f"and {len(report.broken) - NAMED} more")
