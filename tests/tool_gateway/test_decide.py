"""What an answer or a deadline becomes, given the session as it stands at the fence."""

from typing import Any

import pytest
from msgspec import Raw
from msgspec.structs import replace
from tests.support.agents import bundle
from tests.support.logs import rebuild

from stenograph_events import AnyEvent
from stenograph_events.subjects import AnswerSubject
from stenograph_events.testing import (
    SESSION,
    START,
    assistant_message,
    child_requested,
    log,
    raw,
    session_created,
    tool_call,
    tool_cancelled,
    tool_requested,
    tool_succeeded,
    tool_timed_out,
    turn_finished,
    turn_started,
    user_message,
)
from stenograph_events.types import (
    ToolAnswerRejected,
    ToolFailed,
    ToolOutcomeUnknown,
    ToolSucceeded,
    ToolTimedOut,
)
from stenograph_events.values import BlobRef, Child
from stenograph_events.wire import ToolAnswer
from stenograph_projections.session import Session
from stenograph_services.protocol import load_bundle
from stenograph_services.tool_gateway import decide

AGENT = load_bundle(bundle("x"))
AT = AnswerSubject("default", "get-account", SESSION, "c1", 1)
WHERE = AT.about

ASKED: list[AnyEvent] = [
    session_created(),
    turn_started(),
    user_message(),
    assistant_message(calls=[tool_call("c1", "get-account"), tool_call("c2", "get-account")]),
]
OPEN: list[AnyEvent] = [*ASKED, tool_requested("c1", tool="get-account")]


def given_log(*events: AnyEvent) -> Session:
    return rebuild(event for event, _ in log(*events))


def answered(*events: AnyEvent, at: AnswerSubject = AT, value: Any = {"plan": "pro"}, **answer: Any) -> Any:  # noqa: B006
    given = ToolAnswer(**{"outcome": "succeeded", "worker": "w-1", **answer})
    return decide.answered(given_log(*events), AGENT, at, given, value if value is None else raw(value), START)


def test_an_answer_to_an_open_call_is_its_outcome():
    succeeded, failed, expired = (answered(*OPEN, outcome=outcome) for outcome in ("succeeded", "failed", "expired"))

    assert isinstance(succeeded, ToolSucceeded)
    assert (succeeded.call, succeeded.attempt, succeeded.turn, succeeded.worker) == ("c1", 1, "t1", "w-1")
    assert isinstance(failed, ToolFailed)
    assert failed.error == "the tool failed without saying why"
    assert isinstance(expired, ToolTimedOut)


@pytest.mark.parametrize(
    "events",
    [
        [*OPEN, tool_succeeded("c1")],
        [*OPEN, tool_cancelled("c1")],
        [*OPEN, tool_succeeded("c1"), turn_finished()],
        ASKED,
        [session_created()],
    ],
    ids=["answered", "cancelled", "turn over", "not requested", "nothing"],
)
def test_an_answer_that_nobody_waits_for_is_noted_as_late(events: list[AnyEvent]):
    noted = answered(*events)

    assert isinstance(noted, ToolAnswerRejected)
    assert (noted.call, noted.reason, noted.outcome) == ("c1", "late", "succeeded")


def test_an_answer_to_an_attempt_that_another_one_followed_is_noted_as_superseded():
    again = tool_requested("c1", 2, tool="get-account")

    assert answered(*OPEN, again).reason == "superseded"
    assert isinstance(answered(*OPEN, again, at=AT._replace(attempt=2)), ToolSucceeded)


def test_what_a_child_agent_answers_is_not_held_against_a_tool_of_the_same_name():
    child = Child(SESSION, "get-account", "v1")

    succeeded = answered(*ASKED, tool_requested("c1", tool="get-account", child=child), value="pro", result=raw("pro"))

    assert isinstance(succeeded, ToolSucceeded)


@pytest.mark.parametrize("value", [{"plan": 5}, {}, "pro", None])
def test_a_result_that_is_not_what_the_protocol_declares_is_a_failure(value: Any):
    failed = answered(*OPEN, value=value)

    assert isinstance(failed, ToolFailed)
    assert failed.kind == "invalid-result"


def test_without_the_agent_a_result_is_taken_as_it_is():
    event = decide.answered(given_log(*OPEN), None, AT, ToolAnswer("succeeded"), Raw(b"5"), START)

    assert isinstance(event, ToolSucceeded)


def test_the_same_answer_makes_the_same_ids_and_each_attempt_its_own():
    ids = {
        answered(*OPEN).id,
        answered(*OPEN, outcome="failed").id,
        answered(*ASKED).id,
        answered(*OPEN, at=AT._replace(attempt=2)).id,
    }

    assert len(ids) == 3
    assert {answered(*OPEN).id, answered(*ASKED).id} == decide.recorded_as(WHERE)


@pytest.mark.parametrize(
    ("claim", "kind"), [("none", ToolTimedOut), ("closed", ToolTimedOut), ("taken", ToolOutcomeUnknown)]
)
def test_a_deadline_that_passed_is_an_unknown_outcome_only_where_a_worker_had_begun(claim: Any, kind: type):
    event = decide.overdue(given_log(*OPEN), WHERE, claim, START)

    assert isinstance(event, kind)


@pytest.mark.parametrize("events", [[*OPEN, tool_succeeded("c1")], ASKED, [*OPEN, tool_requested("c1", 2)]])
def test_a_deadline_of_a_call_that_is_not_open_becomes_nothing(events: list[AnyEvent]):
    assert decide.overdue(given_log(*events), WHERE, "none", START) is None


def test_an_answer_that_cannot_be_read_fails_an_open_call_and_says_nothing_of_another():
    failed = decide.unreadable(given_log(*OPEN), AT, "no JSON", START)

    assert isinstance(failed, ToolFailed)
    assert failed.error == "the worker's answer cannot be read: no JSON"
    assert decide.unreadable(given_log(*ASKED), AT, "no JSON", START) is None


@pytest.mark.parametrize("since", [[], [tool_succeeded("c1")]], ids=["open", "answered"])
def test_an_answer_in_the_name_of_another_tool_is_none_and_says_whose_call_it_is(since: list[AnyEvent]):
    elsewhere = AT._replace(tool="get-invoice")
    sentence = "it answers call c1 as tool 'get-invoice', and the call is of 'get-account'"

    with pytest.raises(decide.OfAnotherTool, match=sentence):
        answered(*OPEN, *since, at=elsewhere)
    with pytest.raises(decide.OfAnotherTool, match=sentence):
        decide.unreadable(given_log(*OPEN, *since), elsewhere, "no JSON", START)


@pytest.mark.parametrize("given", [ToolAnswer("succeeded", worker="w-1"), ToolAnswer("failed"), ToolAnswer("expired")])
def test_where_workers_have_keys_an_answer_that_none_signed_closes_no_call(given: ToolAnswer):
    with pytest.raises(decide.NotBelieved, match="no worker signed the answer to call c1"):
        decide.answered(given_log(*OPEN), AGENT, AT, given, given.result, START, terms=decide.Terms(unsigned=False))
    with pytest.raises(decide.NotBelieved):
        decide.unreadable(given_log(*OPEN), AT, "no JSON", START, terms=decide.Terms(unsigned=False))


@pytest.mark.parametrize(
    ("more", "size"),
    [({"result": raw("x" * 30)}, 32), ({"result_ref": BlobRef("ab", 2_000_000, "application/json")}, 2_000_000)],
)
@pytest.mark.parametrize(("declared", "allowed", "most"), [(20, 64, 20), (None, 20, 20), (64, 20, 20)])
def test_a_result_over_what_its_tool_or_the_operator_allows_is_a_failure_that_says_so(
    more: dict[str, Any], size: int, declared: int | None, allowed: int, most: int
):
    tool = replace(AGENT.tools["get-account"], max_result_bytes=declared, result=None)
    agent = replace(AGENT, tools={"get-account": tool})
    given = ToolAnswer("succeeded", worker="w-1", **more)

    event = decide.answered(
        given_log(*OPEN), agent, AT, given, None, START, terms=decide.Terms(result_max_bytes=allowed)
    )

    assert isinstance(event, ToolFailed)
    assert (event.kind, event.worker) == ("too-large", "w-1")
    assert event.error == f"the result has {size:,} bytes, and at most {most:,} are taken"


def test_what_a_result_in_blob_is_says_the_gateway_and_not_the_worker():
    event = answered(*OPEN, value={"plan": "pro"}, result_ref=BlobRef("ab", 300_000, "<b>image/png"))

    assert event.result_ref == BlobRef("ab", 300_000, "application/json")


def test_a_worker_may_say_itself_that_its_result_is_too_large():
    event = answered(*OPEN, outcome="failed", error="the result has 9 bytes", kind="too-large")

    assert (event.kind, event.error) == ("too-large", "the result has 9 bytes")


def test_what_an_application_or_a_child_agent_answers_needs_no_signature():
    tool, failed = "get-account", ToolAnswer("failed")
    for asked in (tool_requested(tool=tool, client=True), child_requested(tool=tool)):
        session, terms = given_log(*ASKED, asked), decide.Terms(unsigned=False)
        event = decide.answered(session, None, AT, failed, failed.result, START, terms=terms)
        assert isinstance(event, ToolFailed)


def test_what_is_no_answer_to_an_attempt_that_was_given_up_closes_no_call():
    again = tool_requested(attempt=2, tool="get-account")

    assert decide.unreadable(given_log(*OPEN, again), AT, "no JSON", START) is None


SAFE: list[AnyEvent] = [*ASKED, tool_requested("c1", tool="get-account", retry="safe", attempts=2)]
LAST = tool_requested("c1", 2, tool="get-account", retry="safe", attempts=2)


@pytest.mark.parametrize("outcome", ["failed", "expired"])
def test_an_attempt_says_whether_another_one_follows(outcome: str):
    last = [*SAFE, tool_timed_out("c1", again=True), LAST]

    assert answered(*SAFE, outcome=outcome).again
    assert not answered(*last, at=AT._replace(attempt=2), outcome=outcome).again
    assert not answered(*OPEN, outcome=outcome).again


def test_a_deadline_that_passed_says_so_too_and_a_wrong_result_is_final():
    late = decide.overdue(given_log(*SAFE), WHERE, "none", START)

    assert isinstance(late, ToolTimedOut)
    assert late.again
    assert not answered(*SAFE, value={"plan": 5}).again


def test_what_another_worker_began_is_unknown_and_followed_by_what_its_request_says():
    asked: list[AnyEvent] = [*ASKED, tool_requested("c1", tool="get-account", on_unknown="ask-person")]
    given = ToolAnswer("expired", worker="w-2")

    unknown = decide.answered(given_log(*asked), AGENT, AT, given, None, START, "taken")

    assert isinstance(unknown, ToolOutcomeUnknown)
    assert unknown.then == "ask-person"
