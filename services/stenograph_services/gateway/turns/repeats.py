"""Clients that lost their connection and ask again, where neither a key nor an id of the stream says what they mean.

    POST …/trigger    the connection breaks before `finish`        the turn goes on for a little while
    POST …/trigger    the same name and input, same session        the same turn, told from its beginning
    POST …/trigger    another input                                the turn is cancelled, and the new one starts

This is kept in the memory of one gateway process. A client that comes back to another one finds the session busy
until the turn is cancelled; one that sends an `Idempotency-Key` finds its turn everywhere, for as long as the session
is not cleared, and one that sends `Last-Event-ID` the turn that this is of, as `resuming` says. That the turn is
followed there, `followers` asks before it is cancelled.
"""

import asyncio
import uuid
from collections.abc import Callable
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from stenograph_events import TurnId, derived_id, turn_id
from stenograph_events.wire import RollbackTo
from stenograph_services.gateway.turns.brought import NOTHING_ELSE, Brought

GRACE_SECONDS = 1.5  # clients send again after 0.75 to 1.25 s; a model should not talk to nobody for longer


class Wanted:
    """A trigger as it came. Without a `key` of the client's own it is a new turn."""

    def __init__(
        self,
        session: str,
        name: str,
        input: dict[str, Any],
        key: str | None,
        rollback: RollbackTo | None = None,
        brought: Brought = NOTHING_ELSE,
        traceparent: str | None = None,
    ) -> None:
        self.session, self.name, self.input, self.key, self.rollback = session, name, input, key, rollback
        self.brought = brought
        self.traceparent = traceparent
        self.request: str | None = key or str(uuid.uuid4())
        """The id by which the trigger is sent; None if its turn is known, but not the id that began it."""
        self.turn = turn_id(session, self.request)

    def of(self, turn: TurnId) -> "Wanted":
        """Return the trigger as the one that began `turn`."""
        if turn != self.turn:
            self.request, self.turn = None, turn
        return self

    def after_clear(self, n: int) -> "Wanted":
        """Return the trigger with its key as it counts after event `n`, a clear: what was before is gone, keys too."""
        if n and self.key is not None:
            self.request = derived_id(self.key, f"after-clear/{n}")
            self.turn = turn_id(self.session, self.request)
        return self

    def repeats(self, other: "Wanted") -> bool:
        """Return whether this is the same trigger as `other`, by its key or, if neither has one, by what it says."""
        return self.turn == other.turn or (self.key is None and other.key is None and self._digest == other._digest)

    @property
    def _digest(self) -> bytes:
        said = [self.name, self.input, self.rollback, self.brought]
        return sha256(msgspec.json.encode(said, order="deterministic")).digest()


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
        known = self.known(wanted)
        if known.request is None:  # it cannot be sent again
            known = wanted
        self.take_up(wanted.session, known.turn)
        self.give_up(wanted.session)
        return known

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

    def is_left(self, session: str, turn: str) -> bool:
        """Return whether the client of `turn` went away and may yet come back."""
        return session in self._left and self._left[session].turn == turn

    def give_up(self, session: str) -> None:
        """Call what cancels the turn that was left, if one was."""
        left = self._left.pop(session, None)
        if left is not None:
            left.alarm.cancel()
            left.cancel()

    def give_all_up(self) -> None:
        for session in tuple(self._left):
            self.give_up(session)
