"""`stenograph sealing …`: the keys that open everything, exchanged while the services run.

$ stenograph sealing add             a new key at the end of sealing.key; restart the services, which seal with it then
$ stenograph sealing rewrap          the data keys of all sessions, wrapped by the new one
rewrapped 1,204 of 1,204
"""

from pathlib import Path
from typing import Annotated

import typer

from stenograph_services.cli import output
from stenograph_services.cli.connect import (
    DEFAULT_DATA,
    DEFAULT_TENANT,
    Data,
    Json,
    NatsUrl,
    Place,
    connected,
    run,
    sealing_settings,
)

app = typer.Typer(no_args_is_help=True, help="Exchange the keys that sealed sessions are opened with.")

KeyFile = Annotated[
    Path,
    typer.Option(
        "--key-file", envvar="STENOGRAPH_SEALING_KEY_FILE", metavar="FILE", help="As `tenants init` makes it."
    ),
]


@app.command()
def add(key_file: KeyFile, as_json: Json = False) -> None:
    """Add a new key to the file, which is made if it is not there. The last one seals, each of them opens.

    Keep the old ones until `rewrap` is done, and a copy of the file where no server is.

    Example: stenograph sealing add --key-file /etc/stenograph/keys/sealing.key
    """
    from stenograph_services.accounts.private import read_private, write_private
    from stenograph_services.runtime.sealing.master_keys import MasterKeys, new_key_file, new_line, read_keys

    if key_file.exists():
        read_keys(key_file)  # refuses a file that is none
        write_private(key_file, read_private(key_file).rstrip("\n") + "\n" + new_line())
    else:
        write_private(key_file, new_key_file())
    newest = MasterKeys(read_keys(key_file)).newest
    if as_json:
        output.print_json({"key": newest, "file": str(key_file)})
        return
    typer.echo(newest)
    output.note("give the file to every service and restart them, then: stenograph sealing rewrap")


@app.command()
def rewrap(nats_url: NatsUrl = None, data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """Wrap the data key of every session by the newest key of STENOGRAPH_SEALING_KEY_FILE. Doing it twice is safe.

    Afterwards the older keys of the file open nothing any more, and may be taken out.

    Example: stenograph sealing rewrap
    """
    changed, total = run(_rewrap(Place.of(nats_url, DEFAULT_TENANT, data)))
    if as_json:
        output.print_json({"rewrapped": changed, "keys": total})
    else:
        typer.echo(f"rewrapped {changed:,} of {total:,}")


async def _rewrap(place: Place) -> tuple[int, int]:
    from stenograph_services.runtime.sealing import Seals

    async with connected(place) as client:
        return await Seals(client.connection.nats, sealing_settings(place)).keys.rewrap()
