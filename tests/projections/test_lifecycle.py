"""A session that expires, is cleared, restored or rolled back: its state, and what people and models read of it."""

from hypothesis import given
from tests.support.logs import logs, rebuild

from stenograph_events import AnyEvent
from stenograph_events.testing import (
    assistant_message,
    block_finished,
    log,
    messages_rolled_back,
    raw,
    restored_message,
    session_cleared,
    session_created,
    session_expired,
    session_restored,
    thread_started,
    tool_requested,
    tool_succeeded,
    turn_finished,
    turn_started,
    user_message,
)
from stenograph_events.values import TextPart
from stenograph_projections.messages import ShownText, shown
from stenograph_projections.session import Session
from stenograph_projections.threads import Threads, thread
from stenograph_projections.transcript import Entry, Message, Reply, entry_of, standing

TURN: list[AnyEvent] = [
    session_created(input=raw({"COMPANY_NAME": "Acme"})),
    turn_started(),
    user_message("Hi"),
    assistant_message("Hello", calls=["c1"]),
    tool_requested(),
    tool_succeeded(),
    assistant_message("You are on pro.", step=1),
    block_finished(3, variables={"PLAN": raw("pro")}, resources={"TICKET": raw(7)}),
    turn_finished(),
]
SECOND: list[AnyEvent] = [
    turn_started("t2"),
    user_message("And?", turn="t2"),
    assistant_message("That is all.", turn="t2"),
    turn_finished("t2"),
]
KEPT = (restored_message("Hi", "k1"), restored_message("Hello", "k2", "assistant"))


def folded(*events: AnyEvent) -> Session:
    return rebuild(event for event, _ in log(*events))


def entries(*events: AnyEvent) -> list[Entry]:
    return [entry for event, _ in log(*events) if (entry := entry_of(event))]


def read_by_model(*events: AnyEvent) -> list[str]:
    return [_text(one) for one in thread(entries(*events), "main")]


def read_by_people(*events: AnyEvent) -> list[str]:
    messages = shown(entries(*events), folded(*events))
    return ["".join(part.text for part in one.parts if isinstance(part, ShownText)) for one in messages]


def _text(one: Message | Reply) -> str:
    return one.call if isinstance(one, Reply) else "".join(p.text for p in one.parts if isinstance(p, TextPart))


# ---- expired and restored


def test_an_expired_session_has_lost_nothing():
    before, after = folded(*TURN), folded(*TURN, session_expired())

    assert after.standing == "expired"
    assert (after.variables, after.resources, after.sizes) == (before.variables, before.resources, before.sizes)
    assert after.woken_by is None


def test_a_restored_session_says_what_it_said_before():
    events: list[AnyEvent] = [*TURN, session_expired(), session_restored(submitted=2, differing=1)]

    assert folded(*events).standing == "active"
    assert folded(*events).variables == folded(*TURN).variables
    assert read_by_model(*events) == read_by_model(*TURN)
    assert read_by_people(*events) == read_by_people(*TURN)


# ---- cleared


def test_a_cleared_session_shows_nothing_of_what_was_said_and_set():
    after = folded(*TURN, session_cleared())

    assert after.standing == "cleared"
    assert (after.variables, after.resources, after.threads, after.sizes) == ({}, {}, {}, {})
    assert read_by_model(*TURN, session_cleared()) == []
    assert read_by_people(*TURN, session_cleared()) == []


def test_a_cleared_session_keeps_its_input_and_what_it_has_cost():
    before, after = folded(*TURN), folded(*TURN, session_cleared())

    assert (after.input, after.spent, after.turns) == (before.input, before.spent, before.turns)


def test_what_a_client_brings_back_after_a_clear_is_what_everybody_reads():
    events: list[AnyEvent] = [*TURN, session_cleared(), session_restored(messages=KEPT), *SECOND]

    assert read_by_model(*events) == ["Hi", "Hello", "And?", "That is all."]
    assert read_by_people(*events) == ["Hi", "Hello", "And?", "That is all."]
    assert [one.id for one in shown(entries(*events), folded(*events))][:2] == ["k1", "k2"]


def test_what_a_client_brings_back_counts_for_the_size_of_its_thread():
    assert folded(session_created(), session_cleared(), session_restored(messages=KEPT)).size("main").more_bytes == 7


# ---- rolled back


def test_nobody_reads_what_was_rolled_back():
    events: list[AnyEvent] = [*TURN, *SECOND, messages_rolled_back(9)]

    assert read_by_model(*events) == read_by_model(*TURN)
    assert read_by_people(*events) == read_by_people(*TURN)


def test_a_rollback_to_the_beginning_leaves_no_message():
    assert read_by_model(*TURN, *SECOND, messages_rolled_back(0)) == []


def test_what_comes_after_a_rollback_is_read():
    again: list[AnyEvent] = [turn_started("t3"), user_message("Again", turn="t3")]

    assert read_by_model(*TURN, *SECOND, messages_rolled_back(0), *again) == ["Again"]


def test_variables_outlive_a_rollback():
    after = folded(*TURN, messages_rolled_back(0, sizes={"main": 12}))

    assert after.variables == {"PLAN": raw("pro")}
    assert {name: size.more_bytes for name, size in after.sizes.items()} == {"main": 12}
    assert after.rollbacks == ("None.rolled-back.0",)


def test_a_thread_that_was_begun_in_what_is_rolled_back_is_what_it_was_before():
    began: list[AnyEvent] = [
        turn_started("t2"),
        thread_started("main", turn="t2"),
        user_message("Anew", turn="t2"),
        turn_finished("t2"),
    ]

    assert read_by_model(*TURN, *began) == ["Anew"]
    assert read_by_model(*TURN, *began, messages_rolled_back(9)) == read_by_model(*TURN)


def test_of_restored_messages_a_rollback_keeps_the_first_ones():
    restored: list[AnyEvent] = [session_created(), session_cleared(), session_restored(messages=KEPT)]

    assert read_by_model(*restored, messages_rolled_back(3, kept=1)) == ["Hi"]
    assert read_by_model(*restored, messages_rolled_back(3)) == ["Hi", "Hello"]


# ---- for every log


@given(logs())
def test_threads_that_are_read_as_they_grow_read_what_counts_in_the_end(events: list[AnyEvent]):
    all_entries = entries(*events)
    growing: list[Entry] = []
    threads = Threads(growing)
    for entry in all_entries:
        growing.append(entry)
        threads.view("main")

    assert threads.view("main") == thread(standing(all_entries), "main")
    assert threads.digest("main") == Threads(list(standing(all_entries))).digest("main")
