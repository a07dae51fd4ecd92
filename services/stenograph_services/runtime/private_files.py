"""Files with a secret: read only if nobody can who should not.

Our own have mode 600. One that somebody else put here for us, or that nobody can change, may also be read by its group:
so a secret that Kubernetes mounts reaches a process that is not root (`defaultMode: 0440` with an `fsGroup`).
"""

import os
import stat
from pathlib import Path

from stenograph_services.runtime.errors import InvalidSetting


def private_text(path: Path, setting: str) -> str:
    """Return what is in the file; raise `InvalidSetting` if it cannot be read, or can be read by others."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InvalidSetting(f"{setting}: {path} cannot be read: {reason}") from error
    if mend := too_open(path):
        wrong = f"{path} has the mode {mode:03o}, so others can read the keys"
        raise InvalidSetting(f"{setting}: {wrong}: {mend}")
    return text


def too_open(path: Path) -> str | None:
    """Return what to do about a file that others can read, or change; None if they cannot."""
    about = path.stat()
    given = about.st_uid != os.geteuid() or bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    if about.st_mode & (0o037 if given else 0o077):
        return "mount it with mode 440 (defaultMode: 0440)" if given else f"chmod 600 {path}"
    return None
