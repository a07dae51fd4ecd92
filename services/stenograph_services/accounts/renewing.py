"""Renewing a credentials file in place: the JWT in it is another one, and whoever uses the file notices."""

import os
import re
import stat
from contextlib import suppress
from pathlib import Path

from stenograph_services.accounts.claims import claimed
from stenograph_services.accounts.errors import AccountsError

_JWT = re.compile(r"(BEGIN NATS USER JWT-+\s+)(\S+)(\s)")


def user_in(path: Path) -> str:
    """Return the public key of the user whose credentials file this is; raise `AccountsError` if it is none."""
    return claimed(_jwt_in(path)[2]).sub


def write_into(path: Path, jwt: str) -> None:
    """Put `jwt` into a credentials file, whole or not at all. Its mode, its owner and the secret in it stay.

    Raises `AccountsError` if the file is not of the user whom `jwt` is about.
    """
    path = path.resolve()  # a link stays one
    found = _jwt_in(path)
    if (whose := claimed(found[2]).sub) != claimed(jwt).sub:
        raise AccountsError(f"{path} holds the credential {whose}, which is not the one that was renewed")
    before = path.stat()
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        with suppress(PermissionError):  # only root gives a file to others
            os.fchown(file.fileno(), before.st_uid, before.st_gid)
        os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))
        file.write(found.string[: found.start(2)] + jwt + found.string[found.end(2) :])
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _jwt_in(path: Path) -> re.Match[str]:
    try:
        found = _JWT.search(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AccountsError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if found is None:
        raise AccountsError(f"{path} is not a NATS credentials file: it holds no JWT")
    return found
