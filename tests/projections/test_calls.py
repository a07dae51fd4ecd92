"""Calls: what requests and answers do to the pending calls of a turn; those of tools are also in `test_session.py`."""

import pytest
from tests.support.logs import rebuild

from stenograph_events import AnyEvent, child_session_id, type_of
from stenograph_events.testing import (
    TOOL,
    assistant_message,
    child_requested,
    parent,
    raw,
    session_created,
    summary_requested,
    thread_compacted,
    thread_started,
    tool_answered,
    tool_call,
    tool_cancelled,
    tool_failed,
    tool_outcome_unknown,
    tool_refused,
    tool_requested,
    tool_succeeded,
    tool_timed_out,
    turn_finished,
    turn_started,
    user_message,
)
from stenograph_events.values import BlobRef, Compaction
from stenograph_projections.session import Session, Summary, ThreadSize, Turn, runnable

STARTED: list[AnyEvent] = [session_created(), turn_started(), user_message()]
ASKED: list[AnyEvent] = [*STARTED, assistant_message(calls=["c1"])]
SUMMING_UP: list[AnyEvent] = [*STARTED, summary_requested(through=3)]


def turn_of(session: Session) -> Turn:
    assert session.turn is not None
    return session.turn


# ---- tools of our own


def test_a_call_that_a_tool_of_our_own_answers_waits_for_nobody():
    session = rebuild([*ASKED, tool_answered("c1", TOOL, result=raw("# Plans"))])

    assert [call.status for call in turn_of(session).calls] == ["done"]
    assert session.woken_by == "t1.started"


def test_what_is_to_be_done_is_what_was_noted_last_also_in_the_next_turn():
    noted = [*ASKED, tool_answered("c1", todos=raw([{"id": "1"}]))]
    read = [*noted, assistant_message(calls=["c2"], step=1), tool_answered("c2", "octavus_reference_read")]

    assert rebuild(ASKED).todos == raw([])
    assert rebuild([*read, turn_finished(), turn_started("t2")]).todos == raw([{"id": "1"}])


# ---- child agents


def test_a_child_agents_session_knows_the_call_that_it_answers():
    assert rebuild([session_created(parent=parent("c1", depth=2))]).parent == parent("c1", depth=2)


def test_a_call_of_a_child_agent_waits_like_any_other_and_knows_its_session():
    waiting = rebuild([*STARTED, assistant_message(calls=["c1"]), child_requested("c1")])
    [call] = turn_of(waiting).calls

    assert (call.status, call.child) == ("open", child_session_id("c1"))
    assert not runnable(waiting)


@pytest.mark.parametrize(
    "answer",
    [tool_succeeded(), tool_failed(), tool_timed_out(), tool_cancelled(child=child_session_id("c1"))],
    ids=type_of,
)
def test_a_child_agents_outcome_lets_its_parent_go_on(answer: AnyEvent):
    session = rebuild([*STARTED, assistant_message(calls=["c1"]), child_requested("c1"), answer])

    assert [call.status for call in turn_of(session).calls] == ["done"]
    assert runnable(session)


def test_a_block_that_runs_a_child_agent_takes_its_output():
    ran = [*STARTED, child_requested("c1", block=2, output="FINDING"), tool_succeeded("c1", result=raw({"seats": 12}))]

    assert rebuild(ran).variables == {"FINDING": raw({"seats": 12})}
    assert (turn_of(rebuild(ran)).block, turn_of(rebuild(ran)).block_over) == (2, True)


def test_a_call_keeps_the_name_that_its_model_knows_where_a_parent_has_it_served_under_another():
    asked: list[AnyEvent] = [
        session_created(parent=parent(tools={"search": "search-documents"})),
        turn_started(),
        thread_started("main"),
        assistant_message(calls=[tool_call("c1", "search")]),
    ]

    [call] = turn_of(rebuild([*asked, tool_requested("c1", tool="search-documents")])).calls

    assert (call.tool, call.status) == ("search", "open")


# ---- summaries


def test_while_a_thread_is_summed_up_the_turn_stays_where_it_stands():
    turn = turn_of(rebuild(SUMMING_UP))

    assert (turn.block, turn.step, turn.block_over) == (0, 0, True)
    assert [(call.call, call.compacts) for call in turn.calls] == [("s1", Compaction("main", 3))]
    assert not runnable(rebuild(SUMMING_UP))


@pytest.mark.parametrize(
    ("result", "text"), [("They said hello.", "They said hello."), ({"said": "hello"}, '{"said":"hello"}')]
)
def test_a_summary_is_kept_until_it_is_recorded(result: object, text: str):
    summed_up = [*SUMMING_UP, tool_succeeded("s1", result=raw(result))]

    before, after = rebuild(summed_up), rebuild([*summed_up, thread_compacted(3, summary=text)])

    assert turn_of(before).summary == Summary(Compaction("main", 3), text, turn_of(rebuild(SUMMING_UP)).calls[0].call)
    assert turn_of(before).calls == ()
    assert turn_of(after).summary is None
    assert after.sizes == {"main": ThreadSize(0, len(text))}
    assert after.variables == {}


@pytest.mark.parametrize(
    "answer",
    [
        tool_failed("s1"),
        tool_timed_out("s1"),
        tool_outcome_unknown("s1"),
        tool_cancelled("s1"),
        tool_succeeded("s1", result=raw(None)),
        tool_succeeded("s1", result=raw("")),
        tool_succeeded("s1", result_ref=BlobRef("ab12", 300_000)),
    ],
    ids=["failed", "timed out", "unknown", "cancelled", "null", "nothing", "too large"],
)
def test_a_thread_that_cannot_be_summed_up_is_read_whole_in_this_block(answer: AnyEvent):
    turn = turn_of(rebuild([*SUMMING_UP, answer]))

    assert (turn.summary, turn.calls, turn.not_compacted) == (None, (), 1)
    assert (turn.block, turn.block_over) == (0, True)


def test_the_answer_of_a_summariser_adds_nothing_to_the_thread():
    before = rebuild(STARTED).sizes

    assert rebuild([*SUMMING_UP, tool_succeeded("s1", result=raw("They said hello."))]).sizes == before


# ---- refusals


def test_a_refusal_of_a_models_call_is_read_by_the_model():
    session = rebuild([*ASKED, tool_refused("c1", error="No.")])

    assert session.sizes["main"].more_bytes == len('{"error":"No."}')
    assert not turn_of(session).block_over
