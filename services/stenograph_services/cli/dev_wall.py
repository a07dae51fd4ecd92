"""The wall of `stenograph dev`: keys, accounts and credentials as in production, made in the data folder.

.stenograph/keys/                 the operator's, as `stenograph tenants init` makes them
.stenograph/creds/app.creds       for applications: Client.connect(url, credentials=".stenograph/creds/app.creds")
.stenograph/creds/worker.creds    for workers: every tool of the tenant, also one that comes while it runs
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import structlog
from nats.aio.client import Client

from stenograph_services.accounts import changes, minting
from stenograph_services.accounts.errors import AccountsError, NotInForce
from stenograph_services.accounts.folder import KeyFolder
from stenograph_services.accounts.private import write_private
from stenograph_services.accounts.records import ClientScope
from stenograph_services.accounts.renewing import user_in, write_into
from stenograph_services.runtime.registry import ToolRegistry

log = structlog.get_logger()

Make = Callable[[], Awaitable[minting.Minted]]


class Ground(NamedTuple):
    """What a server stands on: the account whose the streams are, and who decides who is let in; None lets in all."""

    account: str
    operator: str | None


OPEN = Ground("$G", None)  # the account of everybody, on a server that knows of no other


def keys_of(data: Path) -> KeyFolder:
    """Return the folder of keys of a data folder."""
    return KeyFolder(Path(os.environ.get("STENOGRAPH_KEYS_DIR") or data / "keys"))


def app_credentials_of(data: Path) -> Path:
    """Return what applications connect with."""
    return data / "creds" / "app.creds"


def worker_credentials_of(data: Path) -> Path:
    """Return what workers connect with."""
    return data / "creds" / "worker.creds"


class DevWall:
    """The wall around one tenant, on the server that `dev` runs."""

    def __init__(self, data: Path, tenant: str, folder: KeyFolder) -> None:
        self.folder = folder
        self._app, self._worker = app_credentials_of(data), worker_credentials_of(data)
        self._tenant = tenant

    def prepare(self) -> "Ground":
        """Make the keys if there are none; return what the server is started with."""
        if not self.folder.exists:
            self.folder.make()
            _keep_out(self.folder.directory)
        self.folder.write_server_config()
        return Ground(self.folder.key("platform").public, self.folder.server_config.read_text(encoding="utf-8"))

    async def open(self, url: str) -> dict[str, Any]:
        """Make the tenant and the credentials; return the settings of the services behind the wall."""
        await changes.create(self.folder, url, self._tenant)
        self._app.parent.mkdir(parents=True, exist_ok=True)
        _keep_out(self._app.parent)
        scope = ClientScope(approve=True, budget=True)
        await self._ready(
            self._app, lambda: changes.client_credentials(self.folder, url, self._tenant, scope, "stenograph dev", None)
        )
        await self._ready(
            self._worker, lambda: changes.every_tool_credentials(self.folder, url, self._tenant, "stenograph dev")
        )
        made = {"signing_key_file": self.folder.signers.key_file, "sealing_key_file": self.folder.sealing_keys}
        return {"nats_credentials": self.folder.platform_credentials} | {
            name: file
            for name, file in made.items()
            if file.exists()  # keys of an earlier version of ours have fewer
        }

    async def keep_open(self, url: str, nc: Client) -> None:
        """Open the doors of each tool that a worker offers, until cancelled: its calls come through them."""
        offers: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        registry = ToolRegistry(nc, lambda tenant, tool: offers.put_nowait((tenant, tool)))
        await registry.start()
        known: set[str] = set()
        try:
            while True:
                tenant, tool = await offers.get()
                if tenant != self._tenant or tool in known:
                    continue
                try:
                    await changes.open_doors(self.folder, url, tenant, [tool])
                    known.add(tool)
                except NotInForce as error:  # the worker offers it again within half a minute
                    log.warning("tool.door_shut", tool=tool, error=str(error))
        finally:
            await registry.stop()

    async def _ready(self, file: Path, make: Make) -> None:
        """Write a credential, unless the one that is there is good; that one names the keys that sign requests now."""
        if self._is_good(file):
            write_into(file, changes.renew(self.folder, self._tenant, user_in(file)).jwt)
        else:
            write_private(file, (await make()).text)

    def _is_good(self, file: Path) -> bool:
        try:
            user = user_in(file)
        except AccountsError:
            return False
        issued = self.folder.tenant(self._tenant).credentials
        return any(one.user == user and not one.revoked_at for one in issued)


def _keep_out(directory: Path) -> None:
    """Let nothing of `directory` get into a repository: secrets lie there."""
    (directory / ".gitignore").write_text("*\n", encoding="utf-8")
