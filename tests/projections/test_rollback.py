"""Rollback: which event a conversation goes back to when a message is named as the last that is to stay."""

import pytest

from stenograph_events import AnyEvent
from stenograph_events.testing import (
    assistant_message,
    log,
    message_added,
    messages_rolled_back,
    restored_message,
    session_cleared,
    session_created,
    session_restored,
    tool_requested,
    tool_succeeded,
    turn_finished,
    turn_started,
    user_message,
)
from stenograph_projections.rollback import Place, left_of, place_of
from stenograph_projections.transcript import Entry, entry_of

TURN: list[AnyEvent] = [
    session_created(),
    turn_started(),
    user_message("Hi", id="u1"),
    assistant_message("Hello", calls=["c1"], id="a1"),
    tool_requested(),
    tool_succeeded(),
    assistant_message("You are on pro.", step=1, id="a2"),
    turn_finished(),
    turn_started("t2"),
    message_added("Be brief.", turn="t2", role="system", id="s2"),
    user_message("And?", turn="t2", block=1, id="u2"),
    assistant_message("No.", turn="t2", block=2, id="a3"),
    turn_finished("t2"),
]
RESTORED: list[AnyEvent] = [
    session_created(),
    session_cleared(),
    session_restored(messages=(restored_message("Hi", "k1"), restored_message("Hello", "k2", "assistant"))),
]


def entries(*events: AnyEvent) -> list[Entry]:
    return [entry for event, _ in log(*events) if (entry := entry_of(event))]


@pytest.mark.parametrize(
    ("after", "through"),
    [
        pytest.param(None, 0, id="nothing stays"),
        pytest.param("u1", 3, id="what a user said stays, its answer goes"),
        pytest.param("a1", 7, id="an answer stays whole, with every reply"),
        pytest.param("a2", 7, id="a later message of the answer means all of it"),
        pytest.param("s2", 10, id="what only the model reads is a place, too"),
        pytest.param("a3", 12, id="the last one: everything stays"),
    ],
)
def test_the_message_that_is_named_is_the_last_that_stays(after: str | None, through: int):
    assert place_of(entries(*TURN), after) == Place(through)


@pytest.mark.parametrize("after", ["nobody", "", "c1"])
def test_a_message_that_the_session_does_not_hold_is_no_place(after: str):
    assert place_of(entries(*TURN), after) is None


def test_a_message_that_was_rolled_back_is_no_place_any_more():
    assert place_of(entries(*TURN, messages_rolled_back(7)), "a3") is None


def test_of_the_messages_that_a_client_brought_back_one_is_named_by_the_id_that_it_had_there():
    assert place_of(entries(*RESTORED), "k1") == Place(3, 1)
    assert place_of(entries(*RESTORED), "k2") == Place(3, 2)


def test_what_models_still_read_is_measured_by_thread():
    aside = message_added("Note", turn="t2", thread="notes", block=3)
    all_entries = entries(*TURN[:-1], aside, turn_finished("t2"))

    assert left_of(all_entries, Place(3)) == {"main": 2}
    assert left_of(all_entries, Place(0)) == {}
    assert left_of(all_entries, Place(13))["notes"] == 4
