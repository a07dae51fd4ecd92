"""The circuit breaker of a tool: when it is not asked any more, and how it is found out that it may be. Pure.

    closed ── so many calls failed in a row ──▶ open ── its pause is over, one call tries it ──▶ on trial
       ▲                                          ▲                                                 │
       └─────────────── any answer                └──── the trial failed: twice the pause ──────────┘

Closed is no breaker at all. What counts as a failure is that nobody answered, or that the handler broke; a worker that
answers, be it that the call failed, shows that the tool works.
"""

from datetime import datetime, timedelta
from typing import Self

import msgspec
from msgspec.structs import replace

PAUSE_MAX = timedelta(minutes=10)
"""The longest pause, and the longest that one call may keep all others waiting while it tries."""
TRIAL_GRACE = timedelta(seconds=5)
"""From the deadline of the call that tries to its outcome in the log: a timer fires to the second."""
DOUBLINGS_MAX = 20


class Terms(msgspec.Struct, frozen=True):
    """After how many failures in a row a tool is not asked any more, 0: never; and for how long at first."""

    failures: int = 5
    pause: timedelta = timedelta(seconds=30)

    def pause_of(self, times: int) -> timedelta:
        """Return how long the breaker is open that opens for the `times`-th time without an answer in between."""
        seconds = self.pause.total_seconds() * 2.0 ** min(times - 1, DOUBLINGS_MAX)
        return timedelta(seconds=min(seconds, max(PAUSE_MAX, self.pause).total_seconds()))


class Row(msgspec.Struct, frozen=True):
    """The failures of a tool since it last answered."""

    failures: int = 0
    answered_at: datetime | None = None

    def failed(self, asked_at: datetime | None) -> Self:
        """Return the row after one more failure, of a call that was asked at `asked_at`, if that is known.

        One that was asked before the last answer says nothing: another worker has served the tool meanwhile. So the
        calls that a worker took with it when it died do not stop the others.
        """
        if asked_at is not None and self.answered_at is not None and asked_at <= self.answered_at:
            return self
        return replace(self, failures=self.failures + 1)


class Breaker(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a tool is not asked: so many calls failed in a row, it opened `times` times, and now it is open `until`.

    `trial` is the call that tries it: until its outcome is known, or should be, no other one does.
    """

    failures: int
    opened_at: datetime
    until: datetime
    times: int = 1
    trial: str | None = None

    def holds_back(self, now: datetime) -> bool:
        """Return whether no call is to be asked; otherwise one is, to try the tool."""
        return now < self.until

    def tried(self, call: str, asked_at: datetime, deadline_at: datetime) -> Self:
        """Return the breaker after `call` was asked. One that was asked before the pause was over tries nothing."""
        if call == self.trial or self.holds_back(asked_at):
            return self
        return replace(self, trial=call, until=min(deadline_at + TRIAL_GRACE, asked_at + PAUSE_MAX))

    def failed(self, call: str, now: datetime, terms: Terms) -> Self:
        """Return the breaker after `call` failed: if that tried the tool, the next one does after twice the pause."""
        if call != self.trial:
            return self
        times = self.times + 1
        until = now + terms.pause_of(times)
        return replace(self, failures=self.failures + 1, times=times, opened_at=now, until=until, trial=None)

    def let_go(self, call: str, now: datetime) -> Self:
        """Return the breaker after nobody waits for `call` any more: if it tried the tool, another one may now."""
        return replace(self, trial=None, until=now) if call == self.trial else self

    def begun_anew(self, now: datetime) -> Self:
        """Return the breaker after a worker has begun to serve the tool: a call may try it at once."""
        return self if self.trial is not None else replace(self, until=min(self.until, now))


def opened(failures: int, now: datetime, terms: Terms) -> Breaker:
    """Return the breaker of a tool of which so many calls failed in a row."""
    return Breaker(failures, now, now + terms.pause_of(1))
