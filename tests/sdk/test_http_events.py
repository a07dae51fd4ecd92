"""Lines of a stream and the events in them."""

from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import msgspec
import pytest

from stenograph_sdk.http import OtherEvent, TextDelta
from stenograph_sdk.http.events import UnreadableEvent, decode_event
from stenograph_sdk.http.exchange import Lines
from stenograph_services.gateway.wire import stream_events


def test_only_a_line_feed_ends_a_line():
    lines = Lines()

    assert list(lines.feed('data: "a\u2028b\x85'.encode())) == []
    assert list(lines.feed(b'c"\r\ndata: 2\n\nda')) == ['data: "a\u2028b\x85c"', "data: 2", ""]
    assert list(lines.feed(b"ta: 3\n")) == ["data: 3"]


def test_a_character_may_be_split_over_two_chunks():
    lines, word = Lines(), "grün\n".encode()

    assert [line for byte in word for line in lines.feed(bytes([byte]))] == ["grün"]


def test_an_event_of_a_later_gateway_is_passed_on():
    assert decode_event('{"type":"usage","tokens":5}') == OtherEvent("usage", {"tokens": 5})
    assert decode_event('{"type":"text-delta","id":"p1","delta":"a","later":1}') == TextDelta(id="p1", delta="a")


@pytest.mark.parametrize("line", ["", "{", "5", "{}", '{"type":5}', '{"type":"text-delta","id":"p1"}'])
def test_a_line_that_is_no_event_is_said(line: str):
    with pytest.raises(UnreadableEvent):
        decode_event(line)


def kinds(kind: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    return [one for below in kind.__subclasses__() for one in (below, *kinds(below))]


@pytest.mark.parametrize("kind", kinds(stream_events.StreamEvent), ids=lambda kind: kind.__name__)
def test_every_event_of_the_gateway_is_read_with_what_it_says(kind: type[msgspec.Struct]):
    sent = msgspec.json.encode(made(kind))

    event = decode_event(sent)

    fields = msgspec.json.decode(sent)
    if isinstance(event, OtherEvent):
        assert event == OtherEvent(fields.pop("type"), fields)
    else:
        read = msgspec.to_builtins(event)
        for name in read.keys() & fields.keys() - {"toolCalls"}:
            assert read[name] == fields[name]


def made(kind: Any) -> Any:
    """Return a value of type `kind`, with all its fields."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind(**{field.name: made(field.type) for field in msgspec.structs.fields(kind)})
    if get_origin(kind) in (Union, UnionType):
        return made(get_args(kind)[0])
    if get_origin(kind) is Literal:
        return get_args(kind)[0]
    if get_origin(kind) is list:
        return [made(one) for one in get_args(kind)]
    return {msgspec.Raw: msgspec.Raw(b'{"a":1}'), str: "s", int: 3, float: 1.5, bool: True}[kind]
