"""Whatever is edited, dropped, moved or cut out of a log breaks the chain at that place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.logs import logs

from stenograph_events import EMPTY, AnyEvent, BrokenChain, Head, decode, follow
from stenograph_events.testing import SESSION, log, session_created, turn_finished, turn_started, user_message

BODIES = [data for _, data in log(session_created(), turn_started(), user_message("Hello"), turn_finished())]


@given(logs())
def test_a_sealed_log_follows_from_its_start(events: list[AnyEvent]):
    bodies = [data for _, data in log(*events)]

    assert followed(bodies).n == len(events)


@given(logs(), st.data())
def test_a_log_sealed_in_two_parts_is_the_log_sealed_at_once(events: list[AnyEvent], data: st.DataObject):
    cut = data.draw(st.integers(0, len(events)))
    first = log(*events[:cut])
    head = followed([body for _, body in first])

    assert first + log(*events[cut:], after=head) == log(*events)


def test_an_edit_shows_at_the_next_event():
    edited = [*BODIES[:2], BODIES[2].replace(b"Hello", b"Hullo"), BODIES[3]]

    with pytest.raises(BrokenChain, match="broken at event 4: event 3 is not the one that it was written after"):
        followed(edited)


@pytest.mark.parametrize(
    "bodies",
    [
        pytest.param(BODIES[1:], id="the first event is lost"),
        pytest.param([*BODIES[:2], BODIES[3]], id="an event in the middle is lost"),
        pytest.param([BODIES[0], BODIES[3]], id="the middle is cut out"),
        pytest.param([BODIES[0], BODIES[2], BODIES[1], BODIES[3]], id="two events changed places"),
        pytest.param([*BODIES[:2], BODIES[1], *BODIES[2:]], id="an event stands twice"),
    ],
)
def test_loss_and_reordering_break_the_chain(bodies: list[bytes]):
    with pytest.raises(BrokenChain):
        followed(bodies)


def test_the_error_says_which_session_and_which_event():
    with pytest.raises(BrokenChain) as raised:
        followed([BODIES[0], BODIES[2]])

    assert (raised.value.session, raised.value.n) == (SESSION, 2)
    assert str(raised.value) == f"session {SESSION}: the log is broken at event 2: the stored event has the number 3"


def test_an_event_of_an_unknown_type_is_a_link_like_any_other():
    [(_, first), (_, second)] = log(session_created(), turn_started())
    later = second.replace(b"turn.started", b"turn.paused")

    assert followed([first, later]).n == 2


def followed(bodies: list[bytes]) -> Head:
    head = EMPTY
    for sequence, data in enumerate(bodies, 1):
        head = follow(head, decode(data), data, sequence)
    return head
