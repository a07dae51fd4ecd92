"""Plausible logs for properties: what a session might have recorded, as a strategy, and the fold of one.

    @given(logs())
    def test_...(events): assert check(stored(events), complete=True).ok

The story of a log is drawn event by event: triggers that wait, are rejected or interrupt, models that fail, calls that
are refused, tried again or cancelled, child agents, threads that are summed up or begun anew, exceeded budgets,
answers that come too late, and sessions that expire, are cleared, restored and rolled back between their turns.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from stenograph_events import AnyEvent, CallId, StoredEvent, ToolOutcome, child_session_id
from stenograph_events.subjects import event_subject
from stenograph_events.testing import (
    TOOL,
    approval_denied,
    approval_edited,
    approval_granted,
    approval_requested,
    assistant_message,
    block_finished,
    budget_exceeded,
    budget_raised,
    child,
    child_requested,
    log,
    messages_rolled_back,
    model_failed,
    parent,
    raw,
    resolution_requested,
    restored_message,
    session_cleared,
    session_created,
    session_expired,
    session_restored,
    summary_requested,
    thread_compacted,
    thread_started,
    tool_answer_rejected,
    tool_answered,
    tool_cancelled,
    tool_failed,
    tool_outcome_unknown,
    tool_refused,
    tool_requested,
    tool_resolved,
    tool_succeeded,
    tool_timed_out,
    trigger_queued,
    trigger_rejected,
    turn_cancel_requested,
    turn_finished,
    turn_started,
    user_message,
)
from stenograph_events.types import ApprovalEdited, ToolSucceeded, TurnFinished
from stenograph_events.values import FilePart, OnUnknown, TextPart, Usage
from stenograph_projections import session as sessions
from stenograph_projections.invariants import Stored
from stenograph_projections.session import Session

ON_UNKNOWN: tuple[OnUnknown, ...] = ("ask-person", "reconcile")
SAFE: dict[str, Any] = {"retry": "safe", "attempts": 2}
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
        story.rest()
    return story.events


class _Story:
    """A session as it is made up: what runs, what waits, and what happened so far."""

    def __init__(self, draw: st.DrawFn, max_triggers: int) -> None:
        self.draw = draw
        self.calls = 0
        self.triggers = 0
        self.turn = ""
        self.cancelling = False
        self.held_back = False
        self.queue: list[str] = []
        self.children: set[str] = set()
        self.policies: dict[str, OnUnknown] = {}
        self.safe: set[str] = set()
        self.parent = parent(depth=2) if self._maybe(4) else None
        self.max_triggers = 1 if self.parent else max_triggers  # a child agent runs once
        created = session_created(input=raw({"COMPANY_NAME": "Acme"}), parent=self.parent)
        self.events: list[AnyEvent] = [created]

    def next_turn(self) -> str:
        self.triggers += 1
        return f"t{self.triggers}"

    def play(self, turn: str) -> None:
        """Let `turn` run from its start to its end."""
        self.turn, self.cancelling, self.held_back = turn, False, False
        self._happens(turn_started(turn, delivery=self._upto(2)))
        self._begin()
        answered = self._answered()
        if answered and self._maybe(2):
            self._block_call()
        if answered and not self.cancelling:
            self._happens(block_finished(3, turn=turn, resources={"TICKET": raw(self.draw(TEXTS))}))
        if answered and self._maybe(3):
            answered = self._typed_answer()
        outcome = "cancelled" if self.cancelling else "completed" if answered else "failed"
        output = raw(self.draw(TEXTS)) if self.parent and outcome == "completed" else None
        self.events.append(turn_finished(turn, outcome, parent=self.parent, output=output))
        if self._maybe(6):
            self.events.append(budget_raised("session", turn=None, id=self._unique("raised"), steps=self._upto(2)))

    def rest(self) -> None:
        """Let happen what happens between turns."""
        if self._maybe(5):
            number = len(self.events)
            if self._maybe(2):
                kept = (
                    restored_message(self.draw(TEXTS), f"kept-{number}"),
                    restored_message("And?", f"more-{number}"),
                )
                self.events += [session_cleared(number), session_restored(number, messages=kept)]
            else:
                self.events += [session_expired(number), session_restored(number, submitted=2)]
        if self._maybe(4):
            ends = [n for n, event in enumerate(self.events, 1) if isinstance(event, TurnFinished)]
            through = self.draw(st.sampled_from([0, *ends]))
            self.events.append(messages_rolled_back(through, id=self._unique("rolled-back"), sizes={"main": 3}))

    def _begin(self) -> None:
        """Say what the user said, in a thread that may be begun anew."""
        parts = (TextPart(self.draw(TEXTS)), FilePart("f1", "image/png", "https://files/f1"))[: 1 + self._upto(1)]
        ui = raw({"choice": 1}) if self._maybe(4) else None
        if (self.parent or self._maybe(4)) and not self.cancelling:
            settings = {"model": raw("openai/a")}
            self._happens(thread_started("main", turn=self.turn, settings=settings))
        self.held_back = self.cancelling
        if not self.held_back:
            self._happens(user_message(parts=parts, ui=ui, turn=self.turn, visible=self._maybe(2)))

    # ---- what a model says

    def _answered(self) -> bool:
        """Ask a model until it calls no tool; return False if it fails for good."""
        for step in range(3):
            self._before_asking(1)
            failures = self._upto(1)
            for attempt in range(1, failures + 1):
                if not self.cancelling:
                    usage = Usage(self._upto(9)) if self._maybe(2) else None
                    self._happens(model_failed(attempt, turn=self.turn, step=step, usage=usage, cost_usd=self._price()))
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
        where: dict[str, Any] = {"turn": self.turn, "step": step, "attempt": attempt, "output": "ANSWER"}
        if self.cancelling:
            if not self.held_back and self._maybe(2):
                self.events.append(assistant_message("The begin", finish_reason="cancelled", **where))
            return False
        usage = Usage(self._upto(9), self._upto(9)) if self._maybe(2) else None
        where |= {"usage": usage, "cost_usd": self._price()}
        self._happens(assistant_message(self.draw(TEXTS), calls=calls, **where))
        return True

    def _typed_answer(self) -> bool:
        """Ask a model for JSON in a thread of its own; return False if it never answers with any."""
        typed: dict[str, Any] = {"response_type": "Plan", "output": "PLAN", "independent": self._maybe(2)}
        thread = "research" if self._maybe(2) else "main"
        if thread == "research" and not self.cancelling:
            self._happens(thread_started(thread, turn=self.turn, block=4))
        for step in range(2):
            self._before_asking(5)
            if self.cancelling:
                return True
            rejected = "it is no JSON" if self._maybe(3) else None
            text = "Well, pro" if rejected else '{"plan": "pro"}'
            where: dict[str, Any] = {"turn": self.turn, "thread": thread, "block": 5, "step": step}
            self._happens(assistant_message(text, rejected=rejected, **where, **typed))
            if not rejected:
                return True
        return False

    def _before_asking(self, block: int) -> None:
        """A thread may be summed up first, and a budget may be exceeded, until it is raised or the turn is stopped."""
        if self._maybe(5) and not self.cancelling:
            self._sum_up(block)
            self.held_back = self.cancelling
        if self._maybe(5) and not self.cancelling:
            unit = self.draw(st.sampled_from(["tokens", "cost", "steps", "seconds"]))
            exceeded = budget_exceeded(turn=self.turn, block=block, unit=unit, id=self._unique("exceeded"))
            self._happens(exceeded)
            if not self.cancelling and self._maybe(3):
                self._cancel(self.turn)
            self.held_back = self.cancelling
            if not self.held_back:
                scope = self.draw(st.sampled_from(["turn", "session"]))
                more = {"tokens": self._upto(9), "cost": Decimal(self._upto(2)), "seconds": 0.5}
                self._happens(budget_raised(scope, turn=self.turn, id=self._unique("raised"), **more))

    def _sum_up(self, block: int) -> None:
        call, through = self._new_call(), self.draw(st.integers(1, len(self.events)))
        depth = 3 if self.parent else 1
        self._happens(summary_requested(through, call, turn=self.turn, block=block, child=child(call, depth=depth)))
        self.children.add(call)
        self._answer_call(call, 1)
        if isinstance(succeeded := self._outcome_of(call), ToolSucceeded) and not self.cancelling:
            summary = bytes(succeeded.result).decode()
            self._happens(thread_compacted(through, call, turn=self.turn, block=block, summary=summary))

    def _outcome_of(self, call: str) -> AnyEvent:
        """Return the last answer of `call`, which has one."""
        return next(event for event in reversed(self.events) if isinstance(event, ToolOutcome) and event.call == call)

    # ---- calls

    def _run(self, calls: list[str]) -> None:
        """Answer `calls` in some order, each in some way."""
        waiting: dict[str, int] = {}
        for call in calls:
            if self.cancelling or not self._maybe(4):
                waiting[call] = 0
            elif self._maybe(2):
                todos = raw([{"id": call, "content": "Look", "status": "pending"}])
                self._happens(tool_answered(call, TOOL, turn=self.turn, todos=todos))
            else:
                self._happens(tool_refused(call, turn=self.turn))
        for call in list(waiting):
            if self._maybe(4) and not self.cancelling and not self._approved(call):
                del waiting[call]
            elif not self.cancelling:
                waiting[call] = 1
                self._request(call, **self._agreed(call))
        for call in self.draw(st.permutations(list(waiting))):
            self._answer_call(call, waiting[call])

    def _approved(self, call: str, **more: Any) -> bool:
        """Ask a person to approve of `call`; return False if it is answered by what they do, or do not do."""
        self._happens(approval_requested(call, turn=self.turn, tool=TOOL, **more))
        if self.cancelling:
            return True
        decided = self.draw(st.sampled_from([approval_granted, approval_edited, approval_denied, None]))
        if decided is None:
            self._happens(tool_timed_out(call, 0, turn=self.turn))
            return False
        self._happens(decided(call, turn=self.turn))
        if decided is not approval_denied or self.cancelling:
            return True
        self._happens(tool_refused(call, turn=self.turn, **more))
        return False

    def _agreed(self, call: str) -> dict[str, Any]:
        """Return the arguments that a person gave `call`, if one did."""
        edits = [event for event in self.events if isinstance(event, ApprovalEdited) and event.call == call]
        return {"arguments": edits[-1].arguments} if edits else {}

    def _request(self, call: str, **more: Any) -> None:
        if self._maybe(4):
            self.children.add(call)
            depth = 3 if self.parent else 1
            self._happens(child_requested(call, turn=self.turn, tool=TOOL, child=child(call, depth=depth), **more))
        else:
            if self._maybe(3):
                self.policies[call] = more["on_unknown"] = self.draw(st.sampled_from(ON_UNKNOWN))
            elif self._maybe(3):
                self.safe.add(call)
                more |= SAFE
            self._happens(tool_requested(call, turn=self.turn, **more))

    def _answer_call(self, call: str, attempt: int) -> None:
        if attempt and call in self.safe and not self.cancelling and self._maybe(2):
            self._happens(self.draw(st.sampled_from([tool_failed, tool_timed_out]))(call, turn=self.turn, again=True))
            if not self.cancelling:
                attempt = 2
                self._happens(tool_requested(call, attempt, turn=self.turn, **SAFE, **self._agreed(call)))
        if self.cancelling:
            self._close(call)
        elif call in self.policies and self._maybe(2):
            self._left_unknown(call, attempt, self.policies[call])
        else:
            results = RESULTS[:-1] if call in self.policies or call in self.safe else RESULTS
            self._happens(self.draw(st.sampled_from(results))(call, attempt, turn=self.turn))
        if self._maybe(6):
            self.events.append(tool_answer_rejected(call, max(attempt, 1), turn=self.turn))

    def _left_unknown(self, call: str, attempt: int, then: OnUnknown) -> None:
        """Let nobody know what came of `call`, until a person says so, or a check finds out, or neither."""
        self._happens(tool_outcome_unknown(call, attempt, turn=self.turn, then=then))
        known: dict[str, Any] = {}
        if not self.cancelling and then == "ask-person":
            self._happens(resolution_requested(call, turn=self.turn, attempt=attempt))
            if self._maybe(3):
                known = {"expired": True}
        elif not self.cancelling:
            check = f"{call}-check"
            self._happens(tool_requested(check, turn=self.turn, retry="safe", checks=CallId(call)))
            known = {"check": CallId(check)}
            if not self.cancelling:
                self._happens(self.draw(st.sampled_from(RESULTS[:-1]))(check, turn=self.turn))
            else:
                self.events.append(tool_cancelled(check, turn=self.turn))
        if self.cancelling:
            known = {"actor": None, "reason": "cancelled"}
        said = self.draw(st.sampled_from(["succeeded", "failed", "unknown"]))
        outcome = "unknown" if known.keys() & {"expired", "reason"} else said
        self._happens(tool_resolved(call, outcome, turn=self.turn, attempt=attempt, **known))

    def _close(self, call: str) -> None:
        session = child_session_id(call) if call in self.children else None
        self.events.append(tool_cancelled(call, turn=self.turn, child=session))

    def _block_call(self) -> None:
        if self.cancelling:
            return
        call = self._new_call()
        if self._maybe(4):
            self._happens(tool_refused(call, turn=self.turn, block=2, output="PLAN"))
        elif not self._maybe(4) or self._approved(call, block=2, output="PLAN"):
            if not self.cancelling:
                self._request(call, block=2, output="PLAN", **self._agreed(call))
            if self.cancelling:
                self._close(call)
            else:
                self._happens(tool_succeeded(call, turn=self.turn, result=raw(self.draw(TEXTS))))

    # ---- what the outside does

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

    def _unique(self, name: str) -> str:
        return f"{name}.{len(self.events)}"

    def _price(self) -> Decimal | None:
        return self.draw(st.sampled_from([None, Decimal("0.0031"), Decimal(2)]))

    def _maybe(self, one_in: int) -> bool:
        return self._upto(one_in - 1) == one_in - 1

    def _upto(self, most: int) -> int:
        return self.draw(st.integers(0, most))
