"""Threads: each asks its model as its block says; what a variable gives is looked at when it is used."""

from typing import Any

import msgspec
import pytest
from tests.support.agents import HANDLER, SAY_HELLO, bundle
from tests.support.deciding import STARTED, agent, asked, decided, the_event

from stenograph_events import AnyEvent
from stenograph_events.testing import assistant_message, raw, session_created, turn_started, user_message
from stenograph_events.types import (
    BlockFinished,
    MessageAdded,
    ThreadStarted,
    TurnFinished,
)
from stenograph_services.orchestrator.decisions import Ask, Wait
from stenograph_services.protocol import Agent, load_bundle

START_SIDE = """\
Start:
  block: start-thread
  thread: side
  model: MODEL
  system: side
  input: [TEXT]
  temperature: HEAT
  maxSteps: 3
"""
ASK_SIDE = "Say:\n  block: add-message\n  thread: side\n  role: user\n  prompt: said\n  input: [TEXT]\n"
ASK_SIDE += "Ask aside:\n  block: next-message\n  thread: side\n  independent: true\n  output: ANSWER\n"
INPUTS = "input:\n  MODEL: {type: string, optional: true}\n  HEAT: {type: number, optional: true}\n"
GIVEN = {"MODEL": "openai/gpt-5", "HEAT": 0.5}


def with_side(handler: str = START_SIDE + ASK_SIDE, **more: Any) -> Agent:
    files = bundle("x", handler=handler, top=INPUTS, **more)
    return load_bundle(msgspec.structs.replace(files, prompts=files.prompts | {"side": "You sum up {{TEXT}}."}))


def begun(**given: Any) -> list[AnyEvent]:
    return [session_created(input=raw(GIVEN | given)), turn_started(input=raw({"TEXT": "Hi"}))]


def test_a_thread_is_started_with_what_its_variables_give_at_that_moment():
    started = the_event(with_side(), *begun())

    assert isinstance(started, ThreadStarted)
    assert (started.block, started.thread, started.trigger) == (0, "side", "user-message")
    assert started.system == "You sum up Hi."
    assert started.settings == {"model": raw("openai/gpt-5"), "temperature": raw(0.5)}


def test_a_started_thread_is_asked_as_its_block_says():
    one = with_side()
    started = the_event(one, *begun())
    said = the_event(one, *begun(), started)

    question = asked(one, *begun(), started, said)

    assert isinstance(said, MessageAdded)
    assert (question.thread, question.independent, question.output) == ("side", True, "ANSWER")
    assert (question.model, question.settings.system) == ("openai/gpt-5", "You sum up Hi.")
    assert (question.settings.temperature, question.settings.max_steps, question.settings.tools) == (0.5, 3, ())


def test_what_the_variables_give_later_does_not_change_a_started_thread():
    one = with_side(START_SIDE + "Over:\n  block: set-resource\n  resource: NOTE\n  value: TEXT\n" + ASK_SIDE)
    first = [*begun(), the_event(one, *begun())]
    second = turn_started("t2", input=raw({"TEXT": "Bye"}))

    again = the_event(one, *first, *_rest_of(one, first), second)

    assert again.system == "You sum up Bye."


def test_a_thread_that_is_started_again_begins_anew():
    again = ASK_SIDE.replace("Say:", "Say more:").replace("Ask aside:", "Ask more:")
    one = with_side(START_SIDE + ASK_SIDE + START_SIDE.replace("Start:", "Anew:") + again)
    events = begun()
    while not isinstance(decision := decided(one, *events), Ask):
        assert not isinstance(decision, Wait)
        events += decision.events  # type: ignore[union-attr]
    events.append(assistant_message("One.", thread="side", block=2))

    anew = the_event(one, *events)
    said = the_event(one, *events, anew)

    assert isinstance(anew, ThreadStarted)
    question = asked(one, *events, anew, said)
    assert (question.block, question.step) == (5, 0)


def test_a_thread_without_a_start_asks_as_the_agent_does():
    one = agent("Ask aside:\n  block: next-message\n  thread: aside\n")

    question = asked(one, *STARTED)

    assert (question.thread, question.model) == ("aside", "scripted/play")
    assert [tool.name for tool in question.settings.tools] == ["get-account", "send-mail"]


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"MODEL": "gpt"}, "MODEL gives model, and a model is provider/model, such as openai/gpt-5, not 'gpt'"),
        ({"HEAT": 3}, "HEAT gives temperature, and a temperature is a number from 0 to 2, or 'off', not 3"),
    ],
)
def test_a_setting_that_a_variable_gives_wrongly_ends_the_turn_and_says_which(given: Any, wrong: str):
    finished = the_event(with_side(), *begun(**given))

    assert isinstance(finished, TurnFinished)
    assert (finished.outcome, finished.reason) == ("failed", "invalid-settings")
    assert finished.detail == f"block 'Start': {wrong}"


def test_a_setting_that_no_variable_gives_is_the_provider_s_choice_but_a_model_has_to_be_given():
    without_heat: list[AnyEvent] = [
        session_created(input=raw({"MODEL": "openai/gpt-5"})),
        turn_started(input=raw({"TEXT": "Hi"})),
    ]
    one = with_side()
    started = the_event(one, *without_heat)

    question = asked(one, *without_heat, started, the_event(one, *without_heat, started))
    finished = the_event(one, session_created(), turn_started(input=raw({"TEXT": "Hi"})))

    assert question.settings.temperature is None
    assert finished.reason == "invalid-settings"
    assert "MODEL gives model" in finished.detail


def test_steps_and_levels_may_be_given_as_text_from_a_form():
    section = "thinking: LEVEL\nspeed: PACE\n"
    top = "input:\n  STEPS: {type: string}\n  LEVEL: {type: string}\n  PACE: {type: string}\n"
    files = bundle("x", SAY_HELLO, agent=section, top=top)
    protocol = files.protocol.replace("maxSteps: 5", "maxSteps: STEPS")
    one = load_bundle(msgspec.structs.replace(files, protocol=protocol))
    created = session_created(input=raw({"STEPS": "2", "LEVEL": "off", "PACE": "fast"}))

    question = asked(one, created, turn_started(input=raw({"TEXT": "Hi"})), user_message("Hi"))

    settings = question.settings
    assert (settings.max_steps, settings.thinking, settings.speed) == (2, "off", "fast")


def test_a_thread_of_a_child_agent_that_nothing_started_ends_the_turn():
    main = msgspec.structs.replace(agent(HANDLER), main=None)

    ended = the_event(main, *STARTED, user_message("Hi"))

    assert (ended.outcome, ended.reason) == ("failed", "invalid-settings")
    assert ended.detail.endswith("thread 'main' was not started; a worker starts each thread with `start-thread`")


# ---- serialize-thread


TELL = "Tell:\n  block: serialize-thread\n  format: {}\n  output: ANSWER\n"


def test_a_conversation_becomes_text_that_a_person_or_a_model_can_read():
    told = the_event(agent(HANDLER + TELL.format("markdown")), *STARTED, user_message("Hi"), assistant_message("Hello"))

    assert isinstance(told, BlockFinished)
    assert told.variables == {"ANSWER": raw("## User\n\nHi\n\n## Assistant\n\nHello")}


def test_a_conversation_becomes_json_with_each_call_and_its_result():
    told = the_event(agent(HANDLER + TELL.format("json")), *STARTED, user_message("Hi"), assistant_message("Hello"))

    text = msgspec.json.decode(told.variables["ANSWER"])
    assert msgspec.json.decode(text) == [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
    ]


def _rest_of(agent: Agent, events: list[AnyEvent]) -> list[AnyEvent]:
    """Return what follows `events` until the turn is over, each model answering `Fine.`"""
    rest: list[AnyEvent] = []
    while True:
        decision = decided(agent, *events, *rest)
        if isinstance(decision, Ask):
            where: dict[str, Any] = {"block": decision.block, "step": decision.step, "thread": decision.thread}
            rest.append(assistant_message("Fine.", **where))
            continue
        rest += decision.events  # type: ignore[union-attr]
        if isinstance(rest[-1], TurnFinished):
            return rest
