"""Decoding is lenient about what is new and strict about what is known; an error names the event."""

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.logs import logs

from stenograph_events import AnyEvent, UndecodableEvent, UnknownEvent, decode, encode, type_of
from stenograph_events.testing import budget_raised, log, raw, tool_succeeded, turn_finished, turn_started
from stenograph_events.types import BudgetRaised, ToolSucceeded


@given(logs())
def test_an_event_survives_its_bytes(events: list[AnyEvent]):
    for event, data in log(*events):
        assert decode(data) == event
        assert encode(decode(data)) == data


def test_a_type_of_a_later_version_is_kept_by_name_with_what_every_event_has():
    data = edited(turn_started(), b'"type":"turn.started"', b'"type":"turn.paused"')

    event = decode(data)

    assert isinstance(event, UnknownEvent)
    assert type_of(event) == "turn.paused"
    assert (event.n, event.turn, event.session) == (1, "t1", turn_started().session)


def test_a_field_of_a_later_version_is_passed_over():
    data = edited(turn_started(), b'"trigger":', b'"priority":{"high":[1]},"trigger":')

    assert decode(data) == log(turn_started())[0][0]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(b'"call":"c1"', b'"call":3', id="a field of another type"),
        pytest.param(b'"call":"c1",', b"", id="a field that is missing"),
        pytest.param(b'"at":"2026', b'"at":"20261', id="a time that is none"),
        pytest.param(b'"n":1', b'"n":"1"', id="a number that is text"),
        pytest.param(b'"turn":"t1"', b'"turn":"\xff"', id="text that is no UTF-8"),
    ],
)
def test_a_known_type_that_is_wrong_is_refused_by_name(before: bytes, after: bytes):
    with pytest.raises(UndecodableEvent) as raised:
        decode(edited(tool_succeeded(), before, after))

    assert raised.value.event == "c1.succeeded.1"
    assert raised.value.type == "tool.succeeded"
    assert "event c1.succeeded.1 (tool.succeeded) cannot be decoded: " in str(raised.value)


@pytest.mark.parametrize(
    "data",
    [b"", b"null", b"[]", b'"\xff"', b"{}", b'{"type":5}', b'{"type":"\xff"}', b'{"type":"turn.paused"}'],
    ids=["nothing", "null", "array", "no UTF-8", "no type", "numeric type", "broken type", "bare unknown"],
)
def test_what_is_no_event_is_refused_with_one_error(data: bytes):
    with pytest.raises(UndecodableEvent):
        decode(data)


def test_nesting_without_end_is_refused_like_any_other_mistake():
    """It used to end in a RecursionError, which nobody expects of a decoder."""
    deep = b"[" * 100_000 + b"]" * 100_000

    with pytest.raises(UndecodableEvent):
        decode(edited(tool_succeeded(), b'{"plan":"pro"}', deep))


@given(st.binary(max_size=200))
def test_no_bytes_at_all_raise_anything_else(data: bytes):
    with suppress(UndecodableEvent):
        decode(data)


def test_values_keep_the_bytes_that_their_writer_chose():
    written = b'{"price": 1.10, "big": 123456789012345678901234567890, "text": "\\u00e9"}'

    event = decode(edited(tool_succeeded(), b'{"plan":"pro"}', written))

    assert isinstance(event, ToolSucceeded)
    assert bytes(event.result) == written
    assert written in encode(event)


def test_amounts_of_money_are_numbers_and_stay_exact():
    [(_, data)] = log(budget_raised(cost=Decimal("0.1000000000000000055511151231257827")))

    event = decode(data)

    assert isinstance(event, BudgetRaised)
    assert b'"cost":0.1000000000000000055511151231257827' in data
    assert event.cost == Decimal("0.1000000000000000055511151231257827")


def test_an_output_of_null_is_not_the_same_as_none():
    [(_, without)], [(_, null)] = log(turn_finished()), log(turn_finished(output=raw(None)))

    assert (getattr(decode(without), "output", ""), getattr(decode(null), "output", "")) == (None, raw(None))


def edited(event: AnyEvent, before: bytes, after: bytes) -> bytes:
    [(_, data)] = log(event)
    assert before in data
    return data.replace(before, after)
