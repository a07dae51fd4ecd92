"""The session: what `decide` reads. Given some events, when one more comes, then this is where the session stands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.logs import logs, rebuild

from stenograph_events import AnyEvent, BrokenChain, UnknownEvent, type_of
from stenograph_events.testing import (
    SESSION,
    START,
    assistant_message,
    block_finished,
    budget_exceeded,
    log,
    model_failed,
    raw,
    session_created,
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
from stenograph_projections.session import OUTCOMES_PAGE, OUTCOMES_REMEMBERED, Session, Turn, runnable

STARTED: list[AnyEvent] = [session_created(), turn_started(), user_message()]
ASKED: list[AnyEvent] = [*STARTED, assistant_message(calls=["c1", "c2"])]
WAITING: list[AnyEvent] = [*ASKED, tool_requested("c1"), tool_requested("c2")]


def turn_of(events: list[AnyEvent]) -> Turn:
    turn = rebuild(events).turn
    assert turn is not None
    return turn


# ---- what a session is


def test_a_session_is_created_with_its_agent_and_input():
    session = rebuild([session_created(agent="support-chat", input=raw({"COMPANY_NAME": "Acme"}))])

    assert (session.tenant, session.session) == ("default", SESSION)
    assert (session.agent, session.agent_version) == ("support-chat", "v1")
    assert session.input == raw({"COMPANY_NAME": "Acme"})
    assert (session.turn, session.queue, session.woken_by) == (None, (), None)


def test_a_log_that_does_not_begin_with_its_creation_cannot_be_folded():
    with pytest.raises(BrokenChain, match=r"event 0: it comes before session\.created"):
        rebuild([turn_started()])


@pytest.mark.parametrize(
    "event",
    [
        user_message(),
        model_failed(),
        tool_requested(),
        tool_succeeded(),
        tool_refused(),
        tool_answered(),
        block_finished(),
        thread_started(),
        thread_compacted(1),
        budget_exceeded(),
    ],
    ids=type_of,
)
def test_an_event_of_a_turn_cannot_be_folded_while_none_runs(event: AnyEvent):
    with pytest.raises(ValueError, match=f"session {SESSION}: .*while no(ne| turn) runs"):
        rebuild([session_created(), event])


def test_the_time_of_the_last_event_is_the_time_of_the_session():
    session = rebuild(event for event, _ in log(*STARTED))

    assert (session.updated_at - START).seconds == 3
    assert (session.created_at - START).seconds == 1


@given(logs(), st.data())
def test_folding_on_from_any_event_equals_folding_from_the_start(events: list[AnyEvent], data: st.DataObject):
    cut = data.draw(st.integers(1, len(events)))

    assert rebuild(events[cut:], start=rebuild(events[:cut])) == rebuild(events)


# ---- runs: what makes a session act, and whose delivery drives it


@given(logs())
def test_a_run_has_one_wakening_event_from_its_first_event_to_its_last(events: list[AnyEvent]):
    session: Session | None = None
    for event in events:
        before, session = session, sessions.apply(session, event)

        assert (session.woken_by is not None) == runnable(session)
        if before is None or before.woken_by is None:
            assert session.woken_by in (None, event.id)
        else:
            assert session.woken_by in (None, before.woken_by)


@given(logs())
def test_a_session_in_which_every_turn_ended_has_nothing_to_do(events: list[AnyEvent]):
    session = rebuild(events)

    assert (session.turn, session.queue, session.woken_by) == (None, (), None)


def test_a_turn_that_starts_begins_a_run():
    assert rebuild(STARTED).woken_by == "t1.started"


def test_a_session_waits_until_every_tool_request_is_answered():
    one_requested = rebuild([*ASKED, tool_requested("c1")])
    both_requested = rebuild(WAITING)
    one_answered = rebuild([*WAITING, tool_succeeded("c1")])
    both_answered = rebuild([*WAITING, tool_succeeded("c1"), tool_failed("c2")])

    assert one_requested.woken_by == "t1.started"
    assert both_requested.woken_by is None
    assert one_answered.woken_by is None
    assert both_answered.woken_by == "c2.failed.1"


def test_an_answer_does_not_take_over_a_run_that_still_has_calls_to_request():
    session = rebuild([*ASKED, tool_requested("c1"), tool_succeeded("c1")])

    assert session.woken_by == "t1.started"


def test_a_call_that_is_refused_waits_for_nothing():
    session = rebuild([*ASKED, tool_refused("c1"), tool_refused("c2")])

    assert session.woken_by == "t1.started"


def test_a_call_that_is_tried_again_waits_again():
    again = [*WAITING, tool_timed_out("c1"), tool_succeeded("c2"), tool_requested("c1", 2)]

    assert rebuild(again).woken_by is None
    assert [(call.call, call.status, call.attempt) for call in turn_of(again).calls] == [
        ("c1", "open", 2),
        ("c2", "done", 1),
    ]


def test_an_interrupt_wakes_a_session_that_waits_and_makes_its_turn_cancelling():
    session = rebuild([*WAITING, trigger_queued("t2", interrupts=True)])

    assert session.woken_by == "t2.queued"
    assert session.turn is not None
    assert session.turn.cancelling
    assert [queued.turn for queued in session.queue] == ["t2"]


def test_an_interrupt_does_not_take_over_a_run():
    session = rebuild([*STARTED, trigger_queued("t2", interrupts=True)])

    assert session.woken_by == "t1.started"


def test_a_trigger_that_only_waits_wakes_nobody():
    session = rebuild([*WAITING, trigger_queued("t2")])

    assert session.woken_by is None
    assert session.turn is not None
    assert not session.turn.cancelling


def test_a_cancel_wakes_a_session_that_waits():
    assert rebuild([*WAITING, turn_cancel_requested("t1")]).woken_by == "t1.cancel"


def test_a_turn_that_is_cancelled_is_closed_call_by_call_within_one_run():
    cancelled = [*WAITING, turn_cancel_requested(), tool_cancelled("c1"), tool_cancelled("c2")]

    assert rebuild(cancelled).woken_by == "t1.cancel"
    assert rebuild([*cancelled, turn_finished(outcome="cancelled")]).woken_by is None


def test_a_run_goes_on_through_the_end_of_a_turn_into_the_next_one():
    ended = [*STARTED, trigger_queued("t2"), assistant_message("Hi"), turn_finished()]
    next_one = [*ended, turn_started("t2"), user_message(turn="t2")]

    assert rebuild(ended).woken_by == "t1.started"
    assert rebuild(next_one).woken_by == "t1.started"
    assert rebuild(next_one).queue == ()
    assert turn_of(next_one).id == "t2"


def test_a_rejected_answer_changes_nothing():
    assert rebuild([*WAITING, tool_answer_rejected()]) == rebuild(WAITING)


# ---- triggers and their outcomes


def test_every_trigger_that_was_answered_is_remembered_once():
    events = [
        *STARTED,
        trigger_queued("t2"),
        trigger_rejected("t3"),
        assistant_message("Hi"),
        turn_finished(),
        turn_started("t2"),
    ]

    assert rebuild(events).outcomes.recent == ("t1", "t2", "t3")


@pytest.mark.parametrize("answered", [1, 49, 50, 51, 999, 1_000, 1_001, 1_049, 1_050, 2_345])
def test_the_last_thousand_outcomes_are_remembered_and_only_a_few_more(answered: int):
    turns = [f"t{number}" for number in range(answered)]

    outcomes = rebuild([session_created(), *map(trigger_rejected, turns)]).outcomes

    assert all(turn in outcomes for turn in turns[-OUTCOMES_REMEMBERED:])
    assert not any(turn in outcomes for turn in turns[: -OUTCOMES_REMEMBERED - OUTCOMES_PAGE])


def test_a_queued_trigger_that_is_cancelled_leaves_the_queue_and_stays_answered():
    session = rebuild([*WAITING, trigger_queued("t2"), trigger_queued("t3"), turn_cancel_requested("t2")])

    assert [queued.turn for queued in session.queue] == ["t3"]
    assert session.outcomes.recent == ("t1", "t2", "t3")
    assert session.withdrawn == ()


def test_a_cancel_that_comes_before_its_trigger_is_kept_until_it_comes():
    session = rebuild([session_created(), turn_cancel_requested("t1")])

    assert session.withdrawn == ("t1",)
    assert session.woken_by is None


# ---- the position of a turn


def test_a_model_that_answers_without_calls_ends_its_block_and_sets_its_output():
    events = [*STARTED, assistant_message("You are on the pro plan.", output="ANSWER")]

    turn = turn_of(events)

    assert (turn.block, turn.step, turn.block_over, turn.calls) == (1, 1, True, ())
    assert rebuild(events).variables == {"ANSWER": raw("You are on the pro plan.")}


def test_a_model_that_calls_tools_sets_no_output_yet():
    events = [*STARTED, assistant_message("Let me look.", calls=["c1"], output="ANSWER")]

    turn = turn_of(events)

    assert (turn.block, turn.step, turn.block_over) == (1, 1, False)
    assert [(call.call, call.status) for call in turn.calls] == [("c1", "needed")]
    assert rebuild(events).variables == {}


def test_arguments_are_kept_only_until_their_call_is_requested():
    call = tool_call("c1", arguments=raw({"userId": "user-123"}))
    asked = [*STARTED, assistant_message(calls=[call])]

    [needed] = turn_of(asked).calls
    [requested] = turn_of([*asked, tool_requested("c1", retry="safe")]).calls

    assert needed.arguments == raw({"userId": "user-123"})
    assert (requested.arguments, requested.retry, requested.attempt) == (raw({}), "safe", 1)


def test_failed_attempts_of_a_model_are_counted_until_it_answers():
    failed = [*STARTED, model_failed(1), model_failed(2, retryable=False)]

    turn = turn_of(failed)
    after = turn_of([*failed, assistant_message("Hi", attempt=3)])

    assert (turn.failures, turn.may_retry, turn.last_failure) == (2, False, "overloaded: The model is overloaded.")
    assert (turn.block, turn.step, turn.block_over) == (1, 0, False)
    assert (after.failures, after.may_retry, after.last_failure) == (0, True, None)


def test_a_model_that_fails_after_tools_stays_at_its_step():
    answered = [*ASKED, tool_requested("c1"), tool_requested("c2"), tool_succeeded("c1"), tool_succeeded("c2")]

    turn = turn_of([*answered, model_failed(step=1)])

    assert (turn.block, turn.step, turn.failures) == (1, 1, 1)
    assert [call.status for call in turn.calls] == ["done", "done"]


def test_a_block_that_finished_sets_variables_and_resources():
    events = [*STARTED, block_finished(3, variables={"A": raw(1)}, resources={"B": raw("x")})]

    session, turn = rebuild(events), turn_of(events)

    assert (session.variables, session.resources) == ({"A": raw(1)}, {"B": raw("x")})
    assert (turn.block, turn.block_over) == (3, True)


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        (tool_succeeded(result=raw({"plan": "pro"})), {"plan": "pro"}),
        (tool_failed(error="No such user."), {"error": "No such user."}),
        (tool_timed_out(), {"error": "tool.timed_out"}),
        (tool_outcome_unknown(), {"error": "tool.outcome_unknown"}),
        (tool_cancelled(), {"error": "tool.cancelled"}),
    ],
    ids=lambda value: type_of(value) if not isinstance(value, dict) else "",
)
def test_a_call_that_a_block_made_ends_the_block_and_sets_its_output(answer: AnyEvent, value: dict[str, str]):
    requested = [*STARTED, tool_requested("c1", block=2, output="ACCOUNT")]

    waiting, over = turn_of(requested), turn_of([*requested, answer])

    assert (waiting.block, waiting.block_over) == (2, False)
    assert rebuild(requested).woken_by is None
    assert (over.block, over.block_over, over.calls) == (2, True, ())
    assert rebuild([*requested, answer]).variables == {"ACCOUNT": raw(value)}


def test_a_call_of_a_block_that_is_refused_ends_the_block_at_once():
    events = [*STARTED, tool_refused(block=2, output="ACCOUNT", error="userId is missing.")]

    assert (turn_of(events).block, turn_of(events).block_over) == (2, True)
    assert rebuild(events).variables == {"ACCOUNT": raw({"error": "userId is missing."})}


def test_a_result_that_lies_in_the_blob_store_is_kept_as_its_reference():
    from stenograph_events.values import BlobRef

    events = [
        *STARTED,
        tool_requested(block=2, output="ACCOUNT"),
        tool_succeeded(result_ref=BlobRef("ab12", 300_000)),
    ]

    assert rebuild(events).variables == {"ACCOUNT": raw({"sha256": "ab12", "size": 300_000})}


# ---- crashes


def test_the_deliveries_before_a_turn_are_the_base_of_its_crash_count():
    assert rebuild([session_created(), turn_started(delivery=3)]).deliveries_before == 3


def test_an_answer_moves_the_base_to_the_delivery_that_got_it():
    second_delivery = assistant_message("Hi", calls=["c1"], attempt=2)
    third_attempt_after_one_failure = assistant_message("Hi", calls=["c1"], attempt=3)

    assert rebuild([*STARTED, second_delivery]).deliveries_before == 1
    assert rebuild([*STARTED, model_failed(1), third_attempt_after_one_failure]).deliveries_before == 1
    assert rebuild([*STARTED, model_failed(1), assistant_message("Hi", attempt=2)]).deliveries_before == 0


def test_an_answer_of_an_earlier_delivery_does_not_move_the_base_back():
    """The base used to become -1, so that a crash was counted that never happened."""
    assert rebuild([*STARTED, model_failed(2), assistant_message("Hi", attempt=1)]).deliveries_before == 0


def test_a_run_that_a_result_began_counts_its_deliveries_from_zero():
    asked: list[AnyEvent] = [session_created(), turn_started(delivery=3), assistant_message(calls=["c1"])]

    assert rebuild([*asked, tool_requested("c1"), tool_succeeded("c1")]).deliveries_before == 0


# ---- what a later version wrote


def test_an_unknown_event_changes_nothing_but_is_remembered():
    unknown = UnknownEvent(
        id=turn_started().id, at=START, tenant=turn_started().tenant, session=SESSION, unknown_type="turn.paused"
    )

    session = rebuild([*WAITING, unknown])

    assert session.unknown == "turn.paused"
    assert (session.turn, session.woken_by) == (rebuild(WAITING).turn, None)
