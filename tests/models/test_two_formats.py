"""One conversation over two wire formats, chat completions and Anthropic messages: the same answers in the log."""

from typing import Any

import msgspec
import pytest
from tests.support.asking import GET_ACCOUNT, answer, call, question, reply, said
from tests.support.model_answers import Answer
from tests.support.openai_server import ModelServer

from stenograph_events.values import ReasoningPart, TextPart, Usage
from stenograph_services.orchestrator.models.choose import Models
from stenograph_services.orchestrator.models.request import CallPiece, Delta, ModelResponse, Reasoning, Text
from stenograph_services.protocol.agent import Schema

FORMATS = ("openai/gpt-5-mini", "anthropic/claude-haiku-5-5")

VERDICT = Schema(
    {
        "type": "object",
        "properties": {"plan": {"type": "string"}, "sure": {"type": "boolean"}},
        "required": ["plan", "sure"],
        "additionalProperties": False,
    },
    None,
)

TWO_CALLS = (("p1", "get-user-account", '{"userId":"u1"}'), ("p2", "get-user-account", '{"userId":"ü2"}'))

ANSWERS = (
    Answer(reasoning="Sie fragen nach zwei Plänen.", signature="c2lnbmVk", text="Let me see. ☂", calls=TWO_CALLS),
    Answer(reasoning="Both are here.", signature="c2lnbmVkMg==", text='{"plan":"pró","sure":true}', output_tokens=9),
)


async def converse(models: Models, server: ModelServer, name: str, **how: Any) -> list[ModelResponse]:
    """Return what the model `name` says in a turn of two steps, the second one structured."""
    server.answers(*(msgspec.structs.replace(each, **how) for each in ANSWERS))
    ask: dict[str, Any] = {"model": name, "tools": (GET_ACCOUNT,), "thinking": "low"}
    first = (await answer(models.for_agent(name, {}), question(**ask)))[1]
    spoken = said("assistant", *first.parts, calls=(call("c1"), call("c2")))
    thread = (said("user", "Hello"), spoken, reply("c1", {"plan": "pro"}), reply("c2", {"plan": "free"}))
    second = await answer(
        models.for_agent(name, {}), question(*thread, response=VERDICT, response_type="Verdict", **ask)
    )
    return [first, second[1]]


def alike(response: ModelResponse) -> ModelResponse:
    """Return `response` without what only says whose it is."""
    parts = tuple(ReasoningPart(part.text) if isinstance(part, ReasoningPart) else part for part in response.parts)
    return msgspec.structs.replace(response, parts=parts, model="", provider=None, cost_usd=None)


@pytest.mark.parametrize("how", [{"pieces": 1}, {"pieces": 5}, {"pieces": 5, "chunk_bytes": 1}], ids=str)
async def test_two_formats_say_the_same_however_the_bytes_come(
    models: Models, server: ModelServer, how: dict[str, int]
):
    chat = await converse(models, server, FORMATS[0], **how)
    messages = await converse(models, server, FORMATS[1], **how)

    assert [alike(each) for each in chat] == [alike(each) for each in messages]
    assert [alike(each).parts for each in chat] == [
        (ReasoningPart("Sie fragen nach zwei Plänen."), TextPart("Let me see. ☂")),
        (ReasoningPart("Both are here."), TextPart('{"plan":"pró","sure":true}')),
    ]
    assert [(wanted.tool, wanted.arguments) for wanted in chat[0].calls] == [each[1:] for each in TWO_CALLS]
    assert [each.finish_reason for each in chat] == ["tool-calls", "stop"]
    assert [each.usage for each in chat] == [Usage(11, 7, 3), Usage(11, 9, 3)]


def as_heard(deltas: list[Delta]) -> tuple[str, str, dict[int, tuple[str, str]]]:
    """Return the reasoning, the text and each call, put together from their pieces."""
    calls: dict[int, tuple[str, str]] = {}
    for piece in deltas:
        if isinstance(piece, CallPiece):
            calls[piece.index] = (piece.tool, calls.get(piece.index, ("", ""))[1] + piece.arguments)
    thought = "".join(piece.text for piece in deltas if isinstance(piece, Reasoning))
    return thought, "".join(piece.text for piece in deltas if isinstance(piece, Text)), calls


@pytest.mark.parametrize("name", FORMATS)
async def test_what_streams_is_what_is_answered(models: Models, server: ModelServer, name: str):
    server.answers(msgspec.structs.replace(ANSWERS[0], pieces=7, chunk_bytes=1))

    deltas, response = await answer(models.for_agent(name, {}), question(model=name, tools=(GET_ACCOUNT,)))

    thought, text, calls = as_heard(deltas)
    assert alike(response).parts == (ReasoningPart(thought), TextPart(text))
    assert calls == {n: (wanted.tool, wanted.arguments) for n, wanted in enumerate(response.calls)}
    assert len(deltas) >= 7 * 4


@pytest.mark.parametrize("name", FORMATS)
async def test_the_model_and_its_provider_and_its_price_are_told(models: Models, server: ModelServer, name: str):
    _, response = await answer(models.for_agent(name, {}), question(model=name))

    assert f"{response.provider}/{response.model}" == name
    assert response.cost_usd is not None
    assert response.cost_usd > 0


async def test_reasoning_goes_back_where_it_came_from_and_nowhere_else(models: Models, server: ModelServer):
    await converse(models, server, FORMATS[0])
    await converse(models, server, FORMATS[1])

    chat, messages = server.requests[1]["messages"], server.requests[3]["messages"]
    assert chat[2]["reasoning_content"] == "Sie fragen nach zwei Plänen."
    thought = {"type": "thinking", "thinking": "Sie fragen nach zwei Plänen.", "signature": "c2lnbmVk"}
    assert messages[1]["content"][0] == thought
