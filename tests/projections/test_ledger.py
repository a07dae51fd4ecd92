"""The ledger: what tools were asked to do, and what is known to have come of it."""

from stenograph_events import AnyEvent, CallId
from stenograph_events.testing import (
    PERSON,
    approval_granted,
    approval_requested,
    child_requested,
    log,
    resolution_requested,
    session_created,
    tool_answer_rejected,
    tool_cancelled,
    tool_failed,
    tool_outcome_unknown,
    tool_refused,
    tool_requested,
    tool_resolved,
    tool_succeeded,
    tool_timed_out,
    turn_started,
)
from stenograph_projections.ledger import Effect, Ledger

STARTED: list[AnyEvent] = [session_created(), turn_started()]


def effects(*events: AnyEvent) -> list[Effect]:
    ledger = Ledger()
    for event, _ in log(*STARTED, *events):
        ledger.take(event)
    return ledger.effects


def test_a_call_is_open_until_it_is_answered():
    [open_] = effects(tool_requested())
    [done] = effects(tool_requested(), tool_succeeded(worker="w-1"))

    assert (open_.state, open_.ended_at, open_.served_by) == ("open", None, "worker")
    assert (done.state, done.last.worker, done.ended_at) == ("succeeded", "w-1", done.last.ended_at)


def test_each_attempt_of_a_call_is_kept():
    [effect] = effects(
        tool_requested(), tool_timed_out(), tool_requested(attempt=2), tool_failed(attempt=2, worker="w-2")
    )

    assert [(one.attempt, one.outcome) for one in effect.attempts] == [(1, "timed-out"), (2, "failed")]
    assert (effect.state, effect.error, effect.last.worker) == ("failed", "No such user.", "w-2")


def test_who_let_a_call_run_and_who_said_what_came_of_it_stand_in_it():
    asked: list[AnyEvent] = [
        approval_requested(), approval_granted(), tool_requested(on_unknown="ask-person"),
        tool_outcome_unknown(then="ask-person"), resolution_requested(),
    ]  # fmt: skip
    [waiting] = effects(*asked)
    [resolved] = effects(*asked, tool_resolved("c1", "failed", error="It bounced."))

    assert (waiting.state, waiting.ended_at, waiting.approved_by) == ("asked", None, PERSON)
    assert (resolved.state, resolved.error, resolved.resolved_by) == ("failed", "It bounced.", PERSON)


def test_a_check_is_an_effect_of_its_own_that_names_what_it_checks():
    checked: list[AnyEvent] = [
        tool_requested(on_unknown="reconcile"),
        tool_outcome_unknown(then="reconcile"),
        tool_requested("k1", retry="safe", checks=CallId("c1")),
    ]
    [checking, _] = effects(*checked)
    [call, check] = effects(*checked, tool_succeeded("k1"), tool_resolved(check=CallId("k1")))

    assert checking.state == "checking"
    assert (call.state, call.check, check.state, check.checks) == ("succeeded", "k1", "succeeded", "c1")


def test_a_cancelled_call_that_was_answered_late_says_so():
    [effect] = effects(tool_requested(), tool_cancelled(), tool_answer_rejected(worker="w-1"))

    assert (effect.state, effect.last.late, effect.last.worker) == ("cancelled", "succeeded", "w-1")


def test_what_never_reached_a_tool_is_no_effect():
    assert effects(tool_refused(), approval_requested("c2"), child_requested("c3"), tool_succeeded("c3")) == []
