"""Master keys: the file that opens everything, and what is derived of it for each tenant.

    # Sealing keys of Stenograph. The last one seals, each of them opens.
    y0uX…=
    3kPq…=

A key is 32 random bytes in base64, one a line. Its id is made of it: a wrapped data key says which one opens it.
"""

import base64
import binascii
import os
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from stenograph_services.runtime.config import Settings
from stenograph_services.runtime.errors import InvalidSetting, KeyMissing
from stenograph_services.runtime.private_files import private_text

SETTING = "STENOGRAPH_SEALING_KEY_FILE"
KEY_BYTES = 32
FIRST_LINE = "# Sealing keys of Stenograph. The last one seals, each of them opens.\n"


class TenantKey(NamedTuple):
    """What is derived for one tenant of the master key with this id."""

    master: str
    wrapping: bytes


class MasterKeys:
    """The keys of a key file, in its order; none if no file is named."""

    def __init__(self, keys: list[bytes]) -> None:
        self._keys = {_id_of(key): key for key in keys}
        self._newest = next(reversed(self._keys), "")

    @classmethod
    def of(cls, settings: Settings) -> "MasterKeys":
        """Return the keys that the settings name; raise `InvalidSetting` if there are none and something is sealed."""
        path = settings.sealing_key_file
        if path is not None:
            return cls(read_keys(path))
        if settings.sealing:
            raise InvalidSetting(
                "STENOGRAPH_SEALING is on, and STENOGRAPH_SEALING_KEY_FILE names no file: `stenograph tenants init` "
                "and `stenograph sealing add` make one, sealing.key; with STENOGRAPH_SEALING=off everything is "
                "stored as anybody can read it"
            )
        return cls([])

    def __bool__(self) -> bool:
        return bool(self._keys)

    @property
    def newest(self) -> str:
        """The id of the key that seals."""
        return self._newest

    @lru_cache(maxsize=1024)  # noqa: B019 - one object lives as long as its process
    def tenant(self, tenant: str, master: str | None = None) -> TenantKey:
        """Return a tenant's key, of the newest master key or of the one with the id `master`; raise `KeyMissing`."""
        if not self._keys:
            raise KeyMissing("this process has no sealing keys: set STENOGRAPH_SEALING_KEY_FILE")
        found = self._keys.get(master or self._newest)
        if found is None:
            raise KeyMissing(f"STENOGRAPH_SEALING_KEY_FILE lacks the key {master}: put it back before the last one")
        return TenantKey(master or self._newest, derived(found, "data keys", tenant))


def derived(key: bytes, *purpose: str) -> bytes:
    """Return another key of 32 bytes, the same for the same `key` and purpose, that tells nothing of `key`."""
    info = "\0".join(("stenograph", *purpose)).encode()
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=info).derive(key)


def new_key_file() -> str:
    """Return the text of a key file with one new key."""
    return FIRST_LINE + new_line()


def new_line() -> str:
    """Return a new key as a line of a key file."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode() + "\n"


def read_keys(path: Path) -> list[bytes]:
    """Return the keys of a key file; raise `InvalidSetting`, which never shows one, if it is none or others read it."""
    where = f"{SETTING}: {path}"
    lines = private_text(path, SETTING).splitlines()
    keys = [_key_of(line.strip(), f"{where}, line {n}") for n, line in enumerate(lines, 1) if _holds_key(line)]
    if not keys:
        raise InvalidSetting(f"{where} holds no key: `stenograph tenants init` makes such a file")
    return keys


def _holds_key(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _key_of(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise InvalidSetting(f"{where}: a key is {KEY_BYTES} bytes in base64") from error
    if len(key) != KEY_BYTES:
        raise InvalidSetting(f"{where}: a key is {KEY_BYTES} bytes in base64, and this one has {len(key)}")
    return key


def _id_of(key: bytes) -> str:
    return sha256(b"stenograph sealing key\0" + key).hexdigest()[:16]
