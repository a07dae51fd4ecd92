"""The form of sealed events, without a key."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stenograph_events import EventError, Unopened, decode, encode
from stenograph_events.sealing import (
    READABLE,
    header_of,
    is_sealed,
    joined,
    parted,
    seal_of,
    stored_digest,
    with_digest,
    with_seal,
)
from stenograph_events.testing import raw, tool_requested, turn_cancel_requested, user_message
from stenograph_events.types import Event

EVENTS = [
    user_message('a quote ", a brace } and ,"sealed":"'),
    tool_requested("c1"),
    turn_cancel_requested(),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_the_two_parts_of_an_event_are_the_event_again(event: Event):
    readable, content = parted(encode(event))

    assert decode(joined(readable, content)) == event


def test_what_is_not_readable_in_every_event_is_content():
    readable, content = parted(encode(user_message("What plan am I on?")))

    assert set(json.loads(readable + b"}")) <= set(READABLE)
    assert b"What plan am I on?" in content


def test_of_a_request_a_queue_can_be_looked_through_and_nothing_else():
    readable, content = parted(encode(tool_requested("c1", arguments=raw({"userId": "u1"}))))

    assert {"call", "tool", "deadline_at"} <= set(json.loads(readable + b"}"))
    assert b'"arguments"' in content
    assert b'"arguments"' not in readable


def test_a_sealed_event_is_never_decoded_to_an_event():
    stored = with_seal(parted(encode(turn_cancel_requested(n=7))).readable, b"a nonce and a ciphertext")

    with pytest.raises(Unopened) as raised:
        decode(stored)
    assert raised.value.n == 7
    assert header_of(stored).type == "turn.cancel_requested"


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_the_seal_is_found_where_it_is_and_nowhere_else(event: Event):
    readable, _ = parted(encode(event))
    found = seal_of(with_seal(readable, b"sealed"))

    assert found is not None
    assert (found.readable, found.sealed) == (readable, b"sealed")
    assert not is_sealed(encode(event))


@given(st.recursive(st.none() | st.text(), lambda inner: st.dictionaries(st.text() | st.just("sealed"), inner)))
def test_no_text_or_member_inside_of_an_event_is_taken_for_a_seal(value: object):
    data = json.dumps({"type": "x", "content": value}, separators=(",", ":")).encode()

    assert not is_sealed(data)


@pytest.mark.parametrize("data", [b"", b'"}', b'{"sealed":"}', b',"sealed":"*"}', b'{"type":"x","sealed":"?"}'])
def test_bytes_that_are_no_sealed_event_are_said_to_be_none(data: bytes):
    with pytest.raises(EventError):
        decode(data)


def test_an_opened_event_travels_with_the_hash_of_its_stored_bytes():
    event = user_message("Hello")
    line = with_digest(encode(event), "ab" * 32)

    assert stored_digest(line) == "ab" * 32
    assert stored_digest(encode(event)) is None
    assert decode(line) == event
