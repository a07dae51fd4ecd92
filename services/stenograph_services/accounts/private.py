"""Files with a secret: written whole, for their owner alone, and refused when others can read them."""

import os
import stat
from pathlib import Path

from stenograph_services.accounts.errors import AccountsError, UnsafeKeys
from stenograph_services.runtime.private_files import too_open

_PRIVATE = 0o600


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def read_private(path: Path) -> str:
    """Return what is in a file with a secret; raise `UnsafeKeys` if others than its owner may read or change it."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise AccountsError(f"{path}: {error.strerror}") from error
    if mend := too_open(path):
        raise UnsafeKeys(f"{path} has mode {mode:o}, so others can read it: `{mend}`, if nobody did")
    return text
