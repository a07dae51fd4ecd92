"""Events to bytes and back.

Decoding is strict about what is known and lenient about what is new: a field that this version does not know is passed
over, a type that it does not know becomes an `UnknownEvent`, and anything else raises `UndecodableEvent` by name. A
sealed event is none that can be decoded: whoever has its key opens it first.
"""

from typing import get_args

import msgspec
from msgspec import Raw

from stenograph_events.errors import UndecodableEvent, Unopened
from stenograph_events.sealing import header_of, is_sealed
from stenograph_events.types import AnyEvent, Event, UnknownEvent

StoredEvent = AnyEvent | UnknownEvent

EVENT_TYPES: dict[str, type[Event]] = {str(kind.__struct_config__.tag): kind for kind in get_args(AnyEvent)}
"""Event classes by their `type` tag, in the order of docs/events.md."""

_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


class _Tagged(msgspec.Struct):
    type: str = ""
    id: str = ""


_tagged = msgspec.json.Decoder(_Tagged)
_UNKNOWN = UnknownEvent.__struct_config__.tag

# Text that is no UTF-8 and nesting without end are not among msgspec's own errors.
_DECODE_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def encode(event: Event) -> bytes:
    """Return the bytes under which `event` is stored and hashed."""
    return _encoder.encode(event)


def decode(data: bytes) -> StoredEvent:
    """Return the event that `data` holds; raise `UndecodableEvent`, which names it, if there is none.

    Raises `Unopened` if it is sealed: what is readable of it is no event.
    """
    if is_sealed(data):
        header = header_of(data)
        raise Unopened(header.session, header.n)
    try:
        return _decoder.decode(data)
    except _DECODE_ERRORS as error:
        return _unknown(data, error)


def one_line(value: Raw) -> Raw:
    """Return the same JSON without line breaks or spaces around it: an exported log holds one event a line."""
    return Raw(msgspec.json.format(bytes(value), indent=-1)) if b"\n" in bytes(value) else value


def type_of(event: Event) -> str:
    """Return the `type` tag of `event`, such as `tool.requested`."""
    return event.unknown_type if isinstance(event, UnknownEvent) else str(type(event).__struct_config__.tag)


def _unknown(data: bytes, error: Exception) -> UnknownEvent:
    try:
        tagged = _tagged.decode(data)
    except _DECODE_ERRORS:
        raise UndecodableEvent(str(error)) from error
    if not tagged.type or tagged.type in EVENT_TYPES:
        raise UndecodableEvent(str(error), event=tagged.id, type=tagged.type) from error
    try:
        known = msgspec.json.decode(data) | {"type": _UNKNOWN, "unknown_type": tagged.type}
        return msgspec.convert(known, UnknownEvent)
    except _DECODE_ERRORS as broken:
        raise UndecodableEvent(str(broken), event=tagged.id, type=tagged.type) from broken
