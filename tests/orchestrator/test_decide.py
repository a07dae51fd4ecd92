"""Decide: given what the log says, what comes next. And what holds whatever happens."""

from datetime import timedelta
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.agents import bundle
from tests.support.logs import rebuild
from tests.support.worlds import World, agents

from stenograph_events import AnyEvent, decode, derived_id
from stenograph_events.testing import (
    START,
    assistant_message,
    log,
    model_failed,
    raw,
    session_created,
    tool_call,
    tool_cancelled,
    tool_requested,
    tool_succeeded,
    trigger_queued,
    turn_cancel_requested,
    turn_finished,
    turn_started,
    user_message,
)
from stenograph_events.types import (
    ToolCancelled,
    ToolRefused,
    ToolRequested,
    TurnFinished,
    TurnStarted,
)
from stenograph_projections.invariants import check
from stenograph_projections.session import Session, runnable
from stenograph_services.orchestrator.decide import decide, give_up, without_agent
from stenograph_services.orchestrator.decisions import Append, Ask, Decision, Env, Idle, Wait
from stenograph_services.protocol import load_bundle

AGENT = load_bundle(bundle("x"))
ENV = Env(now=START, tools={"get-account": "safe", "send-mail": "never"})

BEGUN: list[AnyEvent] = [session_created(), turn_started(input=raw({"TEXT": "Hi"})), user_message("Hi")]


def given_log(*events: AnyEvent) -> Session:
    return rebuild(event for event, _ in log(*events))


def decided(*events: AnyEvent, **env: Any) -> Decision:
    return decide(given_log(*events), AGENT, msgspec.structs.replace(ENV, **env))


def appended(*events: AnyEvent, **env: Any) -> list[Any]:
    decision = decided(*events, **env)
    assert isinstance(decision, Append)
    return list(decision.events)


def asked(*events: AnyEvent, **env: Any) -> tuple[Any, ...]:
    """Return the position at which the model is asked, which attempt it is, and where its answer goes."""
    question = decided(*events, **env)
    assert isinstance(question, Ask)
    return question.turn, question.block, question.step, question.attempt, question.thread, question.output


def account(call: str = "c1", arguments: Any = None) -> Any:
    return tool_call(call, "get-account", arguments=raw(arguments or {"userId": "u1"}))


def test_a_session_that_nobody_asked_anything_is_idle():
    assert decided(session_created()) == Idle()


def test_after_the_last_block_the_turn_is_completed():
    (finished,) = appended(*BEGUN, assistant_message("Hello"))

    assert isinstance(finished, TurnFinished)
    assert (finished.outcome, finished.turn, finished.cause) == ("completed", "t1", "t1.started")
    assert finished.id == derived_id("t1.started", "finished")


def test_a_model_is_asked_at_its_block_with_the_position_as_data():
    assert asked(*BEGUN) == ("t1", 1, 0, 1, "main", "ANSWER")


def test_a_message_with_calls_requests_each_of_them():
    first, second = appended(*BEGUN, assistant_message(calls=[account("c1"), account("c2")]))

    assert [type(first), type(second)] == [ToolRequested, ToolRequested]
    assert (first.call, first.attempt, first.arguments) == ("c1", 1, raw({"userId": "u1"}))
    assert first.id != second.id
    assert first.deadline_at == START + timedelta(seconds=60)


def test_what_was_requested_already_is_not_requested_again():
    (second,) = appended(
        *BEGUN, assistant_message(calls=[account("c1"), account("c2")]), tool_requested("c1", tool="get-account")
    )

    assert second.call == "c2"


def test_a_call_that_the_model_got_wrong_is_refused_beside_those_that_run():
    calls = [account("c1"), account("c2", {"userId": 5}), tool_call("c3", "get-acount")]

    decided = appended(*BEGUN, assistant_message(calls=calls))

    assert [type(one) for one in decided] == [ToolRequested, ToolRefused, ToolRefused]


def test_the_session_waits_while_a_call_is_open():
    calls = [account("c1"), account("c2")]
    called = [*BEGUN, assistant_message(calls=calls), *(tool_requested(c, tool="get-account") for c in ("c1", "c2"))]

    assert decided(*called, tool_succeeded("c2")) == Wait()
    assert asked(*called, tool_succeeded("c2"), tool_succeeded("c1")) == ("t1", 1, 1, 1, "main", "ANSWER")


def test_a_failed_attempt_is_followed_by_the_next_until_there_were_enough():
    failed = [model_failed(1), model_failed(2)]

    assert asked(*BEGUN, *failed) == ("t1", 1, 0, 3, "main", "ANSWER")
    (finished,) = appended(*BEGUN, *failed, model_failed(3))
    assert (finished.outcome, finished.reason) == ("failed", "model-failed")
    assert finished.detail == "overloaded: The model is overloaded."


def test_a_delivery_that_came_again_is_the_next_attempt():
    assert asked(*BEGUN, delivery=3) == ("t1", 1, 0, 3, "main", "ANSWER")


def test_a_cancelled_turn_closes_what_is_open_and_never_asks():
    called = [*BEGUN, assistant_message(calls=[account("c1"), account("c2")]), tool_requested("c1", tool="get-account")]
    cancelled = [*called, turn_cancel_requested()]

    closing = appended(*cancelled)
    (finished,) = appended(*cancelled, tool_cancelled("c1"), tool_cancelled("c2"))

    assert [(type(one), one.call) for one in closing] == [(ToolCancelled, "c1"), (ToolCancelled, "c2")]
    assert finished.outcome == "cancelled"


def test_a_turn_that_is_cancelled_before_the_model_answers_ends():
    (finished,) = appended(*BEGUN, turn_cancel_requested())

    assert finished.outcome == "cancelled"


def test_what_waits_begins_when_the_turn_before_it_is_over():
    queued = trigger_queued("t2", input=raw({"TEXT": "And?"}))

    (started,) = appended(*BEGUN, queued, assistant_message("Hello"), turn_finished(), delivery=2)

    assert isinstance(started, TurnStarted)
    assert (started.turn, started.input, started.cause, started.delivery) == (
        "t2",
        raw({"TEXT": "And?"}),
        "t2.queued",
        1,
    )


def test_giving_up_closes_the_calls_first_so_that_the_history_stays_whole():
    session = given_log(*BEGUN, assistant_message(calls=[account("c1"), account("c2")]))

    closing = give_up(session, ENV).events
    closed = given_log(*BEGUN, assistant_message(calls=[account("c1"), account("c2")]), *closing)
    (finished,) = give_up(closed, ENV).events

    assert [type(one) for one in closing] == [ToolCancelled, ToolCancelled]
    assert isinstance(finished, TurnFinished)
    assert (finished.outcome, finished.reason) == ("failed", "crash-loop")


def test_a_turn_whose_agent_is_not_stored_any_more_fails():
    (finished,) = without_agent(given_log(*BEGUN), ENV).events

    assert isinstance(finished, TurnFinished)
    assert (finished.reason, finished.detail) == ("unknown-agent", "agent support-chat in version v1 is not stored")


# ---- whatever happens


@given(agents(), st.data())
@settings(max_examples=250)
def test_a_session_is_runnable_exactly_where_there_is_something_to_append_or_to_ask(agent: Any, data: st.DataObject):
    world = World(agent, data.draw)
    for _ in range(14):
        world.happens()
        assert runnable(world.state) == isinstance(world.decided(), Append | Ask)
        assert (world.state.woken_by is not None) == runnable(world.state)


@given(agents(), st.data())
@settings(max_examples=250)
def test_every_turn_ends_and_no_invariant_is_broken(agent: Any, data: st.DataObject):
    world = World(agent, data.draw)

    world.live()

    report = check(world.stored, complete=True)
    assert report.ok, report.broken


@given(agents(), st.data())
@settings(max_examples=150)
def test_whoever_goes_on_after_any_event_appends_the_same_rest(agent: Any, data: st.DataObject):
    """A writer may die after each event that it appends: the next one folds the bytes and decides again."""
    world = World(agent, data.draw)
    for _ in range(16):
        world.happens()
        decision = world.decided()
        if isinstance(decision, Append):
            for count in range(1, len(decision.events)):
                taken_over = folded(world, decision.events[:count])
                assert decide(taken_over, agent, world.env()) == Append(decision.events[count:])


def folded(world: World, more: tuple[AnyEvent, ...]) -> Session:
    """Return the session as the bytes of the log and of `more` tell it."""
    stored = [one.data for one in world.stored] + [data for _, data in log(*more, after=world.head)]
    return rebuild(map(decode, stored))


@given(agents(), st.data())
@settings(max_examples=50)
def test_folding_the_bytes_again_gives_the_same_session(agent: Any, data: st.DataObject):
    world = World(agent, data.draw)
    world.live()

    assert folded(world, ()) == world.state
