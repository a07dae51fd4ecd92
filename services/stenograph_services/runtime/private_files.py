"""Files with a secret, which a setting names: read only if nobody but their owner can."""

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
    if mode & 0o077:
        wrong = f"{path} has the mode {mode:03o}, so others can read the keys"
        raise InvalidSetting(f"{setting}: {wrong}: chmod 600 {path}")
    return text
