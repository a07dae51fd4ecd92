import time

import pytest
from tests.support.asking import answer, call, question, reply, said

from stenograph_events.values import ReasoningPart, TextPart, Usage
from stenograph_services.orchestrator.models.request import (
    CallPiece,
    CallWanted,
    ModelError,
    ModelResponse,
    Reasoning,
    Text,
)
from stenograph_services.orchestrator.models.scripted import ScriptedModel, ScriptError

SUPPORT = """\
turns:
  - - reasoning: They ask about their plan.
      text: Let me look that up.
      calls:
        - {tool: get-user-account, arguments: {userId: user-123}}
        - {tool: get-plan, arguments: '{"userId": '}
    - text: "You said: {{last_user}} They said: {{ last_result }}"
      usage: {input_tokens: 12, output_tokens: 3}
  - - text: Good bye.
      finish_reason: length
"""


def scripted(text: str) -> ScriptedModel:
    return ScriptedModel(text, "scripts/support.yaml")


async def test_a_line_with_everything_streams_it_and_answers_it():
    deltas, response = await answer(scripted(SUPPORT), question())

    assert deltas == [
        Reasoning("They ask about their plan."),
        Text("Let me look that up."),
        CallPiece(0, "get-user-account", '{"userId":"user-123"}'),
        CallPiece(1, "get-plan", '{"userId": '),
    ]
    assert response == ModelResponse(
        parts=(ReasoningPart("They ask about their plan.", provider="scripted"), TextPart("Let me look that up.")),
        calls=(CallWanted("get-user-account", '{"userId":"user-123"}'), CallWanted("get-plan", '{"userId": ')),
        finish_reason="tool-calls",
        model="scripted/support",
    )


async def test_the_line_is_picked_by_the_turn_and_step_of_the_log_whoever_asks():
    first = await answer(scripted(SUPPORT), question(turn_number=2))
    second = await answer(scripted(SUPPORT), question(turn_number=2, session="another"))

    assert first == second
    assert first[1].parts == (TextPart("Good bye."),)
    assert first[1].finish_reason == "length"


async def test_placeholders_show_that_the_conversation_arrived():
    request = question(
        said("user", "Hello"),
        said("user", "What plan?"),
        said("assistant", calls=(call("c1"), call("c2"))),
        reply("c1", {"plan": "free"}),
        reply("c2", {"plan": "pro"}),
        step=1,
    )

    deltas, response = await answer(scripted(SUPPORT), request)

    assert deltas == [Text('You said: What plan? They said: {"plan":"pro"}')]
    assert response.parts == (TextPart('You said: What plan? They said: {"plan":"pro"}'),)
    assert response.usage == Usage(12, 3)


async def test_a_text_comes_in_so_many_pieces_and_takes_its_time():
    script = "turns: [[{text: You are on the Pro plan., delay_ms: 20, chunks: 5, chunk_delay_ms: 10}]]"

    began = time.monotonic()
    deltas, response = await answer(scripted(script), question())

    assert time.monotonic() - began >= 0.06
    assert len(deltas) == 5
    assert "".join(delta.text for delta in deltas if isinstance(delta, Text)) == "You are on the Pro plan."
    assert response.parts == (TextPart("You are on the Pro plan."),)


async def test_an_error_fails_so_many_attempts_and_then_the_line_is_played():
    model = scripted("turns: [[{text: Here., error: {kind: overloaded, retryable: true, times: 2}}]]")

    for attempt in (1, 2):
        with pytest.raises(ModelError) as failed:
            await answer(model, question(attempt=attempt))
        assert (failed.value.kind, failed.value.retryable) == ("overloaded", True)
    _, response = await answer(model, question(attempt=3))

    assert response.parts == (TextPart("Here."),)


async def test_an_error_without_a_count_fails_for_ever_and_carries_its_details():
    model = scripted("turns: [[{error: {kind: rate-limit, detail: Slow., retry_after_seconds: 3}}]]")

    with pytest.raises(ModelError) as failed:
        await answer(model, question(attempt=100))

    assert (failed.value.detail, failed.value.retry_after_seconds) == ("Slow.", 3)


async def test_an_error_may_come_in_the_middle_of_a_text():
    model = scripted("turns: [[{text: abcdef, chunks: 3, error: {kind: connection, after_chunks: 2}}]]")
    answering = model.ask(question())

    heard = [await anext(answering), await anext(answering)]
    with pytest.raises(ModelError):
        await anext(answering)

    assert heard == [Text("ab"), Text("cd")]


async def test_a_script_may_loop():
    model = scripted("loop: true\nturns: [[{text: One}], [{text: Two}]]")

    texts = [(await answer(model, question(turn_number=n)))[0] for n in (1, 2, 3, 4)]

    assert texts == [[Text("One")], [Text("Two")], [Text("One")], [Text("Two")]]


async def test_a_turn_past_the_end_of_the_script_says_so():
    with pytest.raises(ModelError, match=r"scripts/support\.yaml has 2 turns and this is turn 3") as failed:
        await answer(scripted(SUPPORT), question(turn_number=3))

    assert (failed.value.kind, failed.value.retryable) == ("script-over", False)


async def test_a_step_past_the_end_of_a_turn_says_so():
    with pytest.raises(ModelError, match="turn 2 has 1 steps and the model is asked for step 2"):
        await answer(scripted(SUPPORT), question(turn_number=2, step=1))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "scripts/support.yaml:1: the script: Input should be"),
        ("turns: [", "scripts/support.yaml:1: this is not YAML: "),
        ("turns: []", "scripts/support.yaml:1: turns: Tuple should have at least 1 item"),
        ("turns:\n  - []", "scripts/support.yaml:1: turns: turn 1 has no steps"),
        ("loop: true", "scripts/support.yaml:1: turns: Field required"),
        ("turns:\n  - - text: Hi\n    - txt: Ho", "scripts/support.yaml:3: turns[0][1].txt: Extra inputs"),
        ("turns:\n  - - {}", "scripts/support.yaml:2: turns[0][0]: a step needs a text, reasoning, calls or an error"),
        (
            "turns:\n  - - text: Hi\n      calls:\n        - arguments: {}",
            "scripts/support.yaml:4: turns[0][0].calls[0].tool",
        ),
        ("turns:\n  - - text: Hi\n      delay_ms: -1", "scripts/support.yaml:3: turns[0][0].delay_ms: Input should be"),
        (
            "turns:\n  - - text: Hi\n      delay_ms: soon",
            "scripts/support.yaml:3: turns[0][0].delay_ms: Input should be",
        ),
        ("turns:\n  - - text: '{{user}}'", "scripts/support.yaml:2: turns[0][0].text: there is no placeholder 'user'"),
        ("turns:\n  - - text: a\n      text: b", "scripts/support.yaml:3: this is not YAML: found duplicate key"),
        ("turns: &a [*a]", "scripts/support.yaml:1: turns"),
        ("turns: !!python/name:os.system", "scripts/support.yaml:1: "),
        ("\x00", "scripts/support.yaml:1: this is not YAML: "),
    ],
)
def test_a_mistake_in_a_script_is_told_with_file_line_and_path(text: str, message: str):
    with pytest.raises(ScriptError) as refused:
        scripted(text)

    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)
