"""Clients that lost their connection and ask again, where there is no idempotency key to know them by.

    POST …/trigger    the connection breaks before `finish`        the turn goes on for a little while
    POST …/trigger    the same name and input, same session        the same turn, told from its beginning
    POST …/trigger    another input                                the turn is cancelled, and the new one starts

This is kept in the memory of one gateway process. A client that comes back to another one finds the session busy
until the turn is cancelled; one that sends an `Idempotency-Key` finds its turn everywhere, and for ever.
"""

import asyncio
import uuid
from collections.abc import Callable
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from stenograph_events import TurnId, turn_id
from stenograph_events.wire import RollbackTo

GRACE_SECONDS = 1.5  # clients send again after 0.75 to 1.25 s; a model should not talk to nobody for longer


class Wanted:
    """A trigger as it came. Without a `key` of the client's own it is a new turn."""

    def __init__(
        self, session: str, name: str, input: dict[str, Any], key: str | None, rollback: RollbackTo | None = None
    ) -> None:
        self.session, self.name, self.input, self.key, self.rollback = session, name, input, key, rollback
        self.request = key or str(uuid.uuid4())
        self.turn = turn_id(session, self.request)

    def repeats(self, other: "Wanted") -> bool:
        """Return whether this is the same trigger as `other`, by its key or, if neither has one, by what it says."""
        return self.turn == other.turn or (self.key is None and other.key is None and self._digest == other._digest)

    @property
    def _digest(self) -> bytes:
        return sha256(msgspec.json.encode([self.name, self.input, self.rollback], order="deterministic")).digest()


class _Left(NamedTuple):
    turn: TurnId
    wanted: Wanted | None
    cancel: Callable[[], None]
    alarm: asyncio.TimerHandle


class Repeats:
    """The turns whose clients went away before the end, by session, for as long as they may come back."""

    def __init__(self) -> None:
        self._left: dict[str, _Left] = {}

    def left(self, session: str, turn: TurnId, wanted: Wanted | None, cancel: Callable[[], None]) -> None:
        """Call `cancel` in a while, unless somebody takes the turn up. `wanted`: its trigger, if that was dropped."""
        self.give_up(session)
        alarm = asyncio.get_running_loop().call_later(GRACE_SECONDS, self.give_up, session)
        self._left[session] = _Left(turn, wanted, cancel, alarm)

    def resolved(self, wanted: Wanted) -> Wanted:
        """Return the trigger that `wanted` repeats, else `wanted`, to which the turn that was left gives way."""
        left = self._left.get(wanted.session)
        if left is not None and left.wanted is not None and wanted.repeats(left.wanted):
            self.take_up(wanted.session, left.turn)
            return left.wanted
        self.give_up(wanted.session)
        return wanted

    def known(self, wanted: Wanted) -> Wanted:
        """Return the trigger that `wanted` repeats if its client went away a moment ago, else `wanted`."""
        left = self._left.get(wanted.session)
        return left.wanted if left and left.wanted and wanted.repeats(left.wanted) else wanted

    def take_up(self, session: str, turn: str) -> None:
        """Let `turn` go on: somebody follows it again."""
        left = self._left.get(session)
        if left is not None and left.turn == turn:
            left.alarm.cancel()
            del self._left[session]

    def give_up(self, session: str) -> None:
        """Cancel the turn that was left, if one was."""
        left = self._left.pop(session, None)
        if left is not None:
            left.alarm.cancel()
            left.cancel()

    def give_all_up(self) -> None:
        for session in tuple(self._left):
            self.give_up(session)
