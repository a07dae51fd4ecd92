"""Threads: what a model reads of a transcript."""

from hypothesis import given
from hypothesis import strategies as st
from tests.support.logs import logs

from stenograph_events import AnyEvent
from stenograph_events.testing import (
    assistant_message,
    log,
    message_added,
    thread_compacted,
    thread_started,
    tool_succeeded,
    user_message,
)
from stenograph_events.values import BlobRef, TextPart
from stenograph_projections.threads import Threads, View, thread
from stenograph_projections.transcript import Entry, Message, Reply, entry_of

THREADS = ("main", "research")


def entries(*events: AnyEvent) -> list[Entry]:
    return [entry for event, _ in log(*events) if (entry := entry_of(event))]


def read(view: View) -> list[str]:
    """Return what a view says, in short: the text of each message, the call of each reply."""
    return [
        f"reply {one.call}"
        if isinstance(one, Reply)
        else "".join(part.text for part in one.parts if isinstance(part, TextPart))
        for one in view
    ]


# ---- reading on


def test_a_thread_that_is_viewed_again_reads_on_where_it_stopped():
    """To read 4,000 entries anew at each question made turn 1,000 cost 1.7 times turn 1."""
    growing = entries(user_message("Hi"), assistant_message(calls=["c1"]))
    threads = Threads(growing)
    before = threads.view("main")

    growing += entries(tool_succeeded("c1"), assistant_message("Pro."), message_added("Aside", thread="research"))

    assert len(before) == 2
    assert threads.view("main") == thread(growing, "main")
    assert threads.view("research") == thread(growing, "research")
    assert not threads.refer_to_blobs


def test_a_view_belongs_to_whoever_asked_for_it():
    threads = Threads(entries(user_message("Hi")))

    threads.view("main").clear()
    threads.view("elsewhere").append(threads.view("main")[0])

    assert read(threads.view("main")) == ["Hi"]
    assert threads.view("elsewhere") == []


def test_threads_tell_whether_a_reply_lies_elsewhere():
    said = entries(assistant_message(calls=["c1"]), tool_succeeded("c1", result_ref=BlobRef("a" * 64, 300_000)))
    threads = Threads(said)

    threads.view("main")

    assert threads.refer_to_blobs


# ---- a thread that begins anew


def test_a_thread_that_begins_anew_holds_what_came_after():
    said = entries(
        user_message("Hi"),
        message_added("Look", thread="research"),
        thread_started("research"),
        message_added("Look again", thread="research"),
    )

    assert read(thread(said, "research")) == ["Look again"]
    assert read(thread(said, "main")) == ["Hi"]


def test_a_reply_to_what_was_said_before_a_thread_began_anew_is_in_no_thread():
    said = entries(assistant_message(calls=["c1"]), thread_started("main"), tool_succeeded("c1"), user_message("Hi"))

    assert read(thread(said, "main")) == ["Hi"]


# ---- a thread that is summed up

CONVERSATION: list[AnyEvent] = [
    user_message("Hi"),
    assistant_message("Let me look.", calls=["c1", "c2"]),
    tool_succeeded("c1"),
    tool_succeeded("c2"),
    assistant_message("Pro.", step=1),
    user_message("Thanks", block=2),
]


def summary(text: str) -> str:
    return f"Summary of the conversation up to here:\n\n{text}"


def test_a_summary_stands_in_place_of_what_came_before_it():
    said = entries(*CONVERSATION, thread_compacted(5, summary="They asked."), user_message("Bye", block=3))

    view = thread(said, "main")

    assert read(view) == [summary("They asked."), "Thanks", "Bye"]
    assert isinstance(view[0], Message)
    assert (view[0].role, view[0].visible, view[0].n) == ("user", False, 5)


def test_the_whole_thread_is_still_there_for_who_is_no_model():
    said = entries(*CONVERSATION, thread_compacted(5, summary="They asked."), user_message("Bye", block=3))

    whole = ["Hi", "Let me look.", "reply c1", "reply c2", "Pro.", "Thanks", "Bye"]
    assert read(Threads(said).whole("main")) == whole


def test_a_summary_of_one_thread_leaves_the_others_as_they_are():
    said = entries(*CONVERSATION, thread_compacted(5, thread="research"))

    assert len(thread(said, "main")) == 6
    assert read(thread(said, "research")) == [summary("They said hello.")]


def test_a_summary_never_comes_between_a_call_and_its_reply():
    for through in (2, 3):
        view = thread(entries(*CONVERSATION, thread_compacted(through)), "main")

        assert read(view)[1:] == ["Let me look.", "reply c1", "reply c2", "Pro.", "Thanks"]


def test_a_message_whose_calls_are_not_answered_yet_is_never_summed_up():
    asked = CONVERSATION[:3]

    view = thread(entries(*asked, thread_compacted(3), tool_succeeded("c2")), "main")

    assert read(view)[1:] == ["Let me look.", "reply c1", "reply c2"]


def test_a_later_summary_takes_the_place_of_an_earlier_one():
    said = entries(
        *CONVERSATION,
        thread_compacted(5, "s1", summary="They asked."),
        assistant_message("Welcome.", block=3),
        thread_compacted(6, "s2", summary="They asked and thanked."),
    )

    assert read(thread(said, "main")) == [summary("They asked and thanked."), "Welcome."]


def test_a_summary_of_everything_is_all_there_is():
    assert read(thread(entries(*CONVERSATION, thread_compacted(99)), "main")) == [summary("They said hello.")]


# ---- independent answers


def test_an_independent_answer_is_no_part_of_the_main_thread_once_it_is_given():
    said = entries(
        user_message("Hi"),
        assistant_message("Hm", calls=["c1"], independent=True),
        tool_succeeded("c1"),
    )
    threads = Threads(said)
    meanwhile = threads.view("main")

    said += entries(assistant_message("A summary.", step=1, independent=True))

    assert read(meanwhile) == ["Hi", "Hm", "reply c1"]
    assert read(threads.view("main")) == ["Hi"]


def test_an_independent_answer_that_is_rejected_is_read_when_it_is_asked_for_again():
    rejected = assistant_message("Well", independent=True, response_type="Plan", rejected="it is no JSON")

    assert read(thread(entries(user_message("Hi"), rejected), "main")) == ["Hi", "Well"]


def test_an_independent_answer_that_was_broken_off_ends_when_something_else_is_said():
    said = entries(
        user_message("Hi"),
        assistant_message("Hm", calls=["c1"], independent=True),
        tool_succeeded("c1"),
        user_message("And now?", block=2),
    )

    assert read(thread(said, "main")) == ["Hi", "And now?"]
    assert Threads(said).digest("main") == Threads([said[0], said[3]]).digest("main")


def test_an_independent_answer_in_a_thread_of_its_own_stays_there():
    said = entries(assistant_message("A summary.", thread="research", independent=True))

    assert read(thread(said, "research")) == ["A summary."]


def test_what_is_summed_up_stays_so_when_an_independent_answer_ends():
    said = entries(
        user_message("Hi"),
        assistant_message("Hm", calls=["c1"], independent=True),
        tool_succeeded("c1"),
        thread_compacted(1, summary="They said hi."),
        assistant_message("A summary.", step=1, independent=True),
    )

    assert read(thread(said, "main")) == [summary("They said hi.")]


# ---- digests


@given(logs(), st.data())
def test_a_thread_has_one_digest_however_it_was_read(events: list[AnyEvent], data: st.DataObject):
    said = entries(*events)
    growing: list[Entry] = []
    threads = Threads(growing)
    for entry in said:
        growing.append(entry)
        if data.draw(st.booleans()):
            threads.digest(data.draw(st.sampled_from(THREADS)))

    assert [threads.digest(name) for name in THREADS] == [Threads(said).digest(name) for name in THREADS]
    assert [threads.view(name) for name in THREADS] == [thread(said, name) for name in THREADS]


@given(logs(), logs())
def test_threads_that_read_differently_have_different_digests(some: list[AnyEvent], others: list[AnyEvent]):
    one, other = Threads(entries(*some)), Threads(entries(*others))

    for name in THREADS:
        if one.view(name) != other.view(name):
            assert one.digest(name) != other.digest(name)


def test_a_digest_depends_on_every_word_and_on_their_order():
    texts = (["Hi", "there"], ["there", "Hi"], ["Hi"], ["Hithere"], ["Hi", "There"])
    digests = {
        Threads(entries(*(user_message(text, block=block) for block, text in enumerate(said)))).digest("main")
        for said in texts
    }

    assert len(digests) == len(texts)


def test_a_thread_in_which_nothing_was_said_has_an_empty_digest():
    assert Threads([]).digest("main") == b""
    assert Threads(entries(user_message("Hi"), thread_started("main"))).digest("main") == b""


# ---- what every provider asks for


@given(logs())
def test_every_reply_follows_the_message_that_asked_for_it(events: list[AnyEvent]):
    said = entries(*events)

    for end in range(len(said) + 1):
        for name in THREADS:
            asked: set[str] = set()
            for one in thread(said[:end], name):
                if isinstance(one, Reply):
                    assert one.call in asked
                    asked.remove(one.call)
                else:
                    asked |= {call.call for call in one.calls}
