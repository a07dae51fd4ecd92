"""Every subject that is spelled can be parsed again; nothing else can."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenograph_events import InvalidId, InvalidSubject, class_of, subjects
from stenograph_events.testing import (
    CHILD,
    SESSION,
    TOOL,
    child_requested,
    parent,
    session_created,
    tool_requested,
    tool_succeeded,
    tool_timed_out,
    turn_finished,
)

ids = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
session_ids = st.builds(lambda shard, rest: f"{shard:02x}{rest}", st.integers(0, 63), ids.map(lambda id: id[:62]))


def test_an_event_lies_under_its_shard_tenant_session_and_class():
    assert subjects.event_subject(session_created()) == f"ev.2f.default.{SESSION}.session"
    assert subjects.event_subject(tool_requested()) == f"ev.2f.default.{SESSION}.tool-request.{TOOL}"
    assert subjects.event_subject(tool_succeeded()) == subjects.event_subject(tool_timed_out())


def test_what_crosses_between_parent_and_child_has_classes_of_its_own():
    request, end = child_requested("c1"), turn_finished(parent=parent("c1"))

    assert subjects.event_subject(request) == f"ev.2f.default.{SESSION}.child-request.{CHILD}"
    assert subjects.event_subject(end) == f"ev.2f.default.{SESSION}.child-end"
    assert subjects.event_subject(turn_finished()) == f"ev.2f.default.{SESSION}.turn"
    assert (request.event_class, class_of(request)) == ("tool-request", "child-request")


@given(ids, session_ids, ids)
def test_an_event_subject_parses_to_what_it_was_made_of(tenant: str, session: str, tool: str):
    subject = subjects.event_subject(tool_requested(tenant=tenant, session=session, tool=tool))

    assert subjects.parse_event(subject) == (session[:2], tenant, session, "tool-request", tool)
    assert subjects.parse_event("live" + subject[2:]) == subjects.parse_event(subject)


@given(ids, session_ids, ids)
def test_a_trigger_subject_parses_to_what_it_was_made_of(tenant: str, session: str, name: str):
    assert subjects.parse_trigger(subjects.trigger_subject(tenant, session, name)) == (tenant, session, name)


@given(ids, session_ids)
def test_a_question_of_gateways_parses_to_the_session_that_it_was_made_of(tenant: str, session: str):
    assert subjects.parse_follow(subjects.follow_subject(tenant, session)) == session


@given(ids, session_ids, ids, st.integers(1, 999_999))
@pytest.mark.parametrize(
    "spell",
    [subjects.timer_subject, subjects.fired_subject],
    ids=lambda spell: spell.__name__,
)
def test_a_subject_of_a_deadline_parses_to_what_it_was_made_of(
    spell: Callable[[str, str, str, int], str], tenant: str, session: str, call: str, attempt: int
):
    assert subjects.parse_call(spell(tenant, session, call, attempt)) == (tenant, session, call, attempt)


@given(ids, ids, session_ids, ids, st.integers(1, 999_999))
@pytest.mark.parametrize("spell", [subjects.answer_subject, subjects.claim_subject], ids=lambda spell: spell.__name__)
def test_a_subject_of_an_answer_parses_to_what_it_was_made_of(
    spell: Callable[[str, str, str, str, int], str], tenant: str, tool: str, session: str, call: str, attempt: int
):
    parsed = subjects.parse_answer(spell(tenant, tool, session, call, attempt))

    assert parsed == (tenant, tool, session, call, attempt)
    assert parsed.about == (tenant, session, call, attempt)


@pytest.mark.parametrize(
    "subject", ["", "ev", "ev.2f.default", "ev.2f.default.s.turn.a.b", "trig.start.a.b", "tok.a.b"]
)
def test_a_subject_of_another_form_is_refused(subject: str):
    parsers = (subjects.parse_event, subjects.parse_trigger, subjects.parse_call)
    for parse in (*parsers, subjects.parse_answer, subjects.parse_follow):
        with pytest.raises(InvalidSubject):
            parse(subject)


@pytest.mark.parametrize("attempt", ["x", "-1", "", "1.5", "²", "1234567"])
def test_an_attempt_is_a_small_number(attempt: str):
    with pytest.raises(InvalidSubject):
        subjects.parse_answer(f"tool.res.default.find.{SESSION}.c1.{attempt}")
    with pytest.raises(InvalidSubject):
        subjects.parse_call(f"tim.fire.default.{SESSION}.c1.{attempt}")


@pytest.mark.parametrize("bad", ["*", ">", "a b", "", "a" * 65])
def test_a_token_that_is_no_id_is_never_spelled_and_never_parsed(bad: str):
    for spell in (
        lambda: subjects.trigger_subject(bad, SESSION, "user-message"),
        lambda: subjects.trigger_subject("default", SESSION, bad),
        lambda: subjects.event_subject(tool_requested(tool=bad)),
        lambda: subjects.event_subject(session_created(tenant=bad)),
        lambda: subjects.session_filter("default", bad),
        lambda: subjects.frame_subject("default", bad),
        lambda: subjects.follow_subject("default", bad),
        lambda: subjects.tool_consumer("default", bad),
        lambda: subjects.parse_trigger(f"trig.start.default.{SESSION}.{bad}"),
        lambda: subjects.answer_subject("default", bad, SESSION, "c1", 1),
        lambda: subjects.parse_answer(f"tool.res.default.{bad}.{SESSION}.c1.1"),
        lambda: subjects.parse_call(f"tim.fire.default.{SESSION}.{bad}.1"),
    ):
        with pytest.raises(InvalidId):
            spell()


@given(ids, ids)
def test_a_subject_of_a_registration_parses_to_what_it_was_made_of(tenant: str, tool: str):
    assert subjects.parse_register(subjects.register_subject(tenant, tool)) == (tenant, tool)


@pytest.mark.parametrize(
    "subject", ["api.acme.tools.register", "api.acme.tools.register.a.b", "api.acme.sessions.create"]
)
def test_a_registration_of_no_one_tool_is_refused(subject: str):
    with pytest.raises(InvalidSubject):
        subjects.parse_register(subject)
