"""`stenograph signers …`: the keys that requests to workers are signed with, and how one follows another.

$ stenograph signers list
key                          state    made (UTC)           signs since (UTC)    retired (UTC)
CB3F9A1C2B…                  signs    2026-11-22 10:00:00  2026-11-22 10:00:00
$ stenograph signers add         a second one, which new credentials name as well; renew those of the workers
$ stenograph signers use         it signs once orchestrators have started again, and the first one is void
"""

from typing import TYPE_CHECKING, Any

import typer

from stenograph_services.cli import output
from stenograph_services.cli.connect import DEFAULT_DATA, Data, Json
from stenograph_services.cli.tenants import Keys, folder_of, time_text

if TYPE_CHECKING:
    from stenograph_services.accounts.signers import SignerRecord

app = typer.Typer(no_args_is_help=True, help="List and change the keys that requests to workers are signed with.")


@app.command("list")
def list_(keys: Keys = None, data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """List the public keys, the oldest first. `sessions verify --signer KEY` checks a log by one of them.

    Example: stenograph signers list
    """
    folder = folder_of(keys, data)
    with folder.locked():
        found = folder.signers.all
    if as_json:
        output.print_json([_document(one) for one in found])
        return
    columns = ("key", "state", "made (UTC)", "signs since (UTC)", "retired (UTC)")
    output.print_table(columns, map(_row, found))


@app.command()
def add(keys: Keys = None, data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """Make a key. The first one signs at once; a later one waits, so that credentials can name it beforehand.

    Orchestrators sign with signing.nk in the folder of keys: STENOGRAPH_SIGNING_KEY_FILE. A credential of a worker
    names the keys that are there when it is made; its worker runs nothing that another key has signed.

    Example: stenograph signers add
    """
    folder = folder_of(keys, data)
    with folder.locked():
        made = folder.signers.add()
    _say(made, f"{made.state}: {made.key}", as_json)
    if made.state == "next":
        output.note("renew the workers' credentials, then: stenograph signers use")
    else:
        output.note(f"set STENOGRAPH_SIGNING_KEY_FILE={folder.signers.key_file} where orchestrators run")


@app.command()
def use(keys: Keys = None, data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """Let the key that waits sign, and destroy the one before it. Workers with older credentials run nothing more.

    Orchestrators read signing.nk when they start: hand them the new file, and start them again.

    Example: stenograph signers use
    """
    folder = folder_of(keys, data)
    with folder.locked():
        used = folder.signers.use()
    _say(used, f"{used.state}: {used.key}", as_json)
    output.note("start the orchestrators again: they sign with the new key then")


def _say(record: "SignerRecord", text: str, as_json: bool) -> None:
    if as_json:
        output.print_json(_document(record))
    else:
        typer.echo(text)


def _document(record: "SignerRecord") -> dict[str, Any]:
    times = {"made_at": record.made_at, "used_at": record.used_at, "retired_at": record.retired_at}
    return {"key": record.key, "state": record.state} | {name: at for name, at in times.items() if at}


def _row(record: "SignerRecord") -> tuple[str, ...]:
    times = (time_text(record.made_at), time_text(record.used_at), time_text(record.retired_at))
    return (record.key, record.state, *times)
