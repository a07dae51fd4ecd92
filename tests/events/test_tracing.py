import pytest

from stenograph_events.tracing import checked_traceparent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize("flags", ["00", "01", "ff"])
def test_a_traceparent_is_kept_as_it_came(flags: str):
    written = f"00-{TRACE}-{SPAN}-{flags}"

    assert checked_traceparent(written) == written


@pytest.mark.parametrize(
    "malformed",
    [
        None,
        "",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"01-{TRACE}-{SPAN}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE[:-1]}٣-{SPAN}-01",
        "x" * 10_000,
    ],
)
def test_what_is_malformed_is_dropped(malformed: str | None):
    assert checked_traceparent(malformed) is None
