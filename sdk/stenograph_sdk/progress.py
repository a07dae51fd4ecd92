"""What a handler says of its progress, on its way to whoever watches. A tight loop may say as much as it likes.

    context.progress("3 of 10 pages", done=3, total=10)

The newest is sent, at most twice a second, and before the call is answered what is left. It is lost while there is no
connection, and nobody is told so.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from threading import Lock
from typing import Any, NamedTuple, Protocol

from stenograph_events.progress import Progress, bounded

SAID_EVERY_SECONDS = 0.5  # as often as a person reads a line; 200 calls of one worker are 400 messages then


class Reporter(Protocol):
    """Takes what a handler says of its progress."""

    def say(self, text: str, done: float | None, total: float | None) -> None:
        """Take note; from any thread, and never wait."""

    async def close(self) -> None:
        """The handler has ended: pass on what is left."""


class _Said(NamedTuple):
    text: Any
    done: Any
    total: Any


class Telling:
    """Tells how far one call is, in words that are `clean`ed. Made in the event loop in which `tell` runs."""

    def __init__(self, tell: Callable[[Progress], Awaitable[None]], clean: Callable[[str], str] = str) -> None:
        self._tell = tell
        self._clean = clean
        self._loop = asyncio.get_running_loop()
        self._lock = Lock()
        self._newest: _Said | None = None
        self._woken = False
        self._over = False
        self._told_at = float("-inf")
        self._k = 0
        self._timer: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None

    def say(self, text: str, done: float | None, total: float | None) -> None:
        """Have this told, or what is said after it; nothing once the call is answered."""
        with self._lock:
            if self._over:
                return
            self._newest = _Said(text, done, total)
            if self._woken:
                return
            self._woken = True
        with suppress(RuntimeError):  # the loop is closed, so there is nobody to tell
            self._loop.call_soon_threadsafe(self._wake)

    async def close(self) -> None:
        """Tell what is left: the handler has ended."""
        with self._lock:
            self._over = True
        if self._timer is not None:
            self._timer.cancel()
        if self._sending is not None:
            await self._sending
        await self._send()

    def _wake(self) -> None:
        if not self._over:
            self._timer = self._loop.call_at(self._told_at + SAID_EVERY_SECONDS, self._send_soon)

    def _send_soon(self) -> None:
        self._sending = self._loop.create_task(self._send())

    async def _send(self) -> None:
        with self._lock:
            said, self._newest, self._woken = self._newest, None, False
        if said is not None:
            self._told_at = self._loop.time()
            self._k += 1
            await self._tell(bounded(self._clean(str(said.text)), said.done, said.total, self._k))


class Kept:
    """Keeps all that a handler says, as tests look at it."""

    def __init__(self, kept: list[Progress]) -> None:
        self._kept = kept

    def say(self, text: str, done: float | None, total: float | None) -> None:
        """Keep it, as it would travel."""
        self._kept.append(bounded(text, done, total, len(self._kept) + 1))

    async def close(self) -> None:
        """Nothing is left: all is kept at once."""
