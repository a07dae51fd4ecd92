"""One rule for every id that enters a subject; ids of sessions sort by time; consequences have derived ids."""

import re
import time
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenograph_events import (
    SHARDS,
    InvalidId,
    call_id,
    checked_id,
    child_session_id,
    derived_id,
    new_session_id,
    raise_id,
    shard_of,
    turn_id,
)

ALLOWED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"


@given(st.text(ALLOWED, min_size=1, max_size=64))
def test_letters_digits_underscore_and_hyphen_make_an_id(value: str):
    assert checked_id(value) == value


@given(st.text(max_size=70).filter(lambda value: not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", value, re.ASCII)))
def test_nothing_else_is_an_id(value: str):
    with pytest.raises(InvalidId):
        checked_id(value)


@pytest.mark.parametrize("value", ["", "*", ">", "a.b", "a b", "a\n", "a" * 65, "é", "٣", "a\x00"])
def test_what_the_server_would_take_for_something_else_is_refused(value: str):
    with pytest.raises(InvalidId, match="must match"):
        checked_id(value, "session")


def test_a_session_id_is_an_id_with_a_known_shard_and_a_uuid_of_version_7():
    session = new_session_id()

    assert checked_id(session) == session
    assert shard_of(session) in SHARDS
    assert uuid.UUID(session[2:]).version == 7


def test_session_ids_of_one_shard_sort_by_creation():
    first = new_session_id("0a")
    began = time.time_ns() // 1_000_000
    while time.time_ns() // 1_000_000 <= began:
        pass  # a new millisecond, the resolution of the id
    second = new_session_id("0a")

    assert first < second


@pytest.mark.parametrize("session", ["", "2", "40" + "0" * 32, "zz" + "0" * 32, "0A" + "0" * 32, "*." + "0" * 32])
def test_a_session_without_a_known_shard_is_refused(session: str):
    with pytest.raises(InvalidId):
        shard_of(session)


def test_there_are_64_shard_tokens_of_two_characters():
    assert len(set(SHARDS)) == 64
    assert all(re.fullmatch("[0-9a-f]{2}", token) for token in SHARDS)


@given(st.text(), st.integers(0, 99))
def test_whoever_derives_an_id_derives_the_same(cause: str, ordinal: int):
    assert derived_id(cause, ordinal) == derived_id(cause, ordinal)
    assert derived_id(cause, ordinal) != derived_id(cause, ordinal + 1)
    assert checked_id(derived_id(cause, ordinal))


@given(st.text(), st.integers(0, 99))
def test_call_and_turn_ids_may_enter_a_subject(text: str, ordinal: int):
    assert checked_id(call_id(text, ordinal))
    assert checked_id(turn_id("2f0193", text))


@given(st.text())
def test_whoever_derives_a_childs_session_derives_the_same_and_a_session_that_can_be_stored(call: str):
    session = child_session_id(call)

    assert session == child_session_id(call)
    assert session != child_session_id(call + "'")
    assert checked_id(session) == session
    assert shard_of(session) in SHARDS


def test_the_children_of_one_session_lie_in_every_shard():
    assert {shard_of(child_session_id(call_id("m1", ordinal))) for ordinal in range(2_000)} == set(SHARDS)


@given(st.text(), st.text())
def test_the_same_request_to_raise_a_budget_is_the_same_event(session: str, request: str):
    assert raise_id(session, request) == raise_id(session, request)
    assert raise_id(session, request) != raise_id(session, request + "'")
