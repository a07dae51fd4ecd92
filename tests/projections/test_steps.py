"""Steps: what a message, a model's failure and the end of a block do to the running turn."""

import msgspec
import pytest
from tests.support.logs import rebuild

from stenograph_events import AnyEvent
from stenograph_events.testing import (
    assistant_message,
    block_finished,
    model_failed,
    raw,
    session_created,
    summary_requested,
    thread_compacted,
    thread_started,
    tool_call,
    tool_refused,
    tool_requested,
    tool_succeeded,
    turn_finished,
    turn_started,
    user_message,
)
from stenograph_events.values import (
    BlobRef,
    FilePart,
    TextPart,
    Usage,
)
from stenograph_projections.session import Session, StartedThread, ThreadSize, Turn, runnable

STARTED: list[AnyEvent] = [session_created(), turn_started(), user_message()]
REJECTED = assistant_message("Well, pro", output="PLAN", response_type="Plan", rejected="it is no JSON")


def turn_of(session: Session) -> Turn:
    assert session.turn is not None
    return session.turn


# ---- answers of a declared type


def test_an_answer_of_a_declared_type_is_a_value_of_its_variable():
    session = rebuild([*STARTED, assistant_message('{"plan": "pro"}', output="PLAN", response_type="Plan")])

    assert msgspec.json.decode(session.variables["PLAN"]) == {"plan": "pro"}
    assert turn_of(session).block_over


def test_an_answer_without_a_type_is_text_also_where_it_looks_like_json():
    session = rebuild([*STARTED, assistant_message('{"plan": "pro"}', output="PLAN")])

    assert session.variables == {"PLAN": raw('{"plan": "pro"}')}


def test_a_rejected_answer_sets_no_variable_and_its_block_goes_on_with_the_next_step():
    session = rebuild([*STARTED, REJECTED])

    assert session.variables == {}
    assert (turn_of(session).block, turn_of(session).step, turn_of(session).block_over) == (1, 1, False)
    assert turn_of(session).rejected == "it is no JSON"
    assert runnable(session)


def test_the_answer_after_a_rejected_one_counts():
    session = rebuild([*STARTED, REJECTED, assistant_message("{}", step=1, output="PLAN", response_type="Plan")])

    assert session.variables == {"PLAN": raw({})}
    assert (turn_of(session).rejected, turn_of(session).step, turn_of(session).block_over) == (None, 2, True)


@pytest.mark.parametrize(
    "text", ["Well, pro", "", '{"plan": ', "[" * 100_000], ids=["words", "nothing", "half", "deep"]
)
def test_an_answer_that_another_hand_wrote_as_json_and_that_is_none_sets_no_variable(text: str):
    assert rebuild([*STARTED, assistant_message(text, output="PLAN", response_type="Plan")]).variables == {}


@pytest.mark.parametrize("response_type", [None, "Plan"])
def test_what_a_model_had_said_when_it_was_cancelled_sets_no_variable(response_type: str | None):
    partial = assistant_message('"The b', output="PLAN", finish_reason="cancelled", response_type=response_type)

    assert rebuild([*STARTED, partial]).variables == {}


# ---- threads


def test_a_thread_is_started_with_what_its_block_resolved_and_ends_that_block():
    settings = {"model": raw("openai/a")}
    session = rebuild([*STARTED, thread_started("research", block=2, system="Look it up.", settings=settings)])

    assert session.threads == {"research": StartedThread("user-message", 2, "Look it up.", settings)}
    assert (turn_of(session).block, turn_of(session).block_over) == (2, True)


def test_a_thread_that_begins_anew_has_its_new_settings_and_holds_nothing():
    before = [*STARTED, thread_started("main", block=1), user_message("Hello", block=2)]

    anew = rebuild([*before, thread_started("main", block=3, system="Be brief.")])

    assert anew.threads["main"] == StartedThread("user-message", 3, "Be brief.")
    assert rebuild(before).sizes == {"main": ThreadSize(0, len("Hello"))}
    assert anew.sizes == {}


def test_threads_outlive_the_turn_that_started_them():
    session = rebuild([*STARTED, thread_started("research"), turn_finished()])

    assert list(session.threads) == ["research"]


def test_a_turn_knows_the_thread_of_its_last_message():
    assert turn_of(rebuild([*STARTED, assistant_message(thread="research", calls=["c1"])])).thread == "research"


# ---- how much a model reads


def test_a_thread_is_as_long_as_the_last_answer_counted_and_what_came_since():
    asked = [*STARTED, assistant_message(calls=["c1"], usage=Usage(100, 20)), tool_requested("c1")]

    answered = rebuild([*asked, tool_succeeded("c1", result=raw("pro"))])
    said = rebuild([*asked, tool_succeeded("c1", result=raw("pro")), user_message("é", block=2)])

    assert answered.sizes == {"main": ThreadSize(120, 5)}
    assert said.sizes == {"main": ThreadSize(120, 7)}


def test_an_answer_that_nobody_counted_is_as_long_as_its_text_and_arguments():
    call = tool_call("c1", arguments=raw({"a": 1}))

    assert rebuild([*STARTED, assistant_message("Hm", calls=[call], usage=None)]).sizes == {"main": ThreadSize(0, 14)}


def test_a_result_in_the_blob_store_is_as_long_as_it_is_there():
    large = tool_succeeded("c1", result_ref=BlobRef("ab12", 300_000))

    session = rebuild([*STARTED, assistant_message(calls=["c1"], usage=Usage(1, 1)), tool_requested("c1"), large])

    assert session.sizes == {"main": ThreadSize(2, 300_000)}


def test_a_file_adds_nothing_to_what_is_counted():
    message = user_message(parts=(TextPart("Look"), FilePart("f1", "image/png", "https://files/f1")))

    assert rebuild([session_created(), turn_started(), message]).sizes == {"main": ThreadSize(0, 4)}


# ---- failures


def test_the_first_failure_is_kept_and_whether_the_last_one_was_seen_or_was_the_backups():
    events = [
        *STARTED,
        model_failed(1, error="overloaded", detail="Too busy."),
        model_failed(2, error="cut-off", detail="It broke off.", streamed=True, backup=True),
    ]

    turn = turn_of(rebuild(events))

    assert (turn.first_failure, turn.last_failure) == ("overloaded: Too busy.", "cut-off: It broke off.")
    assert (turn.streamed, turn.backup_failed) == (True, True)


@pytest.mark.parametrize(
    "over",
    [
        pytest.param([assistant_message("Hi", attempt=2)], id="an answer"),
        pytest.param([block_finished(1)], id="the end of the block"),
        pytest.param([thread_started("research", block=2)], id="a thread that is started"),
        pytest.param(
            [summary_requested(3), tool_succeeded("s1", result=raw("Hello.")), thread_compacted(3)],
            id="a shorter thread",
        ),
    ],
)
def test_failures_are_forgotten_with_what_was_tried(over: list[AnyEvent]):
    failed = model_failed(1, error="context-window", retryable=False, streamed=True, backup=True)

    turn = turn_of(rebuild([*STARTED, failed, *over]))

    assert (turn.failures, turn.first_failure, turn.last_failure) == (0, None, None)
    assert (turn.may_retry, turn.streamed, turn.backup_failed) == (True, False, False)


def test_a_model_that_fails_in_the_next_block_begins_it():
    refused = [*STARTED, assistant_message(calls=["c1"]), tool_refused("c1"), assistant_message("Hi", step=1)]

    turn = turn_of(rebuild([*refused, model_failed(block=2)]))

    assert (turn.block, turn.step, turn.block_over, turn.calls) == (2, 0, False, ())
