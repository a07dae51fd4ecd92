"""The folder of keys: made once by an operator, read by the commands that make tenants and credentials.

    operator.nk  system.nk  platform.nk      seeds; none of our services needs one
    platform.creds                           what services connect with (STENOGRAPH_NATS_CREDENTIALS)
    sealing.key                              what services seal sessions with (STENOGRAPH_SEALING_KEY_FILE)
    system.creds                             what tells a running server of a changed account
    signing.nk  signers.json                 what orchestrators sign requests with, and which keys ever did
    operator.conf                            what nats-server includes; no secret
    tenants/acme.nk  tenants/acme.json       a tenant's key, and what is written down of it

Every file that holds a secret has mode 600 and is refused with any other, but for those of a secret that is mounted
here: they may be readable for their group (`runtime/private_files.py`). The keys of operator, system and platform may
also come from the environment, as STENOGRAPH_OPERATOR_KEY, …: then no file has them. Whoever changes tenants or
credentials writes under `tenants/`; the rest may be read-only.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from stenograph_events import checked_id
from stenograph_services.accounts import minting
from stenograph_services.accounts.errors import AccountsError, UnknownTenant
from stenograph_services.accounts.keys import Key, key_of, new_key
from stenograph_services.accounts.private import read_private, write_private
from stenograph_services.accounts.records import TenantRecord
from stenograph_services.accounts.signers import Signers
from stenograph_services.runtime.sealing.master_keys import new_key_file

_record = msgspec.json.Decoder(TenantRecord)


class KeyFolder:
    """The keys under `directory`. Commands that change something hold `locked()` meanwhile."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.platform_credentials = directory / "platform.creds"
        self.system_credentials = directory / "system.creds"
        self.server_config = directory / "operator.conf"
        self.sealing_keys = directory / "sealing.key"
        self.signers = Signers(directory)

    @property
    def exists(self) -> bool:
        return (self.directory / "operator.nk").exists() or (
            _variable("operator") in os.environ and self.server_config.exists()
        )

    def make(self) -> None:
        """Make the operator, the system and the platform; raise `AccountsError` if there are keys here already."""
        if self.exists:
            raise AccountsError(f"{self.directory} holds keys already: whoever makes new ones locks everybody out")
        (self.directory / "tenants").mkdir(parents=True, exist_ok=True)
        os.chmod(self.directory, 0o700)
        operator, system, platform = new_key("operator"), new_key("account"), new_key("account")
        self._write_key("system", system)
        self._write_key("platform", platform)
        write_private(self.platform_credentials, minting.unbounded(platform, "services").text)
        write_private(self.sealing_keys, new_key_file())
        write_private(self.system_credentials, minting.unbounded(system, "accounts").text)
        if not self.signers.trusted:  # of a try that broke off
            self.signers.add()
        self.server_config.write_text(_server_config(operator, system, platform), encoding="utf-8")
        self._write_key("operator", operator)  # the last one: the folder is whole when it is there

    def write_server_config(self) -> None:
        """Write operator.conf anew: a later version of ours may export more to tenants."""
        text = _server_config(self.key("operator"), self.key("system"), self.key("platform"))
        self.server_config.write_text(text, encoding="utf-8")

    def key(self, name: str) -> Key:
        """Return the key in `<name>.nk`, or in the environment.

        Raises `UnsafeKeys` if others can read the file, `AccountsError` if there is none.
        """
        if given := os.environ.get(_variable(name)):
            return key_of(given.strip())
        return key_of(read_private(self.directory / f"{name}.nk").strip())

    def tenant_key(self, tenant: str) -> Key:
        return self.key(f"tenants/{checked_id(tenant, 'tenant')}")

    def tenants(self) -> list[TenantRecord]:
        """Return all tenants by name."""
        return [self._read(path) for path in sorted((self.directory / "tenants").glob("*.json"))]

    def tenant(self, tenant: str) -> TenantRecord:
        """Return one tenant; raise `UnknownTenant`."""
        path = self._record_path(tenant)
        if not path.exists():
            raise UnknownTenant(tenant)
        return self._read(path)

    def add(self, tenant: str) -> TenantRecord:
        """Return the tenant, made now if it is new."""
        if self._record_path(tenant).exists():
            return self.tenant(tenant)
        key = new_key("account")
        self._write_key(f"tenants/{tenant}", key)
        record = TenantRecord(tenant, key.public, minting.now())
        self.write(record)
        return record

    def write(self, record: TenantRecord) -> None:
        write_private(self._record_path(record.tenant), msgspec.json.format(msgspec.json.encode(record)).decode())

    def remove(self, tenant: str) -> None:
        """Forget a tenant and its key."""
        self._record_path(tenant).unlink()
        (self.directory / f"tenants/{tenant}.nk").unlink()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let no other command change anything here meanwhile. Raises `AccountsError` if there are no keys."""
        if not self.exists:
            raise AccountsError(f"there are no keys in {self.directory}: `stenograph tenants init` makes them")
        lock = os.open(self.directory, os.O_RDONLY)  # a folder can be locked, also one where nothing can be written
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _record_path(self, tenant: str) -> Path:
        return self.directory / "tenants" / f"{checked_id(tenant, 'tenant')}.json"

    def _write_key(self, name: str, key: Key) -> None:
        write_private(self.directory / f"{name}.nk", key.seed + "\n")

    def _read(self, path: Path) -> TenantRecord:
        try:
            return _record.decode(path.read_bytes())
        except msgspec.MsgspecError as error:
            raise AccountsError(f"{path} cannot be read: {error}") from error


def _variable(name: str) -> str:
    """Return the variable that may hold a key: none does for those of tenants."""
    return f"STENOGRAPH_{name.upper()}_KEY"


def _server_config(operator: Key, system: Key, platform: Key) -> str:
    return (
        f"operator: {minting.operator_jwt(operator, system)}\n"
        f"system_account: {system.public}\n"
        "resolver_preload: {\n"
        f"  {system.public}: {minting.system_jwt(operator, system)}\n"
        f"  {platform.public}: {minting.platform_jwt(operator, platform)}\n"
        "}\n"
    )
