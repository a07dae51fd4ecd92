"""Each rule holds for plausible logs, and each is broken, by name, by a log made to break it."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.support.logs import logs, stored
from tests.support.signing import answer, signer, worker

from stenograph_events import AnyEvent, CallId, child_session_id
from stenograph_events.signatures import signed_request
from stenograph_events.testing import (
    START,
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
    message_added,
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
    tool_call,
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
from stenograph_events.values import BlobRef, Compaction, Signature
from stenograph_projections.invariants import RULES, Issued, Report, check

STARTED: list[AnyEvent] = [session_created(), turn_started(), user_message("Hello")]
ASKED: list[AnyEvent] = [*STARTED, assistant_message(calls=["c1"])]
UNAPPROVED: list[AnyEvent] = [*ASKED, approval_requested("c1")]
REQUESTED: list[AnyEvent] = [*ASKED, tool_requested("c1")]
ANSWERED: list[AnyEvent] = [*REQUESTED, tool_succeeded("c1")]
DONE: list[AnyEvent] = [*ANSWERED, assistant_message("Hi", step=1), turn_finished()]
TO_ASK: list[AnyEvent] = [*ASKED, tool_requested("c1", on_unknown="ask-person")]
UNKNOWN: list[AnyEvent] = [*TO_ASK, tool_outcome_unknown("c1", then="ask-person")]
PERSON_ASKED: list[AnyEvent] = [*UNKNOWN, resolution_requested("c1")]
TO_CHECK: list[AnyEvent] = [
    *ASKED, tool_requested("c1", on_unknown="reconcile"), tool_outcome_unknown("c1", then="reconcile")
]  # fmt: skip
CHECK: list[AnyEvent] = [tool_requested("k1", retry="safe", checks=CallId("c1"))]
CHECKED: list[AnyEvent] = [*TO_CHECK, *CHECK, tool_succeeded("k1")]
SAFE: dict[str, Any] = {"retry": "safe", "attempts": 2}
AGAIN: list[AnyEvent] = [*ASKED, tool_requested("c1", **SAFE), tool_timed_out("c1", again=True)]
CANCELLED: list[AnyEvent] = [*STARTED, turn_cancel_requested()]
TWO_WAIT: list[AnyEvent] = [*STARTED, trigger_queued("t2"), trigger_queued("t3"), turn_finished()]
EXCEEDED: list[AnyEvent] = [*STARTED, budget_exceeded()]
ASKED_CHILD: list[AnyEvent] = [*ASKED[:-1], assistant_message(calls=[tool_call("c1", "researcher")]), child_requested()]
SUMMED_UP: list[AnyEvent] = [*STARTED, summary_requested(through=3), tool_succeeded("s1")]
PARENT = parent(tools={"search": "search-documents"})
IN_CHILD: list[AnyEvent] = [session_created(parent=PARENT), turn_started()]
SIGNED = signed_request(tool_requested(), signer())
ANSWER = answer(tool_succeeded(worker="w-1"))
REJECTED = assistant_message("Well", response_type="Plan", rejected="it is no JSON")


# ---- logs that are as they should be


@given(logs())
def test_every_rule_holds_for_a_log_that_went_as_it_should(events: list[AnyEvent]):
    report = check(stored(events), complete=True)

    assert report.broken == []
    assert report.ok
    assert report.events == report.rules["chain"] == report.rules["subject"] == len(events)


@given(logs(), st.data())
def test_a_log_may_be_looked_at_while_it_grows(events: list[AnyEvent], data: st.DataObject):
    cut = data.draw(st.integers(1, len(events)))

    assert check(stored(events[:cut])).broken == []


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([*AGAIN, tool_requested(attempt=2, **SAFE), tool_succeeded(attempt=2)], id="retry"),
        pytest.param([*AGAIN, turn_cancel_requested(), tool_cancelled()], id="cancelled between two attempts"),
        pytest.param([*PERSON_ASKED, tool_resolved(), assistant_message(step=1)], id="a person says what came of it"),
        pytest.param([*PERSON_ASKED, tool_resolved("c1", "unknown", expired=True)], id="nobody says it in time"),
        pytest.param([*CHECKED, tool_resolved(check=CallId("k1"))], id="a check finds out"),
        pytest.param(
            [*UNKNOWN, turn_cancel_requested(), tool_resolved("c1", "unknown", actor=None, reason="cancelled")],
            id="cancelled while nobody knows",
        ),
        pytest.param([*ASKED, tool_refused(), assistant_message(step=1)], id="refused without a request"),
        pytest.param([*ASKED, turn_cancel_requested(), tool_cancelled()], id="cancelled without a request"),
        pytest.param([*STARTED, tool_refused("c9", block=2)], id="a block's call refused"),
        pytest.param([*DONE, tool_answer_rejected(), turn_cancel_requested()], id="late answer and cancel"),
        pytest.param([session_created(), turn_cancel_requested(), trigger_rejected("t1", "cancelled")], id="withdrawn"),
        pytest.param([*CANCELLED, assistant_message("The b", finish_reason="cancelled")], id="partial answer"),
        pytest.param([session_created(), turn_started(cause="a trigger's message id")], id="an outside cause"),
        pytest.param([*ASKED, tool_answered(tool=TOOL), assistant_message(step=1)], id="answered by a tool of our own"),
        pytest.param([*EXCEEDED, budget_raised("session"), assistant_message("Hi")], id="a raised budget"),
        pytest.param(
            [*EXCEEDED, turn_cancel_requested(), turn_finished(outcome="cancelled")], id="stopped over budget"
        ),
        pytest.param([session_created(), budget_raised("session", turn=None)], id="raised while no turn runs"),
        pytest.param([*DONE, session_expired(), session_restored(), turn_started("t2")], id="expired and restored"),
        pytest.param([*DONE, session_expired(), trigger_rejected("t2", "expired")], id="a trigger that comes too late"),
        pytest.param([*DONE, session_expired(), session_cleared(), session_restored()], id="cleared once expired"),
        pytest.param([*DONE, messages_rolled_back(turn="t2"), turn_started("t2")], id="rolled back for a turn"),
        pytest.param(
            [*STARTED, trigger_queued("t2"), turn_cancel_requested("t2"), turn_finished(), session_cleared()],
            id="cleared when the queue is empty",
        ),
        pytest.param([*SUMMED_UP, thread_compacted(through=3), assistant_message("Hi")], id="summed up"),
        pytest.param([*STARTED, summary_requested(3), tool_failed("s1"), assistant_message("Hi")], id="not summed up"),
        pytest.param([*STARTED, REJECTED, assistant_message("{}", response_type="Plan", step=1)], id="asked again"),
        pytest.param([*STARTED, REJECTED, turn_finished(outcome="failed")], id="never of its type"),
        pytest.param([*ASKED_CHILD, tool_succeeded()], id="answered by a child agent"),
        pytest.param(
            [*ASKED_CHILD, turn_cancel_requested(), tool_cancelled(child=child_session_id("c1"))], id="child cancelled"
        ),
        pytest.param(
            [
                *IN_CHILD,
                thread_started("main"),
                assistant_message(calls=[tool_call("c1", "search")]),
                tool_requested(tool="search-documents"),
            ],
            id="a tool that a child agent has from its parent",
        ),
    ],
)
def test_what_is_unusual_but_right_breaks_nothing(events: list[AnyEvent]):
    assert check(stored(events)).broken == []


def test_an_event_of_a_later_version_breaks_nothing():
    [*before, last] = stored([*STARTED, turn_finished()])
    later = last._replace(data=last.data.replace(b"turn.finished", b"turn.paused"))

    assert check([*before, later]).broken == []


def test_an_exported_log_has_no_subjects_to_check():
    report = check(item._replace(subject=None) for item in stored(DONE))

    assert report.ok
    assert report.rules["subject"] == 0


# ---- logs that are not


BREAKING: dict[str, list[list[AnyEvent]]] = {
    "tried-again": [
        [*REQUESTED, tool_timed_out("c1", again=True), tool_requested(attempt=2)],
        [*ASKED, tool_requested("c1", **SAFE), tool_timed_out("c1"), tool_requested(attempt=2, **SAFE)],
        [*AGAIN, tool_requested(attempt=2, retry="safe")],
    ],
    "only-unsafe-unknown": [
        [*ASKED, tool_requested("c1", retry="safe"), tool_outcome_unknown("c1")],
        [*REQUESTED, tool_outcome_unknown("c1", then="ask-person")],
        [*TO_ASK, tool_outcome_unknown("c1")],
    ],
    "resolved-as-declared": [
        [*UNKNOWN, tool_outcome_unknown("c1", then="ask-person")],
        [*REQUESTED, resolution_requested("c1")],
        [*TO_CHECK, resolution_requested("c1")],
        [*PERSON_ASKED, resolution_requested("c1")],
        [*REQUESTED, tool_resolved("c1")],
        [*UNKNOWN, tool_resolved("c1")],
        [*PERSON_ASKED, *CHECK, tool_succeeded("k1"), tool_resolved("c1", check=CallId("k1"))],
        [*PERSON_ASKED, tool_resolved("c1", actor=None)],
        [*PERSON_ASKED, tool_resolved("c1"), tool_resolved("c1", "failed")],
    ],
    "checks": [
        [*TO_CHECK, tool_requested("k1", checks=CallId("c1"))],
        [*REQUESTED, *CHECK],
        [*TO_CHECK, *CHECK, tool_resolved("c1", check=CallId("k1"))],
        [*CHECKED, tool_resolved("c1", check=CallId("k2"))],
    ],
    "approved-first": [
        [*UNAPPROVED, tool_requested("c1")],
        [*UNAPPROVED, approval_denied("c1"), tool_requested("c1")],
        [*UNAPPROVED, approval_granted("c1"), tool_requested("c1", arguments=raw({"amount": 9}))],
        [*UNAPPROVED, approval_edited("c1"), tool_requested("c1")],
    ],
    "decided-once": [
        [*ASKED, approval_granted("c1")],
        [*ASKED, approval_requested("c1", digest="0" * 64)],
        [*UNAPPROVED, approval_granted("c1", digest="0" * 64)],
        [*UNAPPROVED, approval_granted("c1"), approval_denied("c1")],
        [*UNAPPROVED, approval_edited("c1", edited_digest="0" * 64)],
        [*UNAPPROVED, tool_timed_out("c1", 0), approval_granted("c1")],
        [*UNAPPROVED, tool_requested("c1")],
    ],
    "unique-id": [[*STARTED, assistant_message("Hi", id="t1.started")]],
    "created-first": [[turn_started()], [*STARTED, session_created(id="again")]],
    "one-session": [[session_created(), turn_started(tenant="other")]],
    "cause": [
        [*STARTED, assistant_message("Hi", cause="nowhere")],
        [*STARTED, user_message(block=1, cause="t1.message.1.0")],
        [session_created(), turn_started(cause="t1.started")],
        [session_created(), turn_started(cause="t1.message.0.0"), user_message()],
    ],
    "foldable": [[session_created(), user_message()], [session_created(), budget_exceeded()]],
    "one-outcome": [
        [*STARTED, turn_started(id="again")],
        [*STARTED, trigger_rejected("t1")],
        [*STARTED, trigger_queued("t2"), trigger_rejected("t2")],
        [*STARTED, trigger_queued("t2"), turn_cancel_requested("t2"), turn_finished(), turn_started("t2")],
        [session_created(), trigger_rejected("t1"), turn_started("t1")],
        [session_created(), turn_cancel_requested("t1"), turn_started("t1")],
    ],
    "one-turn-at-a-time": [[*STARTED, turn_started("t2")]],
    "queue-order": [[*TWO_WAIT, turn_started("t3")], [*TWO_WAIT, turn_started("t4")]],
    "one-end": [[*DONE, turn_finished(id="again")], [session_created(), turn_finished()]],
    "within-its-turn": [
        [*STARTED, turn_finished(), assistant_message("Hi")],
        [*REQUESTED, turn_finished(), tool_succeeded()],
        [*STARTED, block_finished(turn="t2")],
        [*STARTED, turn_finished(), budget_raised()],
    ],
    "cancelling": [
        [*CANCELLED, assistant_message("Hi")],
        [*CANCELLED, message_added("Hi", role="assistant", block=2)],
        [*ASKED, turn_cancel_requested(), tool_requested()],
        [*CANCELLED, turn_finished()],
        [*STARTED, trigger_queued("t2", interrupts=True), assistant_message("Hi")],
        [*ASKED, turn_cancel_requested(), tool_answered(tool=TOOL)],
        [*CANCELLED, budget_exceeded()],
    ],
    "one-answer": [[*STARTED, assistant_message("Hi"), assistant_message("Hi again", id="again")]],
    "asked-before": [
        [*STARTED, tool_requested()],
        [*STARTED, tool_refused()],
        [*CANCELLED, tool_cancelled()],
        [*ASKED, tool_requested(tool="delete-everything")],
        [*ASKED, tool_refused(), assistant_message(calls=["c1"], step=1)],
        [*STARTED, tool_answered()],
        [*ASKED, tool_answered(tool="delete-everything")],
    ],
    "attempts": [
        [*ASKED, tool_requested(attempt=2)],
        [*REQUESTED, tool_requested(id="again")],
        [*ANSWERED, tool_requested(attempt=2)],
        [*ASKED, tool_refused(), tool_requested()],
        [*ASKED, tool_answered(tool=TOOL), tool_requested()],
    ],
    "result-after-request": [
        [*ASKED, tool_succeeded()],
        [*REQUESTED, tool_succeeded(attempt=2)],
        [*REQUESTED, tool_requested(attempt=2), tool_timed_out()],
    ],
    "signed-requests": [
        [*ASKED, replace(SIGNED, arguments=raw({"userId": "u2"}))],
        [*ASKED, replace(SIGNED, deadline_at=START + timedelta(days=1))],
        [*ASKED, tool_requested(signed=Signature("CB", "x"))],
    ],
    "signed-answers": [
        [*ASKED, SIGNED, replace(ANSWER, result=raw({"plan": "free"}))],
        [*ASKED, SIGNED, replace(ANSWER, worker="w-2")],
        [*ASKED, replace(SIGNED, tool="get-plan"), ANSWER],
        [*ASKED, SIGNED, tool_failed(signed=ANSWER.signed)],
        [*ASKED, SIGNED, tool_timed_out(signed=ANSWER.signed)],
        [*ASKED, SIGNED, tool_answer_rejected(signed=ANSWER.signed)],
    ],
    "one-result": [
        [*ASKED, tool_answered(tool=TOOL), tool_refused()],
        [*ANSWERED, tool_failed()],
        [*ASKED, tool_refused(), tool_cancelled()],
    ],
    "own-answers": [[*REQUESTED, tool_answered(tool=TOOL)]],
    "steps": [
        [*STARTED, assistant_message("Hi", step=1)],
        [*STARTED, model_failed(step=1)],
        [*ANSWERED, assistant_message("Hi", step=2)],
        [*STARTED, assistant_message("Hi"), assistant_message("Hi", step=0, id="again")],
    ],
    "typed-answers": [
        [*STARTED, assistant_message("Well", response_type="Plan")],
        [*STARTED, assistant_message("", response_type="Plan")],
        [*STARTED, assistant_message("Well", rejected="it is no JSON")],
    ],
    "asked-again": [
        [*STARTED, REJECTED, turn_finished()],
        [*STARTED, REJECTED, user_message("Next", block=2)],
        [*STARTED, REJECTED, assistant_message("Next", block=2)],
    ],
    "started-threads": [
        [*STARTED, thread_started(trigger="another-trigger")],
        [*IN_CHILD, assistant_message("Hi")],
        [*IN_CHILD, thread_started("research"), assistant_message("Hi")],
    ],
    "summed-up": [
        [*STARTED, summary_requested(through=4)],
        [*STARTED, summary_requested(through=3), thread_compacted(through=3)],
        [*STARTED, summary_requested(through=3), tool_failed("s1"), thread_compacted(through=3)],
        [*SUMMED_UP, thread_compacted(through=2)],
        [*SUMMED_UP, thread_compacted(through=3, thread="research")],
        [*SUMMED_UP, thread_compacted(through=3), thread_compacted(through=3, id="again")],
        [*ANSWERED, thread_compacted(through=3, call="c1")],
    ],
    "waits-for-budget": [
        [*EXCEEDED, assistant_message("Hi")],
        [*EXCEEDED, model_failed()],
        [*EXCEEDED, tool_requested(block=2)],
        [*EXCEEDED, budget_exceeded("session", id="again")],
        [*EXCEEDED, turn_finished()],
    ],
    "child-calls": [
        [*ASKED_CHILD[:-1], child_requested(child=child("c2"))],
        [*ASKED_CHILD[:-1], child_requested(child=child(depth=2))],
        [*IN_CHILD, child_requested(block=2)],
        [*STARTED, tool_requested("s1", block=1, compacts=Compaction("main", 3))],
        [*ASKED_CHILD, turn_cancel_requested(), tool_cancelled()],
        [*REQUESTED, turn_cancel_requested(), tool_cancelled(child=child_session_id("c1"))],
    ],
    "parent-link": [
        [*IN_CHILD, turn_finished()],
        [*IN_CHILD, turn_finished(parent=parent("c2"))],
        [*STARTED, turn_finished(parent=parent())],
        [*IN_CHILD, turn_finished(parent=PARENT), turn_started("t2")],
    ],
    "expiry": [
        [session_created(), session_expired(), session_expired(2)],
        [session_created(), session_cleared(), session_cleared(2)],
        [session_created(), session_cleared(), session_expired()],
        [session_created(), session_restored()],
        [session_created(), session_expired(), session_restored(messages=(restored_message(),))],
        [session_created(), session_expired(), turn_started()],
        [*DONE, session_cleared(), trigger_queued("t2")],
    ],
    "at-rest": [
        [*STARTED, session_expired()],
        [*STARTED, session_cleared()],
        [*STARTED, messages_rolled_back()],
        [*TWO_WAIT, session_expired()],
        [*STARTED, turn_cancel_requested(), session_cleared()],
    ],
    "rolled-back": [
        [session_created(), messages_rolled_back(2)],
        [session_created(), messages_rolled_back(-1)],
        [*DONE, messages_rolled_back(4)],
        [*DONE, messages_rolled_back(5)],
        [*DONE, session_expired(), messages_rolled_back(2)],
    ],
    "answered-first": [
        [*REQUESTED, assistant_message("Hi", step=1)],
        [*ASKED, model_failed(step=1)],
        [*REQUESTED, turn_finished()],
        [*STARTED, tool_requested(block=1), turn_finished()],
    ],
}


@pytest.mark.parametrize(
    ("rule", "events"), [pytest.param(rule, events, id=rule) for rule, all_ in BREAKING.items() for events in all_]
)
def test_a_log_that_breaks_a_rule_is_told_so_by_name(rule: str, events: list[AnyEvent]):
    report = check(stored(events))

    assert rule in {broken.rule for broken in report.broken}
    assert not report.ok
    assert report.rules[rule] > 0


def test_every_rule_that_the_meaning_of_events_can_break_is_broken_above():
    bytes_only = {"decodable", "chain", "known-head", "rising-sequence", "subject"}

    assert set(BREAKING) == set(RULES) - bytes_only


@pytest.mark.parametrize(
    ("request_", "signers", "cases", "detail"),
    [
        (SIGNED, None, 1, None),
        (SIGNED, [signer().public, "CB2"], 1, None),
        (SIGNED, ["CB2"], 1, f"is signed by {signer().public}, which is no key of the platform"),
        (tool_requested(), None, 0, None),
        (tool_requested(), ["CB2"], 1, "is not signed"),
        (tool_requested(client=True), ["CB2"], 0, None),
    ],
)
def test_who_knows_the_platforms_keys_is_told_of_each_request_that_none_of_them_signed(
    request_: AnyEvent, signers: list[str] | None, cases: int, detail: str | None
):
    report = check(stored([*ASKED, request_]), signers=signers)

    assert report.rules["signed-requests"] == cases
    assert [one.detail for one in report.broken] == ([f"the request of call c1 {detail}"] if detail else [])


@pytest.mark.parametrize(
    "event",
    [
        ANSWER,
        answer(tool_succeeded(result_ref=BlobRef("ab", 300_000))),
        answer(tool_failed(worker="w-1")),
        answer(tool_timed_out(worker="w-1")),
        answer(tool_failed(kind="invalid-result", error="it is no plan"), digest="ab"),
    ],
)
def test_who_knows_the_workers_keys_is_told_whose_credential_answered(event: Any):
    log = stored([*ASKED, SIGNED, event])
    key = worker().public

    def broken(**issued: Issued) -> list[str]:
        return [one.detail for one in check(log, issued=issued).broken]

    assert check(log).answers == {key: 1}
    assert check(log).rules["signed-answers"] == 1
    assert broken(**{key: Issued("default", frozenset({TOOL}))}) == []
    for wrong in ({}, {key: Issued("acme", frozenset({TOOL}))}, {key: Issued("default", frozenset({"other"}))}):
        assert broken(**wrong) == [f"call c1 is answered by {key}, which was never given out for tool {TOOL}"]


@pytest.mark.parametrize(
    ("request_", "event", "told"),
    [
        (SIGNED, tool_succeeded(), True),
        (SIGNED, tool_failed(worker="w-1"), True),
        (SIGNED, tool_failed(), False),  # the tool gateway's own
        (SIGNED, tool_timed_out(), False),
        (tool_requested(), tool_succeeded(), False),  # of before there were signatures
        (tool_requested(client=True), tool_succeeded(), False),
    ],
)
def test_who_knows_the_workers_keys_is_told_of_each_answer_without_a_signature(
    request_: AnyEvent, event: AnyEvent, told: bool
):
    found = check(stored([*ASKED, request_, event]), issued={}).broken

    assert [one.detail for one in found] == (["the answer to call c1 is not signed"] if told else [])


def test_the_report_says_where_and_why():
    [broken] = check(stored([*ANSWERED, tool_failed()])).broken

    assert (broken.session, broken.rule, broken.n) == (session_created().session, "one-result", 7)
    assert broken.detail == "call c1 is answered already"


@pytest.mark.parametrize(
    ("events", "rule"),
    [
        pytest.param(STARTED, "one-end", id="a turn that has not ended"),
        pytest.param([*STARTED, trigger_queued("t2"), turn_finished()], "one-outcome", id="a queue"),
    ],
)
def test_a_complete_log_leaves_nothing_open(events: list[AnyEvent], rule: str):
    assert check(stored(events)).ok
    assert [broken.rule for broken in check(stored(events), complete=True).broken] == [rule]


# ---- the report


def test_an_empty_log_proves_nothing():
    report = check([])

    assert not report.ok
    assert report.broken == []
    assert set(report.rules) == set(RULES)
    assert not any(report.rules.values())


def test_reports_add_up():
    good, bad = check(stored(DONE)), check(stored([*DONE, turn_finished(id="again")]))

    total = sum([good, bad, check([])], Report())

    assert total.events == good.events + bad.events
    assert total.rules["chain"] == total.events
    assert total.broken == bad.broken
    assert not total.ok


def test_every_rule_says_in_one_sentence_what_it_promises():
    assert all(promise.endswith(".") and "\n" not in promise for promise in RULES.values())
