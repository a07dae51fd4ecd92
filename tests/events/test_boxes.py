"""Requests in boxes, and the keys of their answers."""

import base64
import os

import pytest

from stenograph_events import Unopened, decode, encode
from stenograph_events.boxes import AnswerKey, ToolKey, Unboxable, boxed, checked_public
from stenograph_events.sealing import parted, with_box, with_seal
from stenograph_events.testing import raw, tool_requested

REQUEST = tool_requested("c1", n=5, arguments=raw({"userId": "u1"}))
ANSWER_KEY = os.urandom(32)


def new_key() -> ToolKey:
    return ToolKey(base64.b64encode(os.urandom(32)).decode())


def sealed_to(key: ToolKey, request: bytes = encode(REQUEST)) -> bytes:
    readable, content = parted(request)
    return with_seal(with_box(readable, boxed(readable, ANSWER_KEY, content, key.public)), b"for the services alone")


def test_the_workers_of_a_tool_read_its_requests_and_can_seal_the_answer():
    key = new_key()

    opened = key.open(sealed_to(key))

    assert decode(opened.data) == REQUEST
    assert opened.answer_key is not None
    assert AnswerKey(ANSWER_KEY).open(opened.answer_key.close(b"42")) == b"42"


def test_nobody_else_does():
    data = sealed_to(new_key())

    assert b'"u1"' not in data  # with its quotes: two letters alone stand in any base64 now and then
    with pytest.raises(Unopened, match="another key"):
        new_key().open(data)


def test_a_box_opens_in_its_own_request_alone():
    key = new_key()
    _, _, box = sealed_to(key).partition(b',"box"')
    other, _, _ = sealed_to(key, encode(tool_requested("c2", n=6))).partition(b',"box"')

    with pytest.raises(Unopened, match="another request"):
        key.open(other + b',"box"' + box)


def test_a_request_without_a_box_says_that_it_was_sealed_for_nobody():
    with pytest.raises(Unopened, match="for no worker"):
        new_key().open(with_seal(parted(encode(REQUEST)).readable, b"for the services alone"))


def test_a_request_that_is_not_sealed_is_read_as_it_is():
    assert new_key().open(encode(REQUEST)) == (encode(REQUEST), None)


def test_an_answer_that_was_changed_does_not_open():
    key = AnswerKey(ANSWER_KEY)
    stored = bytearray(key.close(b"42"))
    stored[-1] ^= 1

    with pytest.raises(Unboxable):
        key.open(bytes(stored))


def test_a_large_result_is_sealed_to_the_same_bytes_again_and_lies_under_a_name_that_tells_nothing():
    key, other = AnswerKey(ANSWER_KEY), AnswerKey(os.urandom(32))
    name = key.blob_name("ab" * 32)

    assert key.close_blob(b"large", name) == key.close_blob(b"large", name)
    assert key.open_blob(key.close_blob(b"large", name)) == b"large"
    assert name != other.blob_name("ab" * 32)


@pytest.mark.parametrize("text", ["", "short", base64.b64encode(b"of 20 bytes, not of 32").decode()])
def test_what_is_no_public_key_is_said_to_be_none(text: str):
    with pytest.raises(Unboxable):
        checked_public(text)
