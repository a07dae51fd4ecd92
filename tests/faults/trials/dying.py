"""How a process dies exactly there: functions are wrapped from outside, and one of them ends it by SIGKILL.

    before   nothing of it has happened yet
    sent     its bytes have left this process, and no answer to them has been read
    after    it is done, and nothing that follows has begun

What is armed comes from the harness, over a socket, as JSON lines; `armed` and `struck` go back. A strike may hit the
nats-server instead: then this process waits until that is dead, and lives on with whatever it was doing.

    → {"point":"worker/claim/sent","session":"2f01…","passes":1,"server":false}
    ← {"struck":"2f01…"}
"""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from nats.aio.client import Client


class Armed(msgspec.Struct, omit_defaults=True):
    """Strike at the pass number `passes` of `point` that is about `session`; an empty one stands for any."""

    point: str
    session: str
    passes: int = 1
    server: bool = False
    forget: bool = False
    """Take back what was armed for the session."""


class Fate:
    """What this process may die of. One for each process; it is set before anything is wrapped."""

    def __init__(self, control: socket.socket, server_lock: Path, recorded: Path | None) -> None:
        self._control = control
        self._server_lock = server_lock
        self._recorded = recorded
        self._seen: set[str] = set()
        self._armed: dict[str, Armed] = {}
        self._lines = control.makefile("rb")

    def hear_first(self) -> None:
        """Take in what is armed already, before anything runs; it ends with an empty line."""
        while (line := self._lines.readline()).strip():
            self._hear(line)

    def listen(self) -> None:
        """Take in from now on what is armed, in a thread, also while this process is busy."""
        threading.Thread(target=self._listen, daemon=True).start()

    def say(self, **what: Any) -> None:
        self._control.sendall(msgspec.json.encode(what) + b"\n")

    def _listen(self) -> None:
        for line in self._lines:
            self._hear(line)

    def _hear(self, line: bytes) -> None:
        one = msgspec.json.decode(line, type=Armed)
        if one.forget:
            self._armed.pop(one.session, None)
        else:
            self._armed[one.session] = one
        self.say(armed=one.session)

    def due(self, point: str, about: str) -> Armed | None:
        """Return what has to strike at this pass of `point`, which is `about` a subject with a session in it."""
        if self._recorded is not None and point not in self._seen:
            self._seen.add(point)
            with self._recorded.open("a") as recorded:
                recorded.write(point + "\n")
        for one in tuple(self._armed.values()):
            if one.point == point and one.session in about:
                one.passes -= 1
                if one.passes <= 0:
                    return one
        return None

    def strike(self, one: Armed) -> None:
        """Die here; or kill the nats-server, and return when it is dead."""
        self._armed.pop(one.session, None)
        self.say(struck=one.session)
        if not one.server:
            os.kill(os.getpid(), signal.SIGKILL)
        pid = int(self._server_lock.read_text().split()[0])
        with suppress(ProcessLookupError):  # another trial was first
            os.kill(pid, signal.SIGKILL)
        while _lives(pid):
            pass

    def passing(self, point: str, about: str) -> None:
        """Pass `point`, alive or not."""
        if one := self.due(point, about):
            self.strike(one)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


Async = Callable[..., Awaitable[Any]]
Named = Callable[..., str | None]
"""From the arguments of a wrapped function to the place that it is, or to the subject that it is about."""


def sending(fate: Fate, original: Async, place: Named, about: Named, client: Callable[..., Client]) -> Async:
    """Wrap what sends bytes and waits for an answer: it has all three phases."""

    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        where, subject = place(*args, **kwargs), about(*args, **kwargs) or ""
        if where is None:
            return await original(*args, **kwargs)
        fate.passing(f"{where}/before", subject)
        try:
            if (one := fate.due(f"{where}/sent", subject)) is None:
                return await original(*args, **kwargs)
            running = asyncio.ensure_future(original(*args, **kwargs))
            await asyncio.sleep(0)  # as far as its first wait, which is for the answer
            await _left(client(*args, **kwargs))
            fate.strike(one)
            return await running
        finally:  # a refusal is an answer, too
            fate.passing(f"{where}/after", subject)

    return wrapped


def telling(fate: Fate, original: Async, place: Named, about: Named, client: Callable[..., Client]) -> Async:
    """Wrap what sends bytes that nobody answers: after it, they have left this process."""

    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        where, subject = place(*args, **kwargs), about(*args, **kwargs) or ""
        if where is None:
            return await original(*args, **kwargs)
        fate.passing(f"{where}/before", subject)
        result = await original(*args, **kwargs)
        if one := fate.due(f"{where}/after", subject):
            await _left(client(*args, **kwargs))
            fate.strike(one)
        return result

    return wrapped


def doing(fate: Fate, original: Async, place: Named, about: Named) -> Async:
    """Wrap what happens in this process: before and after it."""

    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        where, subject = place(*args, **kwargs), about(*args, **kwargs) or ""
        if where is None:
            return await original(*args, **kwargs)
        fate.passing(f"{where}/before", subject)
        result = await original(*args, **kwargs)
        fate.passing(f"{where}/after", subject)
        return result

    return wrapped


async def _left(client: Client) -> None:
    """Return when all that `client` has sent has left this process."""
    await client._flush_pending(force_flush=True)
    transport = getattr(client._transport, "_io_writer", None)
    while transport is not None and transport.transport.get_write_buffer_size():  # noqa: ASYNC110  nobody tells
        await asyncio.sleep(0)
