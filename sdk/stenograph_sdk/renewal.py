"""Renewal: a credentials file that changes in place is used at once, and one that expires soon is spoken of in time.

stenograph workers renew acme --file acme.creds      writes the file anew; its process needs no word of it
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from stenograph_sdk.credentials import Said, said_by

log = logging.getLogger("stenograph_sdk")

LOOK_SECONDS = 1.0  # a file is written long before the old credential ends; looking at it costs nothing
FIRST_WORD = 0.25  # of its life is left when we begin to warn …
LONGEST_WORD_SECONDS = 7 * 86_400.0  # … or a week; each further word comes after half of what was left


class Renewal:
    """Watches one credentials file. `use` is called with what it says when it says something else than before."""

    def __init__(self, path: Path, use: Callable[[Said, Said], Awaitable[None]]) -> None:
        self._path = path
        self._use = use
        self._said = said_by(path)
        self._seen: tuple[int, int, int] | None = None
        self._word_at = _first_word(self._said)

    @property
    def said(self) -> Said:
        """What the file said when it was used last."""
        return self._said

    def is_due(self) -> bool:
        """Return whether the file holds another credential, good for now, than the one in use."""
        now = said_by(self._path)
        return now.jwt not in (None, self._said.jwt) and _seconds_left(now) > 0 and self._has_seed()

    async def watch(self) -> None:
        """Look at the file for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._is_touched() and self.is_due():
                before, self._said = self._said, said_by(self._path)
                self._word_at = _first_word(self._said)
                log.info("credentials.renewed file=%s expires=%s", self._path, _shown(self._said))
                try:
                    await self._use(before, self._said)
                except Exception:  # the next change of the file is looked at all the same
                    log.warning("credentials.renewal_failed file=%s", self._path, exc_info=True)
            self._warn()

    def _is_touched(self) -> bool:
        try:
            found = self._path.stat()
        except OSError:
            return False  # what is in use goes on; the file may come back
        seen = (found.st_mtime_ns, found.st_ino, found.st_size)
        touched, self._seen = seen != self._seen, seen
        return touched

    def _has_seed(self) -> bool:
        try:
            return "BEGIN USER NKEY SEED" in self._path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False

    def _warn(self) -> None:
        left = _seconds_left(self._said)
        if left > self._word_at or left <= 0:
            return
        self._word_at = left / 2
        log.warning(
            "credentials.expire_soon file=%s expires=%s: renew it with `stenograph workers renew TENANT --file FILE`",
            *(self._path, _shown(self._said)),
        )


def _seconds_left(said: Said) -> float:
    return said.expires_at - time.time() if said.expires_at else float("inf")


def _first_word(said: Said) -> float:
    life = (said.expires_at or 0) - said.issued_at
    return min(LONGEST_WORD_SECONDS, life * FIRST_WORD)


def _shown(said: Said) -> str:
    return f"{datetime.fromtimestamp(said.expires_at, UTC):%Y-%m-%dT%H:%M:%SZ}" if said.expires_at else "never"
