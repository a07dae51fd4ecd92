"""The guard hears a loop and nothing that only looks like one."""

import time

import pytest
from tests.support.asking import answer, question
from tests.support.model_answers import Answer
from tests.support.openai_server import ModelServer

from stenograph_services.orchestrator.models.choose import Models
from stenograph_services.orchestrator.models.loops import LoopGuard, repeated_at_the_end
from stenograph_services.orchestrator.models.request import ModelError

LOOPS = {
    "one letter": "a" * 3_000,
    "one word": "really, " * 400,
    "a sentence after much else": "It began well. " + str(list(range(2_000))) + "I will check that again. " * 120,
    "a paragraph": ("Let me think about what the user wants here, step by step. " * 20 + "\n\n") * 8,
    "a call's arguments": '{"ids": [' + "0, " * 900,
}

HONEST = {
    "a table": "".join(f"| {n} | account-{n} | pro | active | 0 | 0 | 0 | 0 |\n" for n in range(2_000)),
    "code": "".join(f"    if value == {n}:\n        return TABLE[{n}]\n" for n in range(1_000)),
    "a numbered list": "".join(f"{n}. The same as before.\n" for n in range(3_000)),
    "rules and rows": ("-" * 200 + "\n" + "| a | b |\n" * 40 + "And then something else.\n") * 4,
    "a repetition that ended": "a" * 1_500 + ", and so on, as you can see from the following:\n" + "b, " * 300,
    "prose": "".join(
        f"On day {n} we walked {n * 7 % 13} miles and rested {n % 5} times by the river.\n" for n in range(900)
    ),
}


def hear(text: str, size: int) -> None:
    guard = LoopGuard()
    for at in range(0, len(text), size):
        guard.hear("text", text[at : at + size])


@pytest.mark.parametrize("size", [1, 7, 5_000])
@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_is_heard_however_it_is_cut(name: str, size: int):
    with pytest.raises(ModelError, match="The model repeats") as heard:
        hear(LOOPS[name] * 2, size)

    assert (heard.value.kind, heard.value.retryable) == ("loop", False)


@pytest.mark.parametrize("size", [1, 7, 5_000])
@pytest.mark.parametrize("name", HONEST)
def test_what_only_looks_like_a_loop_is_none(name: str, size: int):
    hear(HONEST[name], size)


def test_the_repeated_string_is_the_shortest_one():
    assert repeated_at_the_end("x" * 50 + "abc" * 1_000) == "abc"
    assert repeated_at_the_end("x" * 50 + "abc" * 10) is None


def test_streams_are_heard_apart():
    guard = LoopGuard()
    for n in range(100):
        guard.hear(n % 2, "the same words in two calls, " * 10)


def test_listening_takes_time_linear_in_the_text():
    """The worst text for the prefix function: it falls back at nearly every character."""
    worst = "ab" * 400 + "aab" * 400

    def seconds(text: str) -> float:
        began = time.process_time()
        hear(text, 50)
        return time.process_time() - began

    short = min(seconds("".join(f"{n}{worst}" for n in range(10))) for _ in range(3))
    long = min(seconds("".join(f"{n}{worst}" for n in range(80))) for _ in range(3))

    assert long / short < 8 * 2


async def test_a_generation_that_loops_is_aborted_if_the_agent_has_a_guard(models: Models, server: ModelServer):
    endless = Answer(text="I will check that again. " * 400, pieces=400)
    server.answers(endless, endless)
    model = models.for_agent("openai/m", {})

    _, unguarded = await answer(model, question(model="openai/m"))
    with pytest.raises(ModelError) as aborted:
        await answer(model, question(model="openai/m", loop_guard=True))

    assert unguarded.finish_reason == "stop"
    assert aborted.value.kind == "loop"
