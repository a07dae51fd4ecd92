"""Secrets of a request: whoever has the tool's key reads them, in this request alone; all others see a token."""

import base64

import pytest
from msgspec.structs import replace

from stenograph_events import Unopened
from stenograph_events.boxes import ToolKey, Unboxable
from stenograph_events.ids import CallId
from stenograph_events.secrets import (
    NoToken,
    is_token,
    masked_json,
    masked_text,
    padded,
    sealed_in,
    shown,
    shown_json,
    token_of,
    unpadded,
    values_in,
    with_box,
    with_values,
)
from stenograph_events.testing import raw, tool_requested

KEY = ToolKey(base64.b64encode(b"k" * 32).decode())
OTHER = ToolKey(base64.b64encode(b"o" * 32).decode())
TOKEN = token_of(b"s" * 92)
REQUEST = tool_requested(arguments=raw({"amount": 5, "apiKey": TOKEN}))
BOXED = with_box(REQUEST, {"apiKey": "sk-live-1"}, KEY.public)


def test_the_worker_of_the_tool_gets_the_values_in_their_places():
    opened = with_values(BOXED, KEY)

    assert opened.arguments == raw({"amount": 5, "apiKey": "sk-live-1"})
    assert values_in(opened) == ("sk-live-1",)
    assert b"sk-live-1" not in repr(BOXED).encode()


def test_a_request_without_secrets_is_taken_as_it_is():
    assert with_values(REQUEST, None) is REQUEST
    assert values_in(REQUEST) == ()


def test_who_has_another_key_or_none_gets_nothing():
    for key in (OTHER, None):
        with pytest.raises(Unopened):
            with_values(BOXED, key)


@pytest.mark.parametrize(
    "change", [{"call": CallId("c9")}, {"attempt": 2}, {"tool": "send-mail"}, {"turn": None}, {"session": "another"}]
)
def test_a_box_that_was_put_into_another_request_is_noticed(change: dict[str, object]):
    with pytest.raises(Unopened, match="those of another request"):
        with_values(replace(BOXED, **change), KEY)


def test_what_is_no_key_seals_nothing():
    with pytest.raises(Unboxable):
        with_box(REQUEST, {"apiKey": "sk-live-1"}, "no key")


@pytest.mark.parametrize("text", ["", "sk-live-1", TOKEN[:-10], f"{TOKEN} and more", "stenograph-secret:"])
def test_what_has_no_such_form_is_no_token_and_is_not_shown(text: str):
    with pytest.raises(NoToken) as raised:
        sealed_in(text)

    assert not is_token(text)
    assert not text or text not in str(raised.value)


@pytest.mark.parametrize("secret", ["", "a", "\x80\0", "ü" * 40, "x" * 63, "x" * 64])
def test_a_secret_is_padded_so_that_its_length_says_little(secret: str):
    assert len(padded(secret)) % 64 == 0
    assert unpadded(padded(secret)) == secret


def test_people_see_that_there_is_a_secret():
    assert shown(f'{{"apiKey":"{TOKEN}"}}') == '{"apiKey":"(secret)"}'
    assert shown_json(REQUEST.arguments) == raw({"amount": 5, "apiKey": "(secret)"})
    assert shown_json(raw({"amount": 5})) == raw({"amount": 5})


def test_what_a_handler_says_is_masked_where_it_has_a_secret_in_it():
    secrets = ('a"b\\c-1', "123456")

    assert masked_text(str(KeyError('a"b\\c-1')), secrets) == "'(secret)'"
    assert masked_json(rb'{"a\"b\\c-1":[1234567,"is 123456"]}', secrets) == b'{"(secret)":[1234567,"is (secret)"]}'
    assert masked_json(b'[1.50, "x"]', secrets) == b'[1.50, "x"]'
