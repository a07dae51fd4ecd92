"""Signers: the keys that requests to workers are signed with, and how one follows another without a gap.

signing.nk        what orchestrators sign with now (STENOGRAPH_SIGNING_KEY_FILE)
signing.next.nk   the one that will follow: credentials name it already, so that their workers take it from the first
signers.json      [{"key":"CB…","made_at":…,"used_at":…,"retired_at":…}]: also those whose secret is gone
"""

from pathlib import Path
from typing import Literal

import msgspec
from msgspec.structs import replace

from stenograph_services.accounts.errors import AccountsError
from stenograph_services.accounts.keys import Key, key_of, new_key
from stenograph_services.accounts.minting import now
from stenograph_services.accounts.private import read_private, write_private


class SignerRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A key that signs or signed. Times are in seconds since 1970; 0 is none."""

    key: str
    made_at: int
    used_at: int = 0
    retired_at: int = 0

    @property
    def state(self) -> Literal["next", "signs", "retired"]:
        return "retired" if self.retired_at else "signs" if self.used_at else "next"


class Signers:
    """The signing keys of one folder of keys. Whoever changes something holds the folder's lock."""

    def __init__(self, directory: Path) -> None:
        self.key_file = directory / "signing.nk"
        self._next_file = directory / "signing.next.nk"
        self._records = directory / "signers.json"

    @property
    def all(self) -> list[SignerRecord]:
        """Every key that was ever made here, the oldest first."""
        if not self._records.exists():
            return []
        try:
            return msgspec.json.decode(self._records.read_bytes(), type=list[SignerRecord])
        except msgspec.MsgspecError as error:
            raise AccountsError(f"{self._records} cannot be read: {error}") from error

    @property
    def trusted(self) -> list[str]:
        """The public keys whose requests a worker is to run: the one that signs, and the one that will."""
        return [one.key for one in self.all if one.state != "retired"]

    def add(self) -> SignerRecord:
        """Make a key: the first one signs at once, any other waits for `use`. Raises `AccountsError` if one waits."""
        known = self.all
        if any(one.state == "next" for one in known):
            raise AccountsError("a key waits already: `stenograph signers use` lets it sign")
        key = new_key("cluster")
        first = not any(one.state == "signs" for one in known)
        made = SignerRecord(key.public, now(), used_at=now() if first else 0)
        _write(self.key_file if first else self._next_file, key)
        self._write([*known, made])
        return made

    def use(self) -> SignerRecord:
        """Let the key that waits sign from now on, and destroy the one before it. Raises `AccountsError`."""
        waiting = next((one for one in self.all if one.state == "next"), None)
        if waiting is None:
            raise AccountsError("no key waits: `stenograph signers add` makes one")
        used = replace(waiting, used_at=now())
        if not self._next_file.exists():  # a use that broke off after its file was moved
            if key_of(read_private(self.key_file).strip()).public != waiting.key:
                raise AccountsError(f"{self._next_file} is gone, and with it the key that waits")
        else:
            self._next_file.replace(self.key_file)
        self._write([used if one.key == waiting.key else _retired(one) for one in self.all])
        return used

    def _write(self, records: list[SignerRecord]) -> None:
        write_private(self._records, msgspec.json.format(msgspec.json.encode(records)).decode())


def _write(path: Path, key: Key) -> None:
    write_private(path, key.seed + "\n")


def _retired(record: SignerRecord) -> SignerRecord:
    return replace(record, retired_at=record.retired_at or now())
