"""Compaction: a thread that gets too long is summed up by a child agent, in what models read, not in the log."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from tests.support.agents import HANDLER
from tests.support.deciding import STARTED, agent, asked, the_event

from stenograph_events import AnyEvent
from stenograph_events.testing import (
    START,
    assistant_message,
    model_failed,
    raw,
    tool_failed,
    tool_succeeded,
    turn_finished,
    turn_started,
    user_message,
)
from stenograph_events.types import ThreadCompacted, ToolRequested
from stenograph_events.values import (
    Call,
    Compaction,
    TextPart,
    Usage,
)
from stenograph_projections.transcript import Message, Reply
from stenograph_services.orchestrator.compaction import older_part
from stenograph_services.orchestrator.decisions import ChildVersion
from stenograph_services.protocol import Agent
from stenograph_services.protocol.schemas import compiled

ANYTHING = {"summarizer": ChildVersion("v1", compiled({"type": "object"}))}
WINDOW = {"window": lambda model: 1_000, "children": ANYTHING}
TOP = "workers:\n  summarizer: {description: Sums up}\n"


def compacting(threshold: str = "thresholdPercent: 0.8, ") -> Agent:
    section = f"contextManagement: {{summarizerWorker: summarizer, {threshold}recentPercent: 0.05}}"
    return agent(HANDLER, agent=section, top=TOP)


def long_talk(tokens: int) -> list[AnyEvent]:
    """Two turns; the second one's model is to be asked, after an answer that counted so many tokens."""
    first = [*STARTED, user_message("First"), assistant_message("A" * 150, usage=Usage(tokens - 10, 10))]
    return [*first, turn_finished(), turn_started("t2", input=raw({"TEXT": "B"})), user_message("B" * 150, turn="t2")]


def test_a_thread_that_fits_is_read_as_it_is():
    assert asked(compacting(), *long_talk(500), **WINDOW).thread == "main"


def test_the_older_part_of_a_thread_that_fills_the_window_goes_to_the_summariser():
    requested = the_event(compacting(), *long_talk(900), **WINDOW)

    assert isinstance(requested, ToolRequested)
    assert requested.child is not None
    assert (requested.tool, requested.child.version, requested.compacts) == ("summarizer", "v1", Compaction("main", 4))
    assert requested.arguments == raw(
        {"PREVIOUS_SUMMARY": "", "CONVERSATION": f"## User\n\nFirst\n\n## Assistant\n\n{'A' * 150}"}
    )


def test_models_read_the_summary_and_the_recent_part_from_then_on():
    talk = long_talk(900)
    requested = the_event(compacting(), *talk, **WINDOW)
    summed = [*talk, requested, tool_succeeded(requested.call, turn="t2", result=raw("They greeted."))]

    compacted = the_event(compacting(), *summed, **WINDOW)

    assert isinstance(compacted, ThreadCompacted)
    assert (compacted.through, compacted.summary, compacted.call) == (4, "They greeted.", requested.call)
    assert asked(compacting(), *summed, compacted, **WINDOW).thread == "main"


def test_a_thread_that_cannot_be_summed_up_is_read_whole():
    talk = long_talk(900)
    requested = the_event(compacting(), *talk, **WINDOW)

    assert asked(compacting(), *talk, requested, tool_failed(requested.call, turn="t2"), **WINDOW).thread == "main"
    assert asked(compacting(), *talk, **WINDOW | {"children": {}}).thread == "main"
    assert asked(compacting(), *talk, **WINDOW | {"window": lambda model: None}).thread == "main"


def test_without_a_threshold_it_happens_when_a_provider_refuses_the_thread():
    refused = model_failed(1, turn="t2", error="context-window", detail="too long", retryable=False)
    reactive = compacting(threshold="")

    assert asked(reactive, *long_talk(900), **WINDOW).thread == "main"
    requested = the_event(reactive, *long_talk(900), refused, **WINDOW)

    assert requested.compacts == Compaction("main", 4)


def test_a_refused_thread_is_asked_again_once_it_is_summed_up():
    refused = model_failed(1, turn="t2", error="context-window", detail="too long", retryable=False)
    reactive = compacting(threshold="")
    requested = the_event(reactive, *long_talk(900), refused, **WINDOW)
    summed = [*long_talk(900), refused, requested, tool_succeeded(requested.call, turn="t2", result=raw("Short."))]

    compacted = the_event(reactive, *summed, **WINDOW)

    assert asked(reactive, *summed, compacted, **WINDOW).step == 0


# ---- where the cut goes


def message(n: int, calls: tuple[str, ...] = (), size: int = 10) -> Message:
    asked_for = tuple(Call(call, "t") for call in calls)  # type: ignore[arg-type]
    return Message(n, START, "t1", f"m{n}", "main", "assistant", (TextPart("x" * size),), asked_for)


@st.composite
def views(draw: st.DrawFn) -> list[Any]:
    view: list[Any] = []
    for _ in range(draw(st.integers(0, 12))):
        n = len(view) + 1
        calls = tuple(f"c{n}.{i}" for i in range(draw(st.integers(0, 3))))
        view.append(message(n, calls, draw(st.integers(0, 400))))
        view += [Reply(n + 1 + i, START, "t1", call, "succeeded", Raw(b"1")) for i, call in enumerate(calls)]
    return view


@given(views(), st.integers(0, 500))
def test_a_cut_never_comes_between_a_call_and_its_reply(view: list[Any], recent: int):
    older = older_part(view, recent)

    assert list(older) == view[: len(older)]
    asked_for = {call.call for entry in older if isinstance(entry, Message) for call in entry.calls}
    assert asked_for == {entry.call for entry in older if isinstance(entry, Reply)}
    assert not older or len(older) < len(view)


def test_what_was_called_with_its_reply_stays_recent_whatever_its_size():
    view: list[Any] = [
        message(1),
        message(2),
        message(3),
        message(4, ("c",), 9_000),
        Reply(5, START, "t1", "c", "succeeded"),
    ]

    assert [entry.n for entry in older_part(view, 1)] == [1, 2, 3]
