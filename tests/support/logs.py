"""Plausible logs for properties: what a session might have recorded, as a strategy, and the fold of one.

    @given(logs())
    def test_...(events): assert check(stored(events), complete=True).ok

The story of a log is drawn event by event: triggers that wait, are rejected or interrupt, models that fail, calls that
are refused, tried again or cancelled, and answers that come too late.
"""

from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

from stenograph_events import AnyEvent, StoredEvent
from stenograph_events.subjects import event_subject
from stenograph_events.testing import (
    assistant_message,
    block_finished,
    log,
    model_failed,
    raw,
    session_created,
    tool_answer_rejected,
    tool_cancelled,
    tool_failed,
    tool_outcome_unknown,
    tool_refused,
    tool_requested,
    tool_succeeded,
    tool_timed_out,
    trigger_queued,
    trigger_rejected,
    turn_cancel_requested,
    turn_finished,
    turn_started,
    user_message,
)
from stenograph_projections import session as sessions
from stenograph_projections.invariants import Stored
from stenograph_projections.session import Session

RESULTS = (tool_succeeded, tool_failed, tool_timed_out, tool_outcome_unknown)
TEXTS = st.text('aZ0 é😀\n\t"\\{}</', max_size=40)


def rebuild(events: Iterable[StoredEvent], start: Session | None = None) -> Session:
    """Return the session as it stands after `events`."""
    session = start
    for event in events:
        session = sessions.apply(session, event)
    assert session is not None, "no session without events"
    return session


def stored(events: Iterable[AnyEvent]) -> list[Stored]:
    """Return `events` as a stream would hold them: with other sessions in between."""
    return [Stored(3 * event.n, event_subject(event), data) for event, data in log(*events)]


@st.composite
def logs(draw: st.DrawFn, max_triggers: int = 4) -> list[AnyEvent]:
    """A log in which every invariant holds and nothing runs at the end."""
    story = _Story(draw, max_triggers)
    while story.triggers < story.max_triggers and draw(st.booleans()):
        story.play(story.next_turn())
        while story.queue:
            story.play(story.queue.pop(0))
    return story.events


class _Story:
    """A session as it is made up: what runs, what waits, and what happened so far."""

    def __init__(self, draw: st.DrawFn, max_triggers: int) -> None:
        self.draw = draw
        self.max_triggers = max_triggers
        self.triggers = 0
        self.calls = 0
        self.turn = ""
        self.cancelling = False
        self.queue: list[str] = []
        self.events: list[AnyEvent] = [session_created(input=raw({"COMPANY_NAME": "Acme"}))]

    def next_turn(self) -> str:
        self.triggers += 1
        return f"t{self.triggers}"

    def play(self, turn: str) -> None:
        """Let `turn` run from its start to its end."""
        self.turn, self.cancelling = turn, False
        self._happens(turn_started(turn, delivery=self._upto(2)))
        self._happens(user_message(self.draw(TEXTS), turn=turn, visible=self._maybe(2)))
        answered = self._answered()
        if answered and self._maybe(2):
            self._block_call()
        if answered and not self.cancelling:
            self._happens(block_finished(3, turn=turn, resources={"TICKET": raw(self.draw(TEXTS))}))
        outcome = "cancelled" if self.cancelling else "completed" if answered else "failed"
        self.events.append(turn_finished(turn, outcome))

    def _answered(self) -> bool:
        """Ask a model until it calls no tool; return False if it fails for good."""
        for step in range(3):
            failures = self._upto(1)
            for attempt in range(1, failures + 1):
                if not self.cancelling:
                    self._happens(model_failed(attempt, turn=self.turn, step=step))
            if failures and self._maybe(3):
                return False
            calls = [self._new_call() for _ in range(self._upto(2))]
            if not self._model_says(step, failures + 1, calls) or not calls:
                return True
            self._run(calls)
        if not self.cancelling:
            self._happens(block_finished(1, turn=self.turn, reason="max-steps"))
        return True

    def _model_says(self, step: int, attempt: int, calls: list[str]) -> bool:
        """Add the model's message, or what there is of it when the turn is cancelled; return whether it is whole."""
        where: dict[str, Any] = {"turn": self.turn, "step": step, "attempt": attempt}
        if self.cancelling:
            if self._maybe(2):
                self.events.append(assistant_message("The begin", finish_reason="cancelled", **where))
            return False
        self._happens(assistant_message(self.draw(TEXTS), calls=calls, output="ANSWER", **where))
        return True

    def _run(self, calls: list[str]) -> None:
        """Answer `calls` in some order, each in some way."""
        waiting: dict[str, int] = {}
        for call in calls:
            if self.cancelling or not self._maybe(4):
                waiting[call] = 0
            else:
                self._happens(tool_refused(call, turn=self.turn))
        for call in list(waiting):
            if not self.cancelling:
                waiting[call] = 1
                self._happens(tool_requested(call, turn=self.turn))
        for call in self.draw(st.permutations(list(waiting))):
            self._answer_call(call, waiting[call])

    def _answer_call(self, call: str, attempt: int) -> None:
        if attempt and not self.cancelling and self._maybe(5):
            self._happens(tool_timed_out(call, turn=self.turn))
            if self.cancelling:
                return
            attempt = 2
            self._happens(tool_requested(call, attempt, turn=self.turn))
        if self.cancelling:
            self.events.append(tool_cancelled(call, turn=self.turn))
        else:
            self._happens(self.draw(st.sampled_from(RESULTS))(call, attempt, turn=self.turn))
        if self._maybe(6):
            self.events.append(tool_answer_rejected(call, max(attempt, 1), turn=self.turn))

    def _block_call(self) -> None:
        if self.cancelling:
            return
        call = self._new_call()
        if self._maybe(4):
            self._happens(tool_refused(call, turn=self.turn, block=2, output="PLAN"))
        else:
            self._happens(tool_requested(call, turn=self.turn, block=2, output="PLAN"))
            if self.cancelling:
                self.events.append(tool_cancelled(call, turn=self.turn))
            else:
                self._happens(tool_succeeded(call, turn=self.turn, result=raw(self.draw(TEXTS))))

    def _happens(self, event: AnyEvent) -> None:
        """Add `event`, and perhaps what the outside does right after it."""
        self.events.append(event)
        if self._maybe(5) and self.triggers < self.max_triggers:
            self._trigger_comes(self.next_turn())
        elif self._maybe(9):
            waiting = self.draw(st.sampled_from([self.turn, *self.queue]))
            self._cancel(waiting)

    def _trigger_comes(self, turn: str) -> None:
        match self.draw(st.sampled_from(["reject", "enqueue", "interrupt", "withdraw"])):
            case "reject":
                self.events.append(trigger_rejected(turn))
            case "withdraw":
                self.events += [turn_cancel_requested(turn), trigger_rejected(turn, "cancelled")]
            case policy:
                self.events.append(trigger_queued(turn, interrupts=policy == "interrupt"))
                self.queue.append(turn)
                self.cancelling |= policy == "interrupt"

    def _cancel(self, turn: str) -> None:
        if turn == self.turn and self.cancelling:
            return
        self.events.append(turn_cancel_requested(turn))
        if turn == self.turn:
            self.cancelling = True
        else:
            self.queue.remove(turn)

    def _new_call(self) -> str:
        self.calls += 1
        return f"c{self.calls}"

    def _maybe(self, one_in: int) -> bool:
        return self._upto(one_in - 1) == one_in - 1

    def _upto(self, most: int) -> int:
        return self.draw(st.integers(0, most))
