"""The line to a server: what it does otherwise than nats-py, and what it must not."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from nats.aio.client import Client

from stenograph_sdk.line import Line

NAMES = st.one_of(st.sampled_from([b"Nats-Sequence", b" Nats-Subject ", b"", b"a b", b"a\x1fb"]), st.binary(max_size=6))
LINES = st.lists(st.tuples(NAMES, st.sampled_from([b":", b": ", b""]), st.binary(max_size=6)), max_size=5)


@given(LINES)
@example([(b"Nats-Sequence", b": ", b"12"), (b"Nats-Subject", b":", b"ev.2f.default.x.turn")])
def test_headers_are_read_as_nats_py_reads_them(lines: list[tuple[bytes, bytes, bytes]]):
    raw = b"\r\n".join(b"".join(line) for line in lines)

    assert Line._parse_header_lines(raw) == Client._parse_header_lines(raw)


def test_headers_are_still_read_by_the_method_that_is_put_in_its_place():
    assert "_parse_header_lines" in Client.__dict__, "nats-py reads headers elsewhere now: look whether that is fast"


@pytest.mark.parametrize("raw", [b"", b"\r\n\r\n"])
def test_no_headers_are_none(raw: bytes):
    assert Line._parse_header_lines(raw) == {}
